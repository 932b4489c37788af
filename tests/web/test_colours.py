"""The colours of the expressions: readable in both themes, and different for people with each kind of colour blindness."""

from __future__ import annotations

import itertools
import re

import numpy as np
import numpy.typing as npt
import pytest

from ferstream.domain.emotion import LABELS, UNKNOWN
from ferstream.web.pages import STATIC

Colour = npt.NDArray[np.float64]
"""(3,) float64: linear red, green and blue, 0..1."""

MIN_CONTRAST = 4.5
MIN_DISTANCE = 0.06
"""Least distance in OKLab between two expressions; about three times what is just noticed side by side."""
THEMES = ("light", "dark")
# Machado, Oliveira and Fernandes 2009, severity 1: what the eye of a dichromat makes of linear RGB.
_EYES: dict[str, npt.NDArray[np.float64]] = {
    "usual": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}
_TO_CONES = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566], [0.0883024619, 0.2817188376, 0.6299787005]]
)
_TO_LAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099], [0.0259040371, 0.7827717662, -0.8086757660]]
)


def _colours(theme: str) -> dict[str, Colour]:
    text = (STATIC / "page.css").read_text(encoding="utf-8")
    pairs = re.findall(r"--([a-z-]+): light-dark\(#([0-9a-f]{6}), #([0-9a-f]{6})\)", text)
    return {name: _linear(light if theme == "light" else dark) for name, light, dark in pairs}


def _linear(hexadecimal: str) -> Colour:
    stored = np.array(list(bytes.fromhex(hexadecimal))) / 255
    linear: Colour = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    return linear


def _contrast(one: Colour, other: Colour) -> float:
    low, high = sorted(float(colour @ np.array([0.2126, 0.7152, 0.0722])) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def _seen(colour: Colour, eye: str) -> Colour:
    lab: Colour = _TO_LAB @ np.cbrt(_TO_CONES @ np.clip(_EYES[eye] @ colour, 0, 1))
    return lab


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ground", ["ground", "surface", "raised"])
def test_text_is_readable_on_every_background(theme: str, ground: str) -> None:
    colours = _colours(theme)

    poor = {
        name: _contrast(colours[name], colours[ground]) for name in (*LABELS, UNKNOWN, "text", "muted", "accent", "good", "warn", "bad")
    }

    assert {name: ratio for name, ratio in poor.items() if ratio < MIN_CONTRAST} == {}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("eye", _EYES)
def test_every_two_expressions_differ_for_every_eye(theme: str, eye: str) -> None:
    colours = _colours(theme)

    near = {
        (one, other): distance
        for one, other in itertools.combinations(LABELS, 2)
        if (distance := float(np.linalg.norm(_seen(colours[one], eye) - _seen(colours[other], eye)))) < MIN_DISTANCE
    }

    assert near == {}
