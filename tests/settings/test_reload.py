"""The difference between two settings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ferstream.settings import CameraSettings, LogSettings, MqttSettings, Settings, diff


def camera(name: str, fps: float = 10, password: str | None = None) -> CameraSettings:
    return CameraSettings.model_validate({"name": name, "source": "demo:", "analysis_fps": fps, "password": password})


def fleet(*cameras: CameraSettings) -> Settings:
    return Settings(node="n", cameras=cameras)


def test_equal_settings_have_no_changes() -> None:
    assert not diff(fleet(camera("a")), fleet(camera("a")))


def test_cameras_are_added_removed_and_changed() -> None:
    changes = diff(fleet(camera("gone"), camera("same"), camera("other")), fleet(camera("other", 5), camera("same"), camera("new")))
    assert [c.name for c in changes.added] == ["new"]
    assert changes.removed == ("gone",)
    assert [(c.name, c.analysis_fps) for c in changes.changed] == [("other", 5)]
    assert changes.restart == changes.live == ()


def test_the_order_of_cameras_makes_no_difference() -> None:
    assert not diff(fleet(camera("a"), camera("b")), fleet(camera("b"), camera("a")))


def test_a_new_password_is_a_change() -> None:
    assert [c.name for c in diff(fleet(camera("a", password="x")), fleet(camera("a", password="y"))).changed] == ["a"]


def test_the_log_level_is_applied_at_once() -> None:
    changes = diff(fleet(), fleet().model_copy(update={"log": LogSettings(level="debug")}))
    assert (changes.live, changes.restart) == (("log.level",), ())


def test_other_keys_need_a_restart() -> None:
    new = Settings(node="m", cameras=(), mqtt=MqttSettings(url="mqtt://h", prefix="p"))
    assert diff(fleet(), new).restart == ("node", "mqtt.url", "mqtt.prefix")


fleets = st.lists(st.builds(camera, st.sampled_from("abcdef"), st.sampled_from([1.0, 2.0])), unique_by=lambda c: c.name).map(
    lambda cs: fleet(*cs)
)


@given(old=fleets, new=fleets)
def test_applying_the_difference_gives_the_new_cameras(old: Settings, new: Settings) -> None:
    changes = diff(old, new)
    running = {c.name: c for c in old.cameras if c.name not in changes.removed}
    running |= {c.name: c for c in (*changes.added, *changes.changed)}
    assert running == {c.name: c for c in new.cameras}
    assert not {c.name for c in changes.added} & {c.name for c in old.cameras}
    assert all(old.camera(c.name) != c for c in changes.changed)
