"""The time range and the filters of each page: they change data and address, and survive a reload; back undoes them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from dashboard.pages import PAGES
from metrics.queries import RANGES
from tests.support.labelled import OTHER_MODEL, labelled_settings, store_labelled
from tests.support.rounds import rounds
from tests.support.server import Server

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("module_server", [labelled_settings("correct horse battery")], indirect=True),
]
WITH_RANGE = {f"/{spec.path}": spec for spec in PAGES if spec.filters is not None}
MODEL_PAGE = "/dashboard/models/mistral-7b/"
ADDRESSES = [*WITH_RANGE, MODEL_PAGE]
WITH_FILTERS = [*(path for path, spec in WITH_RANGE.items() if spec.filters), MODEL_PAGE]
ALWAYS = ("/", "/dashboard/latency/", MODEL_PAGE)
CHARTS = "() => Object.values(Chart.instances).filter((chart) => chart.options.scales.x?.type === 'time')"


@pytest.fixture(scope="module")
def server(module_server: Server) -> Server:
    store_labelled(module_server, "mistral-7b")
    return module_server


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def is_data_of(page: Page, url: str) -> bool:
    """Whether this is the address of the data for the page's address, and not of its figures."""
    path, asked = urlsplit(url).path, urlsplit(url).query
    return path.startswith("/dashboard/data/") and not path.endswith("/figures") and urlsplit(page.url).query in asked


def changes_data(page: Page, change: Any) -> dict[str, Any]:
    """Do what changes the address; return the parameters of the data that the page then reads."""
    with page.expect_response(lambda response: is_data_of(page, response.url)) as answer:
        change()
    assert answer.value.status == 200
    parameters: dict[str, Any] = answer.value.json()["params"]
    return parameters


def reloads(page: Page) -> None:
    """Reload; the address stays."""
    address = page.url
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-ready", "true")
    assert page.url == address


@pytest.mark.parametrize("path", rounds(WITH_FILTERS, always=ALWAYS))
class APageWithFilters:
    def test_shows_what_its_filters_select(
        self, path: str, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{server.url}{path}?range=6h")
        chosen: dict[str, list[str]] = {}
        for menu in page.locator("[data-filter]").all():
            name = menu.get_attribute("data-filter")
            menu.locator("> button").click()
            options = menu.get_by_role("checkbox")
            if options.count() == 0:
                page.keyboard.press("Escape")
                continue
            # Of several values, the one that all requests but those of the other model have.
            values = [option.get_attribute("value") for option in options.all()]
            value = next((value for value in values if value == "mistral-7b"), values[0])
            option = menu.locator(f"input[type=checkbox][value='{value}']")
            parameters = changes_data(page, option.check)
            chosen[name] = [value]
            assert parameters["filters"] == chosen
            page.keyboard.press("Escape")
            expect(page.locator("#chips")).to_contain_text(value)
            assert query(page) == chosen | {"range": ["6h"]}
        assert chosen
        expect(page.locator("main")).not_to_contain_text(OTHER_MODEL)

        reloads(page)
        expect(page.locator("#chips .chip:not(.clear)")).to_have_count(len(chosen))
        expect(page.locator("main")).not_to_contain_text(OTHER_MODEL)
        last, _ = chosen.popitem()
        assert changes_data(page, page.go_back)["filters"] == chosen
        assert last not in query(page)
        assert console_errors == []


@pytest.mark.parametrize("path", rounds(ADDRESSES, always=ALWAYS))
class APage:
    def test_shows_the_range_that_is_chosen(
        self, path: str, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{server.url}{path}?range=1h")
        for name in [name for name in RANGES if name != "1h"]:
            button = page.locator(f"[data-range='{name}']")
            parameters = changes_data(page, button.click)
            assert parameters["range"] == name
            expect(button).to_have_attribute("aria-pressed", "true")
            assert query(page)["range"] == [name]
        reloads(page)
        expect(button).to_have_attribute("aria-pressed", "true")
        assert changes_data(page, page.go_back)["range"] == list(RANGES)[-2]
        assert console_errors == []

    def test_zooms_by_a_drag_and_back(
        self, path: str, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{server.url}{path}?range=1h")
        before = query(page)
        chart = first_time_chart(page)

        parameters = changes_data(page, lambda: drag(page, chart) if chart else page.locator("#zoom-in").click())

        assert query(page) != before
        if chart:
            assert set(query(page)) == {"from", "to"}
            assert parameters["range"] is None
            assert 5 < (parameters["to"] - parameters["from"]) / 60_000 < 30
        reloads(page)
        assert changes_data(page, page.go_back)["range"] == "1h"
        expect(page.locator("[data-range='1h']")).to_have_attribute("aria-pressed", "true")
        assert query(page) == before
        assert console_errors == []


class TheChoicesThatAreMadeBeforeTheDataIsThere:
    def test_are_all_in_the_address(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/?range=6h")
        held: list[Route] = []

        def hold(route: Route) -> None:
            held.append(route)

        page.route("**/dashboard/data/overview?*", hold)
        page.locator("[data-filter=model] > button").click()
        for option in page.locator("[data-filter=model]").get_by_role("checkbox").all()[:2]:
            option.check()
        assert len(query(page)["model"]) == 2
        expect(page.locator("#chips .chip:not(.clear)")).to_have_count(0)
        for route in held:
            route.continue_()
        expect(page.locator("#chips .chip:not(.clear)")).to_have_count(2)


def first_time_chart(page: Page) -> Locator | None:
    """The first chart with a time axis; None on a page without one."""
    marked = page.evaluate(f"""() => {{
        const [chart] = ({CHARTS})().filter((chart) => chart.canvas.checkVisibility());
        if (chart) chart.canvas.id = "dragged";
        return Boolean(chart); }}""")
    return page.locator("#dragged") if marked else None


def drag(page: Page, canvas: Locator) -> None:
    """Drag over a fifth of a chart."""
    canvas.evaluate("(node) => node.scrollIntoView({ block: 'center' })")  # below the header, and above a new alert
    box = canvas.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.4, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, y, steps=4)
    page.mouse.up()
