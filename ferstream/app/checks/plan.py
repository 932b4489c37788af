"""All checks of ``ferstream check``: they run at the same time, and their findings come in a fixed order.

Each check runs in a thread of its own with a time limit, so that one that hangs does not hold up the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ferstream.app.checks.broker import BROKER_TIMEOUT_S, check_broker
from ferstream.app.checks.cameras import advice, check_camera, timeout_s
from ferstream.app.checks.finding import Finding, failed, passed, warned, warned_of_setting, wrong_setting
from ferstream.app.checks.models import check_classifier, check_detector
from ferstream.app.checks.places import check_http, check_outbox, check_secrets
from ferstream.app.checks.sinks import SINK_TIMEOUT_S, check_kafka, check_webhook
from ferstream.capture.display_name import display_name
from ferstream.errors import ExitCode, SourceTimeoutError
from ferstream.runtime.deadline import DeadlineCall
from ferstream.runtime.program import command
from ferstream.settings import CameraSettings, Settings, load
from ferstream.settings.problems import SettingsError
from ferstream.settings.secrets import with_secrets

MODEL_TIMEOUT_S = 120.0
MACHINE_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check and its time limit.

    Attributes:
        run: Does the check; called in a thread of its own.
        timeout_s: Seconds it may take.
        late: The finding to report when it takes longer.
    """

    run: Callable[[], Iterable[Finding]]
    timeout_s: float
    late: Finding


def read_settings(file: Path | None, environ: Mapping[str, str] | None = None) -> tuple[Settings | None, list[Finding]]:
    """Read the settings, and as many of their secrets as can be read.

    Returns:
        The settings, or None if they cannot be used; and the findings about them.
    """
    environ = os.environ if environ is None else environ
    try:
        loaded = load(file, environ=environ, secrets=False)
    except SettingsError as exc:
        return None, [wrong_setting("settings", problem, _manual()) for problem in exc.problems]
    where = str(loaded.file) if loaded.file else "no settings file: environment variables and defaults"
    count = len(loaded.settings.cameras)
    found = [passed("settings", f"{where}; {count} camera{'' if count == 1 else 's'}")]
    found += [warned("settings", note, "move the key to its new place") for note in loaded.notes]
    found += [warned_of_setting("settings", problem) for problem in loaded.passwords]
    found += check_secrets(loaded.settings)
    try:
        return with_secrets(loaded.settings, environ), found
    except SettingsError:
        return loaded.settings, found


def findings(settings: Settings) -> Iterator[Finding]:
    """Check every part at the same time; the findings come in the order cameras, broker, other sinks, models, this machine."""
    return run_checks(checks_of(settings))


def checks_of(settings: Settings) -> list[Check]:
    """Return the checks of these settings in the order of the report."""
    late_broker = failed(
        "broker", f"{settings.mqtt.url}: no answer", "is the broker running, and can this machine reach it?", ExitCode.BROKER
    )
    return [
        *(_camera(camera, settings.detection.width) for camera in settings.cameras),
        Check(run=partial(check_broker, settings), timeout_s=BROKER_TIMEOUT_S, late=late_broker),
        *_network_sinks(settings),
        _model("detector", partial(check_detector, settings)),
        _model("model", partial(check_classifier, settings)),
        _machine("http", partial(check_http, settings)),
        _machine("outbox", partial(check_outbox, settings)),
    ]


def _camera(camera: CameraSettings, width: int) -> Check:
    limit_s = timeout_s(camera)
    detail = f"{display_name(camera.source)}: no answer within {limit_s:g} s"
    late = failed(f"camera {camera.name}", detail, advice(camera, SourceTimeoutError()), ExitCode.SOURCE)
    return Check(run=partial(check_camera, camera, width=width), timeout_s=limit_s, late=late)


def _network_sinks(settings: Settings) -> Iterator[Check]:
    """Yield the checks of the sinks that the settings ask for."""
    for part, enabled, run in (
        ("webhook", settings.webhook.enabled, check_webhook),
        ("kafka", settings.kafka.enabled, check_kafka),
    ):
        if enabled:
            late = failed(part, f"no answer within {SINK_TIMEOUT_S:g} s", "can this machine reach it?", ExitCode.BROKER)
            yield Check(run=partial(run, settings), timeout_s=SINK_TIMEOUT_S, late=late)


def _model(part: str, run: Callable[[], Iterable[Finding]]) -> Check:
    late = failed(part, f"not loaded within {MODEL_TIMEOUT_S:g} s", "is the machine overloaded?", ExitCode.MODEL)
    return Check(run=run, timeout_s=MODEL_TIMEOUT_S, late=late)


def _machine(part: str, run: Callable[[], Iterable[Finding]]) -> Check:
    late = failed(part, f"no answer within {MACHINE_TIMEOUT_S:g} s", "does the disk or the network hang?", ExitCode.INTERNAL)
    return Check(run=run, timeout_s=MACHINE_TIMEOUT_S, late=late)


def run_checks(checks: Iterable[Check]) -> Iterator[Finding]:
    """Start all checks, then yield the findings of each in turn."""
    calls = [(check, _start(check)) for check in checks]
    for check, call in calls:
        yield from _results(check, call)


def _start(check: Check) -> DeadlineCall[list[Finding]]:
    return DeadlineCall(lambda: list(check.run()), name=f"check {check.late.part}", timeout_s=check.timeout_s)


def _results(check: Check, call: DeadlineCall[list[Finding]]) -> list[Finding]:
    try:
        return call.result()
    except TimeoutError:
        return [check.late]
    except Exception as exc:  # noqa: BLE001 (the end of the check's thread: a bug in one check is reported like a failure)
        detail = f"unexpected {type(exc).__name__}: {exc}"
        return [failed(check.late.part, detail, "this is a bug of ferstream: please report it", ExitCode.INTERNAL)]


def _manual() -> str:
    return f"see docs/configuration.md, and: {command('config', 'reference')}"
