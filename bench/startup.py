"""How soon the daemon publishes, and what it weighs: first event and resident memory of ``ferstream run``.

    python bench/startup.py [--video FILE] [--turns 5]

A recording played as a camera, the embedded broker, a subscriber on it. The clock starts before
the process does. TensorFlow must not be in the process; the modules it loaded are checked through
its memory map.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from harness import free_port, mosquitto, usage
from paho.mqtt.enums import CallbackAPIVersion

ROOT = Path(__file__).resolve().parent.parent
VIDEO = ROOT.parent / "shared" / "videos" / "people_walking_1080p.mp4"


def once(video: Path, model: str, folder: Path, seconds: float) -> dict[str, Any]:
    broker = mosquitto(folder, free_port())
    port = broker.port
    config = folder / "ferstream.toml"
    config.write_text(
        f'node = "bench"\n[[cameras]]\nname = "cam"\nsource = "{video}"\nrealtime = true\nloop = true\nanalysis_fps = 0\n'
        f'[inference]\nmodel = "{model}"\n[mqtt]\nurl = "mqtt://127.0.0.1:{port}"\n[http]\nlisten = "127.0.0.1:0"\n[outbox]\npath = "memory"\n'
    )
    first = threading.Event()
    try:
        broker.start()
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.on_message = lambda *_: first.set()
        client.connect("127.0.0.1", port)
        client.subscribe("ferstream/bench/cam/face")
        client.loop_start()
        started = time.monotonic()
        daemon = subprocess.Popen([str(Path(sys.executable).parent / "ferstream"), "run", "-c", str(config)], stderr=subprocess.DEVNULL)
        heard = first.wait(60)
        first_s = time.monotonic() - started
        threading.Event().wait(seconds)
        rss_mb = usage(daemon.pid).rss_mb
        tensorflow = "tensorflow" in Path(f"/proc/{daemon.pid}/maps").read_text()
        daemon.terminate()
        daemon.wait(20)
        client.loop_stop()
    finally:
        broker.end()
    return {"first_event_s": round(first_s, 2) if heard else None, "rss_mb": round(rss_mb, 1), "tensorflow_loaded": tensorflow}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, default=VIDEO)
    parser.add_argument("--model", default="emotion-edge")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="run on after the first event, then weigh")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferstream-bench-") as name:
        runs = [once(options.video, options.model, Path(name), options.seconds) for _ in range(options.turns)]
    text = json.dumps({"video": options.video.name, "runs": runs}, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
