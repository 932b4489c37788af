"""What the demo shows on its page."""

from __future__ import annotations

import pytest

from ferstream.app.privacy import DemoPrivacy
from ferstream.capture.geometry import PictureOptions
from ferstream.cli.demo import BUILT_IN, demo_settings
from ferstream.settings import Settings


def _settings(source: str, *, pixels: bool | None = None, privacy: DemoPrivacy | None = None) -> Settings:
    return demo_settings(source, privacy, address="127.0.0.1:0", pixels=pixels, model=None)


def test_the_pictures_of_the_built_in_clip_are_shown() -> None:
    assert _settings(BUILT_IN).http.pixels
    assert not _settings(BUILT_IN, pixels=False).http.pixels


@pytest.mark.parametrize("source", ["webcam:0", "rtsp://192.0.2.1/door", "clip.mp4"])
def test_the_pictures_of_another_source_are_shown_only_on_request(source: str) -> None:
    assert not _settings(source).http.pixels
    assert _settings(source, pixels=True).http.pixels


def test_with_groups_only_no_picture_is_shown_whatever_was_asked_for() -> None:
    privacy = DemoPrivacy(aggregate_only=True, min_group_size=3, masks=(), picture=PictureOptions(), where="here")

    assert not _settings("webcam:0", pixels=True, privacy=privacy).http.pixels
