"""Which privacy settings a command obeys, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ferstream.app.assembly import live_mode, replay_mode
from ferstream.app.privacy import camera_of_recording, demo_privacy, masks_of_recording, refuse_single_faces
from ferstream.capture.geometry import PictureOptions
from ferstream.errors import ConfigError, ExitCode
from ferstream.events.privacy import PrivacyRules
from ferstream.settings import Settings

LEFT, RIGHT = (((0.0, 0.0), (0.5, 0.0), (0.5, 1.0)),), (((1.0, 0.0), (0.5, 0.0), (0.5, 1.0)),)


def camera(name: str, masks: Any = (), source: str = "rtsp://cam.lan/live") -> dict[str, Any]:
    return {"name": name, "source": source, "masks": masks}


def made(*cameras: dict[str, Any]) -> Settings:
    return Settings.model_validate({"cameras": cameras})


def test_every_mode_of_a_pipeline_has_the_rules_of_the_settings() -> None:
    settings = Settings.model_validate({"privacy": {"aggregate_only": True, "min_group_size": 7}})
    for mode in (live_mode(settings), replay_mode(settings)):
        assert mode.config.privacy == PrivacyRules(aggregate_only=True, min_group_size=7)


class TestMasksOfARecording:
    def test_those_of_the_only_camera(self) -> None:
        assert masks_of_recording(made(camera("door", LEFT)), None) == LEFT

    def test_those_of_the_named_camera(self) -> None:
        settings = made(camera("door", LEFT), camera("yard", RIGHT), camera("hall"))
        assert masks_of_recording(settings, "yard") == RIGHT
        assert masks_of_recording(settings, "hall") == ()

    def test_several_cameras_with_masks_are_refused_without_a_name(self) -> None:
        with pytest.raises(ConfigError, match="give --camera NAME, one of door, yard") as raised:
            masks_of_recording(made(camera("door", LEFT), camera("yard")), None)
        assert raised.value.exit_code is ExitCode.USAGE

    def test_several_cameras_without_masks_need_no_name(self) -> None:
        assert masks_of_recording(made(camera("door"), camera("yard")), None) == ()

    def test_an_unknown_name_is_refused_with_the_known_ones(self) -> None:
        with pytest.raises(ConfigError, match='"garden": no camera of the settings has that name; cameras: door'):
            masks_of_recording(made(camera("door", LEFT)), "garden")


def test_the_camera_of_a_recording_is_the_named_or_the_only_one() -> None:
    one, several = made(camera("door")), made(camera("door"), camera("yard"))
    assert camera_of_recording(one, None) == one.cameras[0]
    assert camera_of_recording(several, "yard") == several.cameras[1]
    assert camera_of_recording(several, None) is None


def test_outputs_of_single_faces_are_refused_with_aggregate_only() -> None:
    refuse_single_faces(Settings(), "--events")
    with pytest.raises(ConfigError, match=r"privacy\.aggregate_only is set, and --events would publish") as raised:
        refuse_single_faces(Settings.model_validate({"privacy": {"aggregate_only": True}}), "--events")
    assert raised.value.exit_code is ExitCode.USAGE
    assert "\n" not in str(raised.value)


MASK = "[[[0, 0], [0.5, 0], [0.5, 1]]]"
HERE = f"""
[[cameras]]
name = "door"
source = "rtsp://viewer:secret@cam.lan/live"
masks = {MASK}
[[cameras]]
name = "clip"
source = "clips/a.mp4"
masks = {MASK}
[[cameras]]
name = "hall"
source = "webcam:1"
[privacy]
aggregate_only = true
min_group_size = 9
"""


class TestDemo:
    """It obeys the settings that ``ferstream run`` would use in the working folder."""

    @pytest.fixture(autouse=True)
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        file = tmp_path / "ferstream.toml"
        file.write_text(HERE)
        return file

    def test_the_built_in_clip_needs_none(self, here: Path) -> None:
        here.write_text("not TOML")
        assert demo_privacy("demo:") is None

    def test_the_rule_of_groups(self) -> None:
        found = demo_privacy("webcam:1")
        assert found is not None
        assert (found.aggregate_only, found.min_group_size, found.masks) == (True, 9, ())

    @pytest.mark.parametrize("source", ["rtsp://cam.lan/live", "rtsp://other:word@cam.lan/live", "clips/a.mp4"])
    def test_the_masks_of_the_same_source(self, source: str) -> None:
        found = demo_privacy(source)
        assert found is not None
        assert len(found.masks) == 1

    def test_another_stream_of_a_host_with_masks_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"camera door of .* has masks and is at the same host"):
            demo_privacy("rtsp://cam.lan/other")

    def test_settings_that_cannot_be_read_are_refused(self, here: Path) -> None:
        here.write_text("[privacy]\naggregate_only = 1\n")
        with pytest.raises(ConfigError, match="demo obeys the privacy settings of this machine, which cannot be read"):
            demo_privacy("webcam:0")

    def test_variables_count_without_a_file(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        here.unlink()
        monkeypatch.setenv("FERSTREAM_PRIVACY__AGGREGATE_ONLY", "true")
        found = demo_privacy("webcam:0")
        assert found is not None
        assert found.aggregate_only

    def test_the_picture_is_turned_as_the_masks_expect(self, here: Path) -> None:
        here.write_text(HERE.replace('source = "clips/a.mp4"', 'source = "clips/a.mp4"\nrotate = 180\nmirror = true\npixel_aspect = 2'))
        found, other = demo_privacy("clips/a.mp4"), demo_privacy("webcam:1")
        assert found is not None and other is not None
        assert found.picture == PictureOptions(rotate=180, mirror=True, pixel_aspect=2.0)
        assert other.picture == PictureOptions()
