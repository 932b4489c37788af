"""All checks at once, reported in a fixed order; one that hangs does not keep the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from ferstream.app.checks.broker import BROKER_TIMEOUT_S, check_broker
from ferstream.app.checks.cameras import advice, check_camera, timeout_s
from ferstream.app.checks.finding import Finding, Verdict, failed, passed, warned
from ferstream.app.checks.models import check_classifier, check_detector
from ferstream.app.checks.places import check_http, check_outbox, check_secrets
from ferstream.errors import ExitCode, SourceTimeoutError
from ferstream.runtime.deadline import DeadlineCall
from ferstream.settings import Settings, load
from ferstream.settings.problems import Problem, SettingsError, one_line
from ferstream.settings.secrets import with_secrets

MODEL_TIMEOUT_S = 120.0
_MANUAL = "see docs/configuration.md, and: ferstream config reference"


def read_settings(file: Path | None, environ: Mapping[str, str] | None = None) -> tuple[Settings | None, list[Finding]]:
    """Read the settings; with secrets as far as they can be read.

    Returns:
        The settings, None if they cannot be used, and what was found.
    """
    environ = os.environ if environ is None else environ
    try:
        loaded = load(file, environ=environ, secrets=False)
    except SettingsError as exc:
        return None, [_wrong_setting(problem) for problem in exc.problems]
    where = str(loaded.file) if loaded.file else "no file: webcam 0 and the embedded broker"
    count = len(loaded.settings.cameras)
    found = [passed("settings", f"{where}; {count} camera{'' if count == 1 else 's'}")]
    found += [warned("settings", note, "move the key to its new place") for note in loaded.notes]
    found += check_secrets(loaded.settings)
    try:
        return with_secrets(loaded.settings, environ), found
    except SettingsError:
        return loaded.settings, found


def _wrong_setting(problem: Problem) -> Finding:
    # Made directly: a problem holds no secret, and the redactor would take "password: a ..." for one.
    return Finding(verdict=Verdict.FAIL, part="settings", detail=one_line(str(problem)), advice=_MANUAL, exit_code=ExitCode.USAGE)


def findings(settings: Settings) -> Iterator[Finding]:
    """Try every part at the same time; findings come in the order cameras, broker, models, this machine."""
    width = settings.detection.width
    jobs: list[tuple[str, DeadlineCall[list[Finding]], Finding]] = []
    for camera in settings.cameras:
        late = failed(
            f"camera {camera.name}",
            f"{camera.source}: no answer within {timeout_s(camera):g} s",
            advice(camera, SourceTimeoutError()),
            ExitCode.SOURCE,
        )
        jobs.append(_begin(partial(check_camera, camera, width=width), late, timeout_s(camera)))
    late = failed("broker", f"{settings.mqtt.url}: no answer", "is the broker running, and can this machine reach it?", ExitCode.BROKER)
    jobs.append(_begin(partial(check_broker, settings), late, BROKER_TIMEOUT_S))
    for part, check in (("detector", check_detector), ("model", check_classifier)):
        late = failed(part, f"not loaded within {MODEL_TIMEOUT_S:g} s", "is the machine overloaded?", ExitCode.MODEL)
        jobs.append(_begin(partial(check, settings), late, MODEL_TIMEOUT_S))
    for part, check in (("http", check_http), ("outbox", check_outbox)):
        late = failed(part, "no answer", "is the disk or the network stuck?", ExitCode.INTERNAL)
        jobs.append(_begin(partial(check, settings), late, MODEL_TIMEOUT_S))
    for part, attempt, late in jobs:
        yield from _results(part, attempt, late)


def _begin(check: Callable[[], Iterable[Finding]], late: Finding, limit_s: float) -> tuple[str, DeadlineCall[list[Finding]], Finding]:
    return late.part, DeadlineCall(lambda: list(check()), name=f"check {late.part}", timeout_s=limit_s), late


def _results(part: str, attempt: DeadlineCall[list[Finding]], late: Finding) -> list[Finding]:
    try:
        return attempt.result()
    except TimeoutError:
        return [late]
    except Exception as exc:
        return [failed(part, f"unforeseen {type(exc).__name__}: {exc}", "this is a bug of ferstream: please report it", ExitCode.INTERNAL)]
