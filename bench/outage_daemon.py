"""The same as outage.py with a whole daemon: the broker is down for minutes, and the daemon dies in the middle.

    python bench/outage_daemon.py --down 300 --how SIGKILL        at most one second of events may be missing
    python bench/outage_daemon.py --down 300 --how SIGTERM        none

Two 1080p recordings played as cameras make over 200 events a second. How many the first process had made when it was killed is read
from its metrics just before; what a subscriber with a lasting session heard in the end is compared with it.
"""

from __future__ import annotations

import argparse
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import CLIP, PAUSE, Heard, Server, daemon, free_port, mosquitto, save, say, scrape, subscriber, total, write_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--down", type=float, default=300.0, help="seconds without a broker")
    parser.add_argument("--how", choices=["SIGKILL", "SIGTERM"], default="SIGKILL")
    parser.add_argument("--cameras", type=int, default=2)
    parser.add_argument("--model", default="emotion-edge")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferstream-outage-") as name:
        save(measure(options, Path(name)), options.json)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the daemon through an outage in which it is killed; return the report."""
    broker, http = mosquitto(folder, free_port()), free_port()
    cameras = "".join(
        f'[[cameras]]\nname = "cam{n}"\nsource = "{CLIP}"\nrealtime = true\nloop = true\nanalysis_fps = 0\n' for n in range(options.cameras)
    )
    write_settings(folder, cameras=cameras, broker=broker.port, http=http, model=options.model)
    running = daemon(folder, http)
    try:
        broker.start()
        with subscriber(broker.port) as heard:
            running.start()
            PAUSE.wait(10)
            outage = go_through_outage(running, broker, down_s=options.down, how=getattr(signal, options.how))
            drained_s = wait_empty(http, time.monotonic())
            final = scrape(http)
            running.end(signal.SIGTERM)
            PAUSE.wait(3)
    finally:
        for server in (running, broker):
            server.end()
    return {
        "down_s": options.down,
        "how": options.how,
        **outage.report(heard),
        "missing_inside_series": heard.missing(),
        "doubles": heard.doubles(),
        "disordered": heard.disordered(),
        "outbox_dropped": total(final, "ferstream_outbox_dropped_total"),
        "drained_s": round(drained_s, 1),
    }


@dataclass(frozen=True)
class Outage:
    """The first process when it was killed: its exit code, face events it had made, and their rate before."""

    exit_code: int | None
    made: float
    rate_hz: float

    def report(self, heard: Heard) -> dict[str, Any]:
        """Compare with what the subscriber got of the first process."""
        boots = list(dict.fromkeys(boot for boot, _, _ in heard.seqs))
        faces = sum(len(set(seqs)) for (boot, _, schema), seqs in heard.seqs.items() if boot == boots[0] and schema == "ferstream.face/1")
        missing = max(0.0, self.made - faces)
        return {
            "exit_code_of_first": self.exit_code,
            "events_per_s": round(self.rate_hz, 1),
            "faces_made_before_the_kill_at_least": self.made,
            "faces_heard_of_first_boot": faces,
            "missing_at_the_kill": missing,
            "missing_at_the_kill_s": round(missing / self.rate_hz, 3),
            "boots": len(boots),
        }


def go_through_outage(running: Server, broker: Server, *, down_s: float, how: signal.Signals) -> Outage:
    """Stop the broker for ``down_s`` seconds and end the daemon with a signal halfway; both run again afterwards."""
    http = running.port
    say("broker down")
    broker.end(signal.SIGTERM)
    down_at = time.monotonic()
    PAUSE.wait(down_s / 2 - 5)
    before, before_at = total(scrape(http), "ferstream_events_total"), time.monotonic()
    PAUSE.wait(5)
    at_kill = scrape(http)
    made = total(at_kill, "ferstream_events_total")
    rate_hz = (made - before) / (time.monotonic() - before_at)
    say(f"{how.name}: {made:.0f} face events made, {at_kill.get('ferstream_outbox_events', 0):.0f} in the outbox")
    code = running.end(how)
    running.start(60)
    PAUSE.wait(max(0.0, down_s - (time.monotonic() - down_at)))
    say(f"broker up, {scrape(http).get('ferstream_outbox_events', 0):.0f} in the outbox")
    broker.start()
    return Outage(code, made, rate_hz)


def wait_empty(http: int, since: float) -> float:
    """Wait until the outbox holds no more than what is under way; seconds it took."""
    while True:
        metrics = scrape(http)
        if metrics.get("ferstream_outbox_events", 1e9) < 100 and metrics.get("ferstream_mqtt_connected") == 1:
            return time.monotonic() - since
        if time.monotonic() - since > 300:
            raise SystemExit("the outbox does not drain")
        PAUSE.wait(0.2)


if __name__ == "__main__":
    main()
