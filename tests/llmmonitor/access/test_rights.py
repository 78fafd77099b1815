"""The rights of roles, scopes and loopback, also those that no address needs yet."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User

from llmmonitor.access import rights, roles
from llmmonitor.access.rights import DEMO, INGEST, MANAGE, OPERATE, READ
from tests.llmmonitor.access.asgi_requests import ELSEWHERE, send_request, session_of


class TheRights:
    @pytest.mark.parametrize(
        ("role", "expected"),
        [
            ("viewer", {READ}),
            ("operator", {READ, OPERATE, DEMO}),
            ("admin", {READ, INGEST, OPERATE, DEMO, MANAGE}),
            (None, set()),
        ],
    )
    def test_of_a_role(self, role: str | None, expected: set[str]) -> None:
        assert rights.of_role(role) == expected

    @pytest.mark.parametrize(
        ("scopes", "expected"),
        [
            (["ingest"], {INGEST}),
            (["read"], {READ}),
            (["manage"], {READ, INGEST, OPERATE, DEMO, MANAGE}),
            (["read", "ingest"], {READ, INGEST}),
            (["something new"], set()),
            ([], set()),
        ],
    )
    def test_of_scopes(self, scopes: list[str], expected: set[str]) -> None:
        assert rights.of_scopes(scopes) == expected

    def test_of_loopback(self) -> None:
        assert {READ, INGEST, DEMO} == rights.LOOPBACK


@pytest.mark.django_db
@pytest.mark.urls("tests.llmmonitor.access.access_urls")
class ARight:
    """Through REST framework's permission classes."""

    @pytest.mark.parametrize(
        ("role", "allowed"),
        [
            ("viewer", {"read"}),
            ("operator", {"read", "operate", "demo"}),
            ("admin", {"read", "ingest", "operate", "demo", "manage"}),
            ("stranger", set()),
        ],
    )
    def test_opens_its_views_and_no_others(self, role: str, allowed: set[str], request: pytest.FixtureRequest) -> None:
        headers = session_of(request.getfixturevalue(role))
        opened = {
            name
            for name in ("read", "ingest", "operate", "demo", "manage")
            if send_request("POST", f"/{name}", headers=headers, client=ELSEWHERE).status == 200
        }

        assert opened == allowed

    def test_to_operate_or_manage_is_not_loopbacks(self) -> None:
        statuses = {
            name: send_request("POST", f"/{name}").status for name in ("read", "ingest", "demo", "operate", "manage")
        }

        assert statuses == {"read": 200, "ingest": 200, "demo": 200, "operate": 401, "manage": 401}


@pytest.mark.django_db
class ARole:
    def test_is_one_of_three_groups_that_are_there_from_the_start(self) -> None:
        assert set(Group.objects.values_list("name", flat=True)) >= {"viewer", "operator", "admin"}

    def test_replaces_the_one_before(self, viewer: User) -> None:
        roles.set_role(viewer, "operator")

        assert roles.role_of(viewer) == "operator"
        assert viewer.groups.count() == 1

    def test_that_is_higher_counts_when_there_are_two(self, viewer: User) -> None:
        viewer.groups.add(Group.objects.get(name="operator"), Group.objects.create(name="football"))

        assert roles.role_of(User.objects.get(pk=viewer.pk)) == "operator"

    def test_of_a_superuser_is_admin(self) -> None:
        assert roles.role_of(User.objects.create_superuser("root")) == "admin"

    def test_is_lost_with_the_account(self, admin: User) -> None:
        admin.is_active = False

        assert roles.role_of(admin) is None

    def test_alone_gives_permissions(self, viewer: User, admin: User) -> None:
        from django.contrib.auth.models import Permission

        viewer.user_permissions.set(Permission.objects.all())

        assert not User.objects.get(pk=viewer.pk).has_perm("access.add_apikey")
        assert admin.has_perm("access.add_apikey")


@pytest.mark.django_db
class TheDescription:
    def test_names_the_ways_in(self) -> None:
        described = send_request("GET", "/schema").json()

        schemes = described["components"]["securitySchemes"]
        assert set(schemes) == {"key", "session"}
        assert (schemes["key"]["type"], schemes["key"]["scheme"]) == ("http", "bearer")
        assert schemes["session"]["name"] == "llmmonitor_session"
        assert described["paths"]["/models"]["get"]["security"] == [{"key": []}, {"session": []}, {}]
