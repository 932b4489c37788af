"""``ferstream gaps``: report missing, doubled and reordered events of a broker or a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ferstream.events.gaps import GapFinder, StreamReport

EXIT_GAPS_FOUND = 1
RANGES_SHOWN = 20


def gaps(  # noqa: PLR0913, PLR0917 (the options of the command)
    file: Annotated[
        Path | None,
        typer.Argument(help="File of JSON lines to read instead of a broker; - reads stdin.", show_default=False),
    ] = None,
    url: Annotated[str, typer.Option(help="Broker: mqtt://, mqtts://, ws:// or wss://.")] = "mqtt://127.0.0.1:1883",
    prefix: Annotated[str, typer.Option(help="First levels of the topics.")] = "ferstream",
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Seconds to listen; without it until Ctrl-C.", show_default=False)] = None,
    username: Annotated[str | None, typer.Option(help="User name at the broker; not for your embedded broker.", show_default=False)] = None,
    password_file: Annotated[Path | None, typer.Option(help="File with the password.", show_default=False)] = None,
    ca_file: Annotated[Path | None, typer.Option(help="Certificates to trust, PEM.", show_default=False)] = None,
    cert_file: Annotated[Path | None, typer.Option(help="Client certificate, PEM.", show_default=False)] = None,
    key_file: Annotated[Path | None, typer.Option(help="Key of the client certificate, PEM.", show_default=False)] = None,
    protocol: Annotated[str, typer.Option(help="MQTT version: 5 or 3.1.1.")] = "5",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Report missing, doubled and late face and track events, by their seq.

    Exit status: 0 no event is missing, 1 events are missing, 4 the broker cannot be used. Doubled and late
    events are reported but do not change the exit status: delivery is at least once.
    """
    from ferstream.app.gaps import BrokerOptions, broker_address, read_file, subscribe
    from ferstream.events.gaps import GapFinder

    finder = GapFinder()
    if file is not None:
        read_file(file, finder)
    else:
        options = BrokerOptions(
            url=url,
            username=username,
            password_file=password_file,
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
            protocol=protocol,
        )
        subscribe(broker_address(options), prefix, finder, seconds=seconds, on_notice=lambda text: typer.echo(text, err=True))
    typer.echo(json.dumps(_as_json(finder), indent=2) if as_json else "\n".join(_as_text(finder)))
    if finder.missing:
        raise typer.Exit(EXIT_GAPS_FOUND)


def _as_json(finder: GapFinder) -> dict[str, object]:
    streams = [
        {"boot_id": boot_id, "camera": camera, "schema": schema, **_stream_as_json(report)}
        for (boot_id, camera, schema), report in finder.streams.items()
    ]
    return {"streams": streams, "missing": finder.missing, "strange": finder.strange}


def _stream_as_json(report: StreamReport) -> dict[str, object]:
    return {
        "first": report.first,
        "last": report.last,
        "received": report.received,
        "missing": report.missing_count,
        "missing_ranges": report.missing,
        "doubles": report.doubles,
        "late": report.late,
    }


def _as_text(finder: GapFinder) -> Iterator[str]:
    if not finder.streams:
        yield "no events seen"
    for (boot_id, camera, schema), report in finder.streams.items():
        yield (
            f"{camera} {schema} boot {boot_id}: seq {report.first}..{report.last}, {report.received} received, "
            f"{report.missing_count} missing, {report.doubles} doubled, {report.late} late"
        )
        yield from _missing_ranges(report)
    if finder.strange:
        yield f"{finder.strange} messages were not ferstream events"


def _missing_ranges(report: StreamReport) -> Iterator[str]:
    for low, high in report.missing[:RANGES_SHOWN]:
        yield f"  missing {low}" + (f"..{high}" if high > low else "")
    if len(report.missing) > RANGES_SHOWN:
        yield f"  and {len(report.missing) - RANGES_SHOWN} more ranges"
