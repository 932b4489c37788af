"""How a drawing of a still is divided: the picture, and a panel for each of its faces at its right or, for a panorama, below it."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PANELS = 24
PANEL_INCH = (3.1, 1.75)
"""Width and height of a panel."""
MARGIN_INCH = 0.15
TITLE_INCH = 0.3

_PANELS_PER_COLUMN = 4
_WIDE = 2.2
"""Pictures of this width / height and above have their panels below."""
_WIDE_INCH = (12.4, 18.6)
"""Width of a drawing with panels below, with few and with many faces."""
_FEW_PANELS = 8
_LEAST_INCH = 2.6
_WIDEST_INCH = 11.0
_LEAST_HEIGHT_INCH = (4.2, 5.4)
"""Height beside at most two panels, and beside more."""


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle of the drawing in inches, from its lower left corner."""

    left: float
    bottom: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of a drawing in inches.

    Attributes:
        width: Of the whole drawing.
        height: Of the whole drawing.
        picture: Where the picture is.
        panels: Where the panels are, in their order.
    """

    width: float
    height: float
    picture: Place
    panels: tuple[Place, ...]


def layout_for(panels: int, aspect: float) -> Layout:
    """Return the sizes for a number of panels and a picture of ``aspect`` = width / height."""
    return _panels_below(panels, aspect) if aspect >= _WIDE and panels else _panels_beside(panels, aspect)


def _panels_beside(panels: int, aspect: float) -> Layout:
    columns = -(-panels // _PANELS_PER_COLUMN)
    rows = min(panels, _PANELS_PER_COLUMN)
    height = max(PANEL_INCH[1] * rows, _LEAST_HEIGHT_INCH[0] if panels <= 2 else _LEAST_HEIGHT_INCH[1])
    width = min(max(height * aspect, _LEAST_INCH), _WIDEST_INCH)
    height = max(min(height, width / aspect), PANEL_INCH[1] * max(rows, 1))
    whole = height + 2 * MARGIN_INCH + TITLE_INCH
    places = []
    for index in range(panels):
        column, row = divmod(index, _PANELS_PER_COLUMN)
        places.append(_panel(MARGIN_INCH + width + column * PANEL_INCH[0], whole - TITLE_INCH - MARGIN_INCH - (row + 1) * PANEL_INCH[1]))
    return Layout(
        width=width + columns * PANEL_INCH[0] + 2 * MARGIN_INCH,
        height=whole,
        picture=Place(MARGIN_INCH, MARGIN_INCH, width, height),
        panels=tuple(places),
    )


def _panels_below(panels: int, aspect: float) -> Layout:
    width = _WIDE_INCH[panels > _FEW_PANELS]
    height = max(width / aspect, 0.5)
    columns = int(width // PANEL_INCH[0])
    rows = -(-panels // columns)
    whole = height + rows * PANEL_INCH[1] + 2 * MARGIN_INCH + TITLE_INCH
    bottom = MARGIN_INCH + rows * PANEL_INCH[1]
    places = [
        _panel(MARGIN_INCH + index % columns * PANEL_INCH[0], bottom - (index // columns + 1) * PANEL_INCH[1]) for index in range(panels)
    ]
    return Layout(width=width + 2 * MARGIN_INCH, height=whole, picture=Place(MARGIN_INCH, bottom, width, height), panels=tuple(places))


def _panel(left: float, bottom: float) -> Place:
    return Place(left, bottom, *PANEL_INCH)
