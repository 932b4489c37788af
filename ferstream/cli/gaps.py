"""``ferstream gaps``: what a subscriber of the events misses, gets twice or out of order."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from ferstream.events.gaps import GapFinder
    from ferstream.sinks.mqtt.address import BrokerAddress

GAPS_FOUND = 1
"""Exit status when numbers are missing."""


def gaps(
    file: Annotated[
        Path | None,
        typer.Argument(help="JSON lines to look through instead of a broker; - is stdin.", show_default=False),
    ] = None,
    url: Annotated[str, typer.Option(help="Broker: mqtt://, mqtts://, ws:// or wss://.")] = "mqtt://127.0.0.1:1883",
    prefix: Annotated[str, typer.Option(help="First levels of the topics.")] = "ferstream",
    seconds: Annotated[float | None, typer.Option(min=0.1, help="End after so long; else at Ctrl-C.", show_default=False)] = None,
    username: Annotated[str | None, typer.Option(help="User name at the broker.", show_default=False)] = None,
    password_file: Annotated[Path | None, typer.Option(help="File with the password.", show_default=False)] = None,
    ca_file: Annotated[Path | None, typer.Option(help="Certificates to trust, PEM.", show_default=False)] = None,
    cert_file: Annotated[Path | None, typer.Option(help="Client certificate, PEM.", show_default=False)] = None,
    key_file: Annotated[Path | None, typer.Option(help="Its key, PEM.", show_default=False)] = None,
    protocol: Annotated[str, typer.Option(help="MQTT version: 5 or 3.1.1.")] = "5",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Report gaps, doubles and disorder of face and track events, by their seq.

    Exit status: 0 nothing missing, 1 numbers are missing, 4 the broker cannot be used. Doubles
    and late messages are told but are no fault: delivery is at least once.
    """
    from ferstream.events.gaps import GapFinder

    finder = GapFinder()
    if file is not None:
        _read_file(finder, file)
    else:
        access = Access(username, password_file, ca_file, cert_file, key_file)
        _subscribe(finder, _address(url, access, protocol), f"{prefix}/#", seconds)
    typer.echo(json.dumps(_as_json(finder), indent=2) if as_json else "\n".join(_as_text(finder)))
    if finder.missing:
        raise typer.Exit(GAPS_FOUND)


def _read_file(finder: GapFinder, path: Path) -> None:
    from ferstream.errors import DataError

    try:
        with sys.stdin.buffer if str(path) == "-" else path.open("rb") as lines:
            for line in lines:
                if line.strip():
                    finder.add(_decoded(line))
    except OSError as exc:
        raise DataError(f"cannot read {path}: {exc.strerror}") from exc


@dataclass(frozen=True, slots=True)
class Access:
    """How to be let in by the broker; the options of the same names."""

    username: str | None
    password_file: Path | None
    ca_file: Path | None
    cert_file: Path | None
    key_file: Path | None


def _address(url: str, access: Access, protocol: str) -> BrokerAddress:
    import secrets

    from ferstream.errors import ConfigError
    from ferstream.sinks.mqtt.address import BrokerAddress

    parts = _url_parts(url)
    if parts.password is not None:
        raise ConfigError("--url: put the password into a file (--password-file); a command line is visible to others")
    if protocol not in ("5", "3.1.1"):
        raise ConfigError(f"--protocol {protocol}: expected 5 or 3.1.1")
    if access.key_file is not None and access.cert_file is None:
        raise ConfigError("--key-file: give the certificate it belongs to as well (--cert-file)")
    return BrokerAddress(
        url=url,
        client_id=f"ferstream-gaps-{secrets.token_hex(4)}",
        username=access.username or parts.username,
        password=_password(access.password_file),
        ca_file=access.ca_file,
        cert_file=access.cert_file,
        key_file=access.key_file,
        protocol=5 if protocol == "5" else 4,
    )


def _url_parts(url: str) -> SplitResult:
    from urllib.parse import urlsplit

    from ferstream.errors import ConfigError
    from ferstream.sinks.mqtt.address import DEFAULT_PORTS

    try:
        parts = urlsplit(url)
        usable = parts.scheme in DEFAULT_PORTS and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none, brackets that do not match
        usable = False
    if not usable:
        raise ConfigError("--url: expected mqtt://HOST[:PORT], mqtts://, ws:// or wss://, with a port from 1 to 65535")
    return parts


def _password(path: Path | None) -> str | None:
    from ferstream.errors import ConfigError

    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n") if path else None
    except OSError as exc:
        raise ConfigError(f"--password-file {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"--password-file {path}: not UTF-8") from exc


def _subscribe(finder: GapFinder, address: BrokerAddress, topic: str, seconds: float | None) -> None:
    import threading

    from ferstream.sinks.mqtt.subscriber import listen

    last: list[str] = []

    def hint(text: str) -> None:
        if last[-1:] != [text]:
            typer.echo(text, err=True)
            last.append(text)

    try:
        listen(
            address,
            (topic,),
            on_message=lambda message: _take(finder, message.topic, message.payload),
            stop=threading.Event(),
            seconds=seconds,
            on_ready=lambda: hint(f"listening to {topic} at {address.label}" + ("" if seconds else "; Ctrl-C ends")),
            on_lost=lambda exc: hint(f"{exc}; trying again"),
        )
    except KeyboardInterrupt:
        hint("")


def _take(finder: GapFinder, topic: str, payload: bytes) -> None:
    if topic.rsplit("/", 1)[-1] in ("face", "track"):
        finder.add(_decoded(payload))


def _decoded(text: bytes) -> object:
    try:
        value: object = json.loads(text)
    except ValueError:
        return None
    return value


def _as_json(finder: GapFinder) -> dict[str, object]:
    return {
        "streams": [
            {
                "boot_id": boot_id,
                "camera": camera,
                "schema": schema,
                "first": s.first,
                "last": s.last,
                "received": s.received,
                "missing": s.missing_count,
                "missing_ranges": s.missing,
                "doubles": s.doubles,
                "late": s.late,
            }
            for (boot_id, camera, schema), s in finder.streams.items()
        ],
        "missing": finder.missing,
        "strange": finder.strange,
    }


def _as_text(finder: GapFinder) -> Iterable[str]:
    if not finder.streams:
        yield "no events seen"
    for (boot_id, camera, schema), s in finder.streams.items():
        yield (
            f"{camera} {schema} boot {boot_id}: seq {s.first}..{s.last}, {s.received} received, "
            f"{s.missing_count} missing, {s.doubles} doubled, {s.late} late"
        )
        for low, high in s.missing[:20]:
            yield f"  missing {low}" + (f"..{high}" if high > low else "")
        if len(s.missing) > 20:
            yield f"  and {len(s.missing) - 20} more gaps"
    if finder.strange:
        yield f"{finder.strange} messages were no ferstream events"
