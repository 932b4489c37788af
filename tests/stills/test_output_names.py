"""Each annotated picture has a name of its own, on every file system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.stills.output_names import output_names


def names(*pictures: str, taken: tuple[str, ...] = ()) -> list[str]:
    return [name.removesuffix(".faces.png") for name in output_names([Path(picture) for picture in pictures], taken=taken)]


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        (("a.jpg", "b.jpg"), ["a", "b"]),
        (("x/a.jpg", "y/a.jpg"), ["a", "a-2"]),
        (("a.jpg", "a.png", "a-2.png"), ["a", "a-3", "a-2"]),
        (("a-2.png", "a.png", "a.jpg"), ["a-2", "a", "a-3"]),
        (("a.jpg", "a.jpg", "a.jpg"), ["a", "a-2", "a-3"]),
        (("A.jpg", "a.jpg", "A-2.png"), ["A", "a-3", "A-2"]),
        (("caf\u00e9.jpg", "cafe\u0301.jpg"), ["caf\u00e9", "cafe\u0301-2"]),
        (("stra\u00dfe.jpg", "STRASSE.jpg"), ["stra\u00dfe", "STRASSE-2"]),
        (("price_$5.jpg", "{0}%s.png", ".hidden"), ["price_$5", "{0}%s", ".hidden"]),
        (("a.tar.jpg", "a.tar.png"), ["a.tar", "a.tar-2"]),
    ],
)
def test_names_are_unique_and_the_first_of_a_name_has_it(pictures: tuple[str, ...], expected: list[str]) -> None:
    assert names(*pictures) == expected


def test_a_file_that_must_stay_is_not_overwritten() -> None:
    assert names("a.jpg", "a.faces.png", taken=("a.jpg", "A.faces.png")) == ["a-2", "a.faces"]


@pytest.mark.parametrize("stem", ["x" * 251, "\u00e4" * 125, "\u65e5" * 83, "\udcff" * 251])
def test_names_fit_into_a_file_system(stem: str, tmp_path: Path) -> None:
    first, second = output_names([Path(f"{stem}.jpg"), Path(f"{stem}.png")])
    assert first != second
    for name in (first, second):
        assert len(os.fsencode(name)) <= 255
        (tmp_path / name).touch()


@given(stems=st.lists(st.sampled_from(["a", "A", "a-2", "a-2-2", "A-3", "b"]), max_size=12))
def test_no_two_names_are_equal_without_case(stems: list[str]) -> None:
    given_names = names(*(f"{index}/{stem}.jpg" for index, stem in enumerate(stems)))
    assert len({name.casefold() for name in given_names}) == len(stems)
