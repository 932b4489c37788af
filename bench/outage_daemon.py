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
from pathlib import Path
from typing import Any

from harness import CLIP, PAUSE, daemon, free_port, mosquitto, save, say, scrape, subscriber, total, write_settings


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
            say("broker down")
            broker.end(signal.SIGTERM)
            down_at = time.monotonic()
            PAUSE.wait(options.down / 2 - 5)
            before, before_at = scrape(http), time.monotonic()
            PAUSE.wait(5)
            at_kill = scrape(http)
            rate = (total(at_kill, "ferstream_events_total") - total(before, "ferstream_events_total")) / (time.monotonic() - before_at)
            say(
                f"{options.how}: {total(at_kill, 'ferstream_events_total'):.0f} face events made, {at_kill.get('ferstream_outbox_events', 0):.0f} in the outbox"
            )
            code = running.end(getattr(signal, options.how))
            running.start(60)
            PAUSE.wait(max(0.0, options.down - (time.monotonic() - down_at)))
            say(f"broker up, {scrape(http).get('ferstream_outbox_events', 0):.0f} in the outbox")
            broker.start()
            up_at = time.monotonic()
            drained_s = wait_empty(http, up_at)
            final = scrape(http)
            running.end(signal.SIGTERM)
            PAUSE.wait(3)
    finally:
        for server in (running, broker):
            server.end()
    boots = list(dict.fromkeys(boot for boot, _, _ in heard.seqs))
    first = {key: seqs for key, seqs in heard.seqs.items() if key[0] == boots[0]}
    made = total(at_kill, "ferstream_events_total")
    faces_heard = sum(len(set(seqs)) for key, seqs in first.items() if key[2] == "ferstream.face/1")
    return {
        "down_s": options.down,
        "how": options.how,
        "exit_code_of_first": code,
        "events_per_s": round(rate, 1),
        "faces_made_before_the_kill_at_least": made,
        "faces_heard_of_first_boot": faces_heard,
        "missing_at_the_kill": max(0.0, made - faces_heard),
        "missing_at_the_kill_s": round(max(0.0, made - faces_heard) / rate, 3),
        "missing_inside_series": heard.missing(),
        "doubles": heard.doubles(),
        "disordered": heard.disordered(),
        "outbox_dropped": total(final, "ferstream_outbox_dropped_total"),
        "drained_s": round(drained_s, 1),
        "boots": len(boots),
    }


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
