"""Which pixel aspect a picture of a stream has: container against codec, and changes on the way."""

from __future__ import annotations

from fractions import Fraction

import pytest

from ferstream.capture.pixel_aspects import Aspect, PixelAspects

WIDE, NARROW, UNKNOWN = Fraction(64, 45), Fraction(16, 15), Fraction(0, 1)


@pytest.mark.parametrize(
    ("stated", "coded", "expected"),
    [
        (UNKNOWN, UNKNOWN, 1.0),
        (None, None, 1.0),
        (WIDE, UNKNOWN, 64 / 45),
        (WIDE, WIDE, 64 / 45),
        (WIDE, Fraction(1, 1), 64 / 45),
        (Fraction(1, 1), WIDE, 1.0),
        (Fraction(1000, 1), WIDE, 64 / 45),
        (Fraction(1000, 1), Fraction(-1, 1), 1.0),
    ],
)
def test_the_container_counts_before_the_codec(stated: Aspect, coded: Aspect, expected: float) -> None:
    assert PixelAspects(stated, coded).at(0) == expected


def test_a_change_of_the_codec_counts_from_its_packet_on() -> None:
    aspects = PixelAspects(NARROW, NARROW)
    aspects.packet_decoded(NARROW, 100)
    aspects.packet_decoded(WIDE, 200)
    assert [aspects.at(pts) for pts in (100, 199, None, 200, 201)] == [16 / 15, 16 / 15, 64 / 45, 64 / 45, 64 / 45]
    aspects.packet_decoded(NARROW, 300)
    assert [aspects.at(pts) for pts in (299, 300)] == [64 / 45, 16 / 15]


def test_timestamps_that_jump_back_after_a_change_keep_the_new_aspect() -> None:
    aspects = PixelAspects(NARROW, NARROW)
    aspects.packet_decoded(WIDE, 200)
    assert [aspects.at(pts) for pts in (160, 200, 0, 40)] == [16 / 15, 64 / 45, 64 / 45, 64 / 45]


def test_an_aspect_that_the_container_alone_states_never_changes() -> None:
    aspects = PixelAspects(WIDE, UNKNOWN)
    aspects.packet_decoded(NARROW, 200)
    assert aspects.at(300) == 64 / 45


def test_an_aspect_that_comes_with_the_first_packet_counts_for_its_picture() -> None:
    aspects = PixelAspects(UNKNOWN, UNKNOWN)
    aspects.packet_decoded(WIDE, None)
    assert aspects.at(0) == 64 / 45


def test_a_codec_that_falls_silent_leaves_what_the_container_states() -> None:
    aspects = PixelAspects(WIDE, WIDE)
    aspects.packet_decoded(UNKNOWN, 200)
    assert aspects.at(300) == 64 / 45
