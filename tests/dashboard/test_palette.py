"""The colours of the style sheet, measured: contrast (WCAG 2.2) and how far apart the series are for every sight.

Simulation of colour blindness: Machado, Oliveira and Fernandes 2009, full strength, linear RGB. Difference: ΔE 1976.
"""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

CSS = (Path(__file__).parents[2] / "dashboard/static/dashboard/css/tokens.css").read_text(encoding="utf-8")
THEMES = {
    "light": re.search(r":root \{(.*?)\}", CSS, re.DOTALL),
    "dark": re.search(r':root\[data-theme="dark"\] \{(.*?)\}', CSS, re.DOTALL),
    "auto": re.search(r':root\[data-theme="auto"\] \{(.*?)\}', CSS, re.DOTALL),
}
SIGHT = {
    "normal": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}  # fmt: skip
# Smallest difference between any two series, as the design measured them; a difference of 1 is allowed for rounding.
LEAST = {"light": (39, 27, 27, 22), "dark": (38, 28, 27, 25)}


def colours(theme: str) -> dict[str, str]:
    block = THEMES[theme]
    assert block
    palette = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block.group(1)))
    return palette if theme == "light" else {**colours("light"), **palette}


def linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(first: str, second: str) -> float:
    light, dark = sorted((float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (first, second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lab(colour: str, sight: str) -> np.ndarray:
    seen = np.clip(SIGHT[sight] @ linear(colour), 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    f = [(v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116) for v in xyz / [0.95047, 1.0, 1.08883]]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("theme", ["light", "dark"])
class TheTheme:
    @pytest.mark.parametrize(
        ("name", "ground", "least"),
        [
            *((name, ground, 4.5) for name in ("text", "muted") for ground in ("card", "page", "line-soft")),
            *((state, ground, 4.5) for state in ("ok", "warning", "critical") for ground in ("card", f"{state}-wash")),
            ("accent", "card", 4.5),
            ("on-accent", "accent", 4.5),
            *((f"series-{n}", "card", 3.0) for n in (*range(1, 8), "other")),
        ],
    )
    def test_can_be_read(self, theme: str, name: str, ground: str, least: float) -> None:
        palette = colours(theme)
        assert contrast(palette[name], palette[ground]) >= least

    @pytest.mark.parametrize("sight", list(SIGHT))
    def test_has_series_that_differ(self, theme: str, sight: str) -> None:
        seen = [lab(colours(theme)[f"series-{n}"], sight) for n in range(1, 8)]
        least = min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2))
        assert least >= LEAST[theme][list(SIGHT).index(sight)] - 1


def test_dark_is_the_same_whether_chosen_or_the_systems() -> None:
    assert colours("auto") == colours("dark")


class ThePartsOfAResponseTime:
    def test_have_the_same_colours_on_all_pages_which_no_model_has(self) -> None:
        folder = Path(__file__).parents[2] / "dashboard/static/dashboard"
        split, latency = ((folder / f"css/{name}.css").read_text(encoding="utf-8") for name in ("split", "latency"))
        for part, name in (("queue", "series-4"), ("prompt", "phase-prompt"), ("decode", "phase-decode")):
            assert re.search(rf"\.{part}_ms\b[^{{]*{{ --phase: var\(--{name}\)", split)
            assert re.search(rf"\.part(-{part})? {{[^}}]*background: var\(--{name}\)", latency)
            assert f'colour: "{name}"' in (folder / "js/widgets/phases.js").read_text(encoding="utf-8")
