"""A URL where a path is expected: one line that shows the URL as it was given, and what to do."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from ferstream.cli import app
from ferstream.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["replay", "rtsp://camera.local/live"], r"^rtsp://camera\.local/live: is a stream, .* ferstream demo --source URL"),
        (["replay", "a.mp4", "https://host/clip.mp4"], r"^https://host/clip\.mp4: is a URL, .* download it first"),
        (["replay", "a.mp4", "-c", "https://host/f.toml"], r"^https://host/f\.toml: is a URL"),
        (["predict", "http://host/face.jpg"], r"^http://host/face\.jpg: is a URL"),
        (["predict", "a.jpg", "--out", "s3://bucket/out"], r"^s3://bucket/out: is a URL"),
        (["bench", "RTSP://host/live"], r"^RTSP://host/live: is a stream"),
        (["check", "-c", "file:///etc/ferstream.toml"], "write it without file://"),
        (["train", "data", "https://host/fer2013.csv"], r"^https://host/fer2013\.csv: is a URL"),
        (["train", "--data", "https://host/fer2013.csv"], r"^https://host/fer2013\.csv: is a URL"),
        (["evaluate", "--data", "https://host/fer2013.csv"], r"^https://host/fer2013\.csv: is a URL"),
        (["import-model", "https://host/model.h5", "--name", "x"], r"^https://host/model\.h5: is a URL"),
        (["config", "show", "-c", "http://host/f.toml"], r"^http://host/f\.toml: is a URL"),
    ],
)
def test_a_url_is_shown_as_it_was_given(words: list[str], says: str) -> None:
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, ConfigError)
    with pytest.raises(ConfigError, match=says):
        raise done.exception


def test_a_password_in_the_url_is_not_shown() -> None:
    done = CliRunner().invoke(app, ["replay", "rtsp://user:zirkelkasten@camera.local/live"])
    assert isinstance(done.exception, ConfigError)
    assert "zirkelkasten" not in str(done.exception)
    assert "camera.local" in str(done.exception)


@pytest.mark.parametrize("name", ["clip:1.mp4", "a//b.mp4", "rtsp:", "./http:/x"])
def test_other_names_are_paths(name: str) -> None:
    done = CliRunner().invoke(app, ["replay", name])
    assert not isinstance(done.exception, ConfigError)
