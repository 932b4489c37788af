"""Which values are valid, and that credentials are moved out of URLs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ferstream.settings import CameraSettings, HttpSettings, MqttSettings, OutboxSettings, Settings


def camera(source: str, **fields: object) -> CameraSettings:
    return CameraSettings.model_validate({"name": "door", "source": source, **fields})


def test_credentials_are_moved_out_of_the_url_and_never_shown() -> None:
    found = camera("rtsp://us%40er:p%3Aa%2Fss@cam:554/s?x=1")
    assert (found.source, found.username) == ("rtsp://cam:554/s?x=1", "us@er")
    assert found.password is not None
    assert found.password.get_secret_value() == "p:a/ss"
    for shown in (repr(found), str(found), found.model_dump_json(), repr(found.model_dump())):
        assert "p:a/ss" not in shown
        assert "p%3Aa" not in shown


def test_credentials_of_keys_win_over_those_of_the_url() -> None:
    found = camera("rtsp://url:urlpass@cam/s", username="key", password_file="/pw")
    assert (found.username, found.password, found.password_file) == ("key", None, Path("/pw"))


def test_credentials_are_moved_out_of_a_broker_url() -> None:
    found = MqttSettings.model_validate({"url": "mqtts://u:pass@broker"})
    assert (found.url, found.username, found.embedded) == ("mqtts://broker", "u", False)
    assert found.password is not None


@given(name=st.text(min_size=1, max_size=20), password=st.text(max_size=20))
def test_quoted_credentials_come_out_as_they_went_in(name: str, password: str) -> None:
    from urllib.parse import quote

    try:
        url = f"rtsp://{quote(name, safe='')}:{quote(password, safe='')}@cam/s"
    except UnicodeEncodeError:
        return
    found = camera(url)
    assert found.source == "rtsp://cam/s"
    assert found.username == name
    assert found.password is not None
    assert found.password.get_secret_value() == password


@pytest.mark.parametrize(
    "source",
    ["rtsp://cam", "rtsp://CAM/s", "rtsps://[::1]:322/s", "https://h/x.m3u8", "a b.mp4", "webcam", "webcam:3", "demo:", "C:clip.mp4"],
)
def test_valid_sources(source: str) -> None:
    assert camera(source).source == source


def test_the_case_of_a_scheme_does_not_matter() -> None:
    assert camera("RTSP://CAM/S").source == "rtsp://CAM/S"
    assert MqttSettings(url="MQTTS://Broker").url == "mqtts://Broker"


@pytest.mark.parametrize("source", ["rtsp:/u:hunter2@cam/s", "RTSP:u:hunter2@cam", "http:/cam", "Rtsps :/cam"])
def test_a_url_with_one_slash_is_refused_without_its_password(source: str) -> None:
    with pytest.raises(ValidationError, match="with two slashes after the colon") as caught:
        camera(source)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "source", ["", " ", "ftp://h/x", "rtsp://", "rtsp://h:x/", "rtsp://h:99999/", "rtsp://[::1/", "rtsp://a b/", "webcam:x", "\0"]
)
def test_invalid_sources_are_refused(source: str) -> None:
    with pytest.raises(ValidationError):
        camera(source)


@pytest.mark.parametrize(
    ("listen", "host", "port", "loopback"),
    [("127.0.0.1:9108", "127.0.0.1", 9108, True), ("[::1]:80", "::1", 80, True), ("0.0.0.0:0", "0.0.0.0", 0, False)],
)
def test_listen_is_split_into_host_and_port(listen: str, host: str, port: int, loopback: bool) -> None:
    http = HttpSettings(listen=listen)
    assert (http.host, http.port, http.loopback) == (host, port, loopback)


@pytest.mark.parametrize("listen", ["", "9108", ":9108", "h:65536", "::1:80"])
def test_a_listen_address_that_is_not_valid_is_refused(listen: str) -> None:
    with pytest.raises(ValidationError, match="expected address:port"):
        HttpSettings(listen=listen)


def test_the_outbox_is_in_the_state_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/ferstream:/other")
    assert OutboxSettings().directory == Path("/var/lib/ferstream/outbox")
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", "/home/x/state")
    assert OutboxSettings().directory == Path("/home/x/state/ferstream/outbox")
    assert OutboxSettings(path="memory").directory is None
    assert OutboxSettings(path="/data").directory == Path("/data")


def test_the_node_is_named_after_the_host_in_a_form_that_fits_a_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "bo x/1+.lan")
    assert Settings().node == "bo-x-1-"
    monkeypatch.setattr("socket.gethostname", lambda: "")
    assert Settings().node == "ferstream"


def test_a_camera_is_found_by_name() -> None:
    assert Settings().camera("webcam").source == "webcam:0"
    with pytest.raises(KeyError):
        Settings().camera("none")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().detection.width = 3  # type: ignore[misc]


@pytest.mark.parametrize("keys", [{"rotate": 45}, {"rotate": True}, {"rotate": -90}, {"pixel_aspect": 0}, {"pixel_aspect": 5.0}])
def test_a_shape_of_pictures_that_is_not_possible_is_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(keys))):
        CameraSettings.model_validate({"name": "door", "source": "demo:", **keys})


def test_pictures_are_as_the_source_says_without_settings() -> None:
    camera = CameraSettings(name="door", source="demo:")
    assert (camera.rotate, camera.mirror, camera.pixel_aspect) == (0, False, None)
