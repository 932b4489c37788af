"""Of a source only scheme, host, port and the first part of its path get out of the process, by whatever way.

The secrets are invented: any parameter name, any place in the path. None is registered with the redactor, so only the
form of the URL can protect it.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferstream.app.checks.cameras import check_camera
from ferstream.capture.display_name import display_name
from ferstream.capture.libav_errors import translate_error
from ferstream.capture.status import CameraStateMachine
from ferstream.domain.event import CameraState, CameraStatus
from ferstream.errors import ConfigError
from ferstream.logs import configure_logging
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters
from ferstream.runtime.redaction import forget_secrets
from ferstream.settings import CameraSettings, Settings, load, load_settings
from ferstream.settings.render import effective
from tests.support.logs import logging_restored

NAMES = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)
SECRETS = st.text("XQZJ0123456789", min_size=6, max_size=12).filter(lambda text: not text.isdigit())
"""Letters and digits that no text of the program has in this combination."""


class Planted(NamedTuple):
    """A source with secrets in it, and what may be shown of it."""

    source: str
    shown: str
    secrets: tuple[str, ...]


@st.composite
def sources(draw: st.DrawFn) -> Planted:
    """A URL with invented parameters and path parts; the host is this machine, where nobody listens on port 1."""
    scheme, first = draw(st.sampled_from(["rtsp", "rtsps", "http", "https"])), draw(NAMES)
    secrets = tuple(draw(st.lists(SECRETS, min_size=1, max_size=4, unique=True)))
    path = "".join(f"/{draw(st.sampled_from([secret, f'{draw(NAMES)}={secret}', f'{secret}.sdp']))}" for secret in secrets[::2])
    query = draw(st.sampled_from("&;")).join(f"{draw(NAMES)}={secret}" for secret in secrets[1::2])
    url = f"{scheme}://127.0.0.1:1/{first}{path}" + (f"?{query}" if query else "")
    return Planted(url, f"{scheme}://127.0.0.1:1/{first}/***", secrets)


def assert_hidden(text: str, planted: Planted) -> None:
    assert not [secret for secret in planted.secrets if secret in text], text


@pytest.fixture(autouse=True)
def _logging_and_secrets_restored() -> Iterator[None]:
    forget_secrets()
    with logging_restored():
        yield


many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@many
@given(planted=sources())
def test_the_name_of_a_source_shows_the_allowed_parts_only(planted: Planted) -> None:
    assert display_name(planted.source) == planted.shown


@many
@given(planted=sources(), quotes=st.sampled_from(["''", '""', "<>", "()", "  "]))
def test_a_url_in_the_text_of_a_libav_error_is_hidden_in_the_retained_state(planted: Planted, quotes: str) -> None:
    states: list[CameraState] = []
    machine = CameraStateMachine(camera="door", on_state=states.append, observer=Counters(), clock=SystemClock())
    error = av.error.InvalidDataError(1094995529, f"Server returned 401 {quotes[0]}{planted.source}{quotes[1]}", planted.source)
    machine.enter(CameraStatus.CONNECTING)
    machine.enter(CameraStatus.OFFLINE, f"internal: {error}")
    machine.enter(CameraStatus.RECONNECTING, str(translate_error(error, display_name(planted.source), 5.0)))
    assert_hidden(str(states), planted)
    assert planted.shown in states[-1].reason


@pytest.mark.parametrize("wanted", ["console", "json"])
@many
@given(planted=sources())
def test_a_url_anywhere_in_a_log_record_is_hidden(wanted: str, planted: Planted) -> None:
    stream = io.StringIO()
    configure_logging(level="debug", format=wanted, stream=stream, environ={})
    log = structlog.get_logger("fuzz")
    try:
        raise RuntimeError(f"cannot open {planted.source}: refused")
    except RuntimeError as exc:
        log.error("failed", url=planted.source, urls=[planted.source, {"u": planted.source}], reason=repr(exc), exc_info=exc)
    logging.getLogger("libav.rtsp").warning("[rtsp @ 0x7f] opening '%s' for reading", planted.source)
    assert stream.getvalue().count("127.0.0.1:1/") >= 4
    assert_hidden(stream.getvalue(), planted)


@many
@given(planted=sources())
def test_settings_in_force_and_errors_of_settings_hide_it(planted: Planted, tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    camera = f'[[cameras]]\nname = "door"\nsource = "{planted.source}"\n'
    file.write_text(camera)
    shown = effective(load(file, environ={}))
    assert planted.shown in shown
    assert_hidden(shown, planted)
    file.write_text(camera.replace("://", "://a b@") + f'"{planted.source}" = 1\n[mqtt]\nurl = "{planted.source}"\n')
    with pytest.raises(ConfigError) as raised:
        load_settings(file, environ={})
    assert_hidden(str(raised.value), planted)


@settings(many, max_examples=5)
@given(planted=sources())
def test_the_report_of_check_hides_it(planted: Planted) -> None:
    camera = CameraSettings(name="door", source=planted.source, connect_timeout_s=5.0)
    (finding,) = check_camera(camera, width=Settings().detection.width)
    assert planted.shown in finding.detail
    assert_hidden(json.dumps(str(finding)), planted)
