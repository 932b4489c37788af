"""Labels of faces never cover each other, and are inside the picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferstream.stills.labels import Area, place_labels

PICTURE = Area(10, 20, 600, 400)
SIZE = (70.0, 14.0)


def overlap(a: Area, b: Area) -> bool:
    (left, top, right, bottom), (left2, top2, right2, bottom2) = a.corners, b.corners
    return left < right2 and left2 < right and top < bottom2 and top2 < bottom


def grid(columns: int, rows: int, side: float) -> list[Area]:
    xs, ys = np.linspace(10, 610 - side, columns), np.linspace(20, 420 - side, rows)
    return [Area(float(x), float(y), side, side) for y in ys for x in xs]


def check(places: list[Area | None]) -> list[Area]:
    found = [place for place in places if place is not None]
    assert not any(overlap(a, b) for index, a in enumerate(found) for b in found[:index])
    for place in found:
        left, top, right, bottom = place.corners
        assert left >= 10 - 1e-9 and top >= 20 - 1e-9 and right <= 610 + 1e-9 and bottom <= 420 + 1e-9
    return found


def test_a_label_is_above_its_face_and_below_it_at_the_upper_border() -> None:
    free, at_border = place_labels([Area(100, 100, 50, 50), Area(300, 22, 50, 50)], [SIZE, SIZE], PICTURE, far=False)
    assert free == Area(100, 85, 70, 14)
    assert at_border is not None
    assert at_border.top == 73


def test_a_label_does_not_cover_another_face() -> None:
    faces = [Area(100, 100, 50, 50), Area(100, 60, 50, 38)]
    places = check(place_labels(faces, [SIZE, SIZE], PICTURE, far=False))
    assert not overlap(places[0], faces[1])


@pytest.mark.parametrize(("columns", "rows", "side"), [(5, 4, 60.0), (12, 8, 25.0), (3, 1, 390.0)])
def test_every_face_of_a_crowd_has_a_label_somewhere(columns: int, rows: int, side: float) -> None:
    faces = grid(columns, rows, side)
    size = (24.0, 12.0)
    assert len(check(place_labels(faces, [size] * len(faces), PICTURE, far=True))) == len(faces)


def test_where_there_is_no_room_labels_are_left_out() -> None:
    faces = grid(40, 40, 8.0)
    places = place_labels(faces, [SIZE] * len(faces), PICTURE, far=True)
    assert 0 < len(check(places)) < len(faces)


boxes = st.builds(Area, st.floats(10, 560), st.floats(20, 370), st.floats(1, 300), st.floats(1, 300))


@given(faces=st.lists(boxes, max_size=25), far=st.booleans())
@settings(max_examples=60, deadline=None)
def test_random_faces_have_labels_that_do_not_overlap(faces: list[Area], far: bool) -> None:
    check(place_labels(faces, [SIZE] * len(faces), PICTURE, far=far))
