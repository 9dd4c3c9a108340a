"""The page's colours, judged by figures: contrast, and sight with each kind of colour blindness.

Contrast: WCAG 2.2, relative luminance; 3:1 for marks (1.4.11), 4.5:1 for text (1.4.3).
Simulation: Machado, Oliveira, Fernandes 2009, full severity, on linear RGB.
Distance: Euclidean in Oklab (Ottosson 2020), times 100; 10 is told apart side by side with ease.
"""

from __future__ import annotations

import itertools
import math
import re
from importlib.resources import files

import pytest

Colour = tuple[float, float, float]
Matrix = tuple[Colour, Colour, Colour]

SIGHT: dict[str, Matrix] = {
    "normal": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
SERIES = ("c1", "c2", "c3", "c4", "c5", "c6")


def _scheme(mode: str) -> dict[str, Colour]:
    """The style sheet's colours as linear RGB; dark ones override light ones."""
    css = files("howdah.report").joinpath("templates/page.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    text = blocks[0] if mode == "light" else blocks[1]
    found = re.findall(r"--([\w-]+): #([0-9a-f]{6});", text)
    return {name: _linear(value) for name, value in found}


def _linear(value: str) -> Colour:
    parts = [int(value[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return red, green, blue


def _times(matrix: Matrix, colour: Colour) -> Colour:
    x, y, z = (sum(a * b for a, b in zip(row, colour, strict=True)) for row in matrix)
    return x, y, z


def _contrast(one: Colour, other: Colour) -> float:
    low, high = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (one, other))
    return (high + 0.05) / (low + 0.05)


def _oklab(colour: Colour) -> Colour:
    red, green, blue = (min(1.0, max(0.0, part)) for part in colour)
    cone = _times(
        (
            (0.4122214708, 0.5363325363, 0.0514459929),
            (0.2119034982, 0.6806995451, 0.1073969566),
            (0.0883024619, 0.2817188376, 0.6299787005),
        ),
        (red, green, blue),
    )
    roots = (math.cbrt(cone[0]), math.cbrt(cone[1]), math.cbrt(cone[2]))
    return _times(
        (
            (0.2104542553, 0.7936177850, -0.0040720468),
            (1.9779984951, -2.4285922050, 0.4505937099),
            (0.0259040371, 0.7827717662, -0.8086757660),
        ),
        roots,
    )


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("sight", SIGHT)
def test_every_two_series_can_be_told_apart(mode: str, sight: str) -> None:
    scheme = _scheme(mode)
    seen = {name: _oklab(_times(SIGHT[sight], scheme[name])) for name in SERIES}
    near = {
        (one, other): round(distance, 1)
        for one, other in itertools.combinations(SERIES, 2)
        if (distance := 100 * math.dist(seen[one], seen[other])) < 10
    }
    assert not near


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_marks_stand_out_from_the_panel(mode: str) -> None:
    scheme = _scheme(mode)
    faint = {n: _contrast(scheme[n], scheme["panel"]) for n in (*SERIES, "c0")}
    assert min(faint.values()) >= 3, faint


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_can_be_read(mode: str) -> None:
    scheme = _scheme(mode)
    pairs = [
        (text, ground) for text in ("ink", "soft", "link") for ground in ("page", "panel", "code")
    ]
    for tone in ("critical", "warning", "notice", "good"):
        pairs += [(tone, "panel"), (tone, f"{tone}-tint"), ("ink", f"{tone}-tint")]
    pairs += [("soft", "good-tint"), ("link", "good-tint")]
    faint = {
        pair: round(ratio, 2)
        for pair in pairs
        if (ratio := _contrast(scheme[pair[0]], scheme[pair[1]])) < 4.5
    }
    assert not faint
