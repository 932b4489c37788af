"""Damages recordings of every kind at random and reads them: each gives frames in order, or an error of one line.

    nice -n 19 python bench/damaged_files.py --files 10000 --json bench/results/damaged_files.json

A reading process takes one file after the other and says which; this process ends it when a file takes longer than
``--limit`` seconds, and starts the next one behind that file. So a crash, a hang and a traceback are each counted against a
file, which is kept in ``--keep``. The damage of file N depends only on ``--seed`` and N. One process computes at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START_S = 60.0
sys.path.insert(0, str(ROOT))


Damage = Callable[[random.Random, bytes], bytes]


VP9 = {"cpu-used": "8", "deadline": "realtime"}
PLAIN: list[tuple[str, str, str, tuple[int, int], dict[str, str], dict[str, str]]] = [
    ("a.mp4", "libx264", "yuv420p", (96, 64), {}, {"movflags": "faststart"}),
    ("fragments.mp4", "libx264", "yuv420p", (96, 64), {"g": "3"}, {"movflags": "frag_keyframe+empty_moov"}),
    ("a.mkv", "libx265", "yuv420p", (96, 64), {"x265-params": "log-level=none"}, {}),
    ("live.mkv", "mjpeg", "yuvj420p", (96, 64), {}, {"live": "1"}),
    ("a.webm", "libvpx-vp9", "yuv420p", (96, 64), VP9, {}),
    ("a.avi", "mjpeg", "yuvj420p", (96, 64), {}, {}),
    ("a.gif", "gif", "rgb8", (96, 64), {}, {}),
    ("a.apng", "apng", "rgb24", (96, 64), {}, {}),
    ("a.ts", "libx264", "yuv420p", (96, 64), {}, {}),
    ("a.mpg", "mpeg2video", "yuv420p", (96, 64), {}, {}),
    ("a.flv", "libx264", "yuv420p", (96, 64), {}, {}),
    ("a.wmv", "wmv2", "yuv420p", (96, 64), {}, {}),
    ("a.mxf", "mpeg2video", "yuv420p", (96, 64), {}, {}),
    ("a.rm", "rv10", "yuv420p", (96, 64), {}, {}),
    ("a.ivf", "libvpx-vp9", "yuv420p", (96, 64), VP9, {}),
    ("a.obu", "libsvtav1", "yuv420p", (96, 64), {"preset": "12"}, {}),
    ("a.h261", "h261", "yuv420p", (176, 144), {}, {}),
    ("a.h263", "h263", "yuv420p", (176, 144), {}, {}),
    ("a.mjpeg", "mjpeg", "yuvj420p", (96, 64), {}, {}),
    ("a.nut", "mpeg4", "yuv420p", (96, 64), {}, {}),
    ("a.y4m", "wrapped_avframe", "yuv420p", (32, 32), {}, {}),
    ("a.roq", "roqvideo", "yuvj444p", (96, 64), {}, {}),
]
"""Name, codec, pixel format, (width, height), options of the codec and of the container of recordings of the usual make."""


def seeds(folder: Path) -> dict[str, bytes]:
    """Write a sound recording of every kind and return their bytes."""
    from av.stream import Disposition

    from tests.support import clips, containers

    for name, codec, pixel_format, size, options, muxing in PLAIN:
        clips.write_clip(folder / name, codec=codec, pixel_format=pixel_format, size=size, options=options, muxing=muxing, frames=8)
    containers.dahua(folder / "a.dav", frames=12)
    containers.amv(folder / "a.amv", frames=8)
    containers.joined(folder / "joined.ts", 0, 3_600_000, frames=5)
    containers.joined(folder / "wrapped.ts", 95_443_600, frames=8)
    containers.two_sizes(folder / "sizes.h264", [(96, 64), (192, 128)], frames=5)
    clips.write_clip(folder / "segment.mkv", pts_ms=[5000 + 40 * n for n in range(8)], options={"bf": "0"})
    containers.several_videos(folder / "cover.mp4", [((96, 64), Disposition.default), ((64, 64), Disposition.attached_pic)], frames=5)
    containers.sound_with_cover(folder / "cover.mp3", codec="libmp3lame")
    names = [name for name, *_ in PLAIN] + [
        "a.dav",
        "a.amv",
        "joined.ts",
        "wrapped.ts",
        "sizes.h264",
        "segment.mkv",
        "cover.mp4",
        "cover.mp3",
    ]
    return {name: (folder / name).read_bytes() for name in names}


# -- damage ---------------------------------------------------------------------------------------------------


def _flip(draw: random.Random, content: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(draw.choice((1, 3, 24, 200))):
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def _flip_header(draw: random.Random, content: bytes) -> bytes:
    return _flip(draw, content[:1024]) + content[1024:]


def _cut(draw: random.Random, content: bytes) -> bytes:
    return content[: draw.randrange(1, len(content))]


def _behead(draw: random.Random, content: bytes) -> bytes:
    return content[draw.randrange(1, len(content)) :]


def _overwrite(draw: random.Random, content: bytes) -> bytes:
    start, length = draw.randrange(len(content)), draw.randrange(1, 600)
    fill = draw.choice((bytes(length), b"\xff" * length, draw.randbytes(length)))
    return content[:start] + fill + content[start + length :]


def _remove(draw: random.Random, content: bytes) -> bytes:
    start = draw.randrange(len(content))
    return content[:start] + content[start + draw.randrange(1, 600) :]


def _repeat(draw: random.Random, content: bytes) -> bytes:
    start = draw.randrange(len(content))
    part = content[start : start + draw.randrange(1, 2000)]
    return content[:start] + part * draw.randrange(2, 6) + content[start:]


def _number(draw: random.Random, content: bytes) -> bytes:
    """Replace four bytes by a number that sizes and counts often are not prepared for."""
    start = draw.randrange(max(1, min(len(content), 4000)))
    number = draw.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, len(content)))
    return content[:start] + number.to_bytes(4, draw.choice(("big", "little"))) + content[start + 4 :]


DAMAGES: tuple[Damage, ...] = (_flip, _flip, _flip_header, _cut, _behead, _overwrite, _remove, _repeat, _number, _number)


def damaged(seed: int, number: int, sound: dict[str, bytes]) -> tuple[str, bytes]:
    """Return name and bytes of one file: a recording with one to three damages, or two recordings that were joined first."""
    draw = random.Random(f"{seed}-{number}")
    name = draw.choice(sorted(sound))
    content = sound[name]
    if draw.random() < 0.1:
        content += draw.choice([content, sound[draw.choice(sorted(sound))]])
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        content = draw.choice(DAMAGES)(draw, content) or content
    return f"{number}-{name}", content


# -- the reading process ----------------------------------------------------------------------------------------


def read_files(folder: Path, seed: int, first: int, last: int) -> None:
    """Read the files ``first`` to ``last`` - 1; print the number of each before, and what came of it afterwards."""
    sound = {path.name: path.read_bytes() for path in sorted((folder / "seeds").iterdir())}
    for number in range(first, last):
        name, content = damaged(seed, number, sound)
        path = folder / name
        path.write_bytes(content)
        print(json.dumps({"number": number, "name": name}), flush=True)
        print(json.dumps(_read(path)), flush=True)
        path.unlink()


def _read(path: Path) -> dict[str, object]:
    from ferstream.capture.recording import FileSource
    from ferstream.errors import SourceError
    from ferstream.runtime.counters import Counters

    counters = Counters()
    source = FileSource(path=path, camera="door", observer=counters)
    times: list[int] = []
    result = "frames"
    try:
        source.open()
        for frame in source.frames():
            times.append(frame.info.media_time_ns)
            frame.detection_image  # noqa: B018 (makes the image)
    except SourceError as exc:
        result = "error" if "\n" not in str(exc) else "an error of several lines"
    except Exception as exc:  # noqa: BLE001 (what the program looks for)
        result = f"{type(exc).__name__}: {exc}"
    finally:
        source.close()
    if times != sorted(set(times)):
        result = "times that do not grow"
    return {"result": result, "frames": len(times), "lost": counters.snapshot().dropped_frames("door")}


# -- the watching process -----------------------------------------------------------------------------------------


class Reader:
    """The reading process, from one file on."""

    def __init__(self, folder: Path, seed: int, first: int, last: int) -> None:
        command = [sys.executable, __file__, "--read", str(folder), "--seed", str(seed), "--from", str(first), "--files", str(last)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT)
        assert self._process.stdout is not None
        self._fd, self._rest = self._process.stdout.fileno(), b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._fd, selectors.EVENT_READ)

    def line(self, limit_s: float) -> dict[str, object] | None:
        """Return the next line; None at the end of the process; raise TimeoutError after ``limit_s`` seconds."""
        until = time.monotonic() + limit_s
        while b"\n" not in self._rest:
            if not self._selector.select(max(0.0, until - time.monotonic())):
                raise TimeoutError
            data = os.read(self._fd, 65_536)
            if not data:
                return None
            self._rest += data
        line, self._rest = self._rest.split(b"\n", 1)
        found: dict[str, object] = json.loads(line)
        return found

    def end(self) -> int:
        """Kill the process if it still runs; return its exit status."""
        self._process.kill()
        status = self._process.wait()
        self._selector.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return status


class Watch:
    """Counts what comes of the files."""

    def __init__(self, folder: Path, args: argparse.Namespace) -> None:
        self._folder, self._args, self._next = folder, args, args.first
        self._results: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._bad: list[str] = []
        self._frames = self._lost = 0

    def run(self) -> dict[str, object]:
        """Read all files; return the numbers."""
        begun = time.monotonic()
        while self._next < self._args.files:
            self._run_reader(Reader(self._folder, self._args.seed, self._next, self._args.files))
        return {
            "files": sum(self._results.values()),
            "results": dict(self._results),
            "bad": self._bad,
            "frames": self._frames,
            "lost": self._lost,
            "kinds": dict(sorted(self._kinds.items())),
            "seed": self._args.seed,
            "seconds": round(time.monotonic() - begun),
        }

    def _run_reader(self, reader: Reader) -> None:
        """Follow one reading process to its end."""
        name = ""
        try:
            while (line := reader.line(self._args.limit if name else START_S)) is not None:
                if "name" in line:
                    name, self._next = str(line["name"]), int(str(line["number"])) + 1
                    self._kinds[name.partition("-")[2]] += 1
                else:
                    self._count(name, str(line["result"]), int(str(line["frames"])), int(str(line["lost"])))
                    name = ""
            problem = f"the process ended with {reader.end()}"
        except TimeoutError:
            reader.end()
            problem = f"longer than {self._args.limit:g} s"
        if name:
            self._count(name, problem)
        elif self._next < self._args.files:
            raise SystemExit(f"the reading process does not start: {problem}")

    def _count(self, name: str, result: str, frames: int = 0, lost: int = 0) -> None:
        is_good = result in {"frames", "error"}
        self._results[result if is_good else "bad"] += 1
        self._frames, self._lost = self._frames + frames, self._lost + lost
        if not is_good:
            self._bad.append(f"{name}: {result}")
            self._keep(name)
        if sum(self._results.values()) % 1000 == 0:
            print(f"{sum(self._results.values())} files, {len(self._bad)} bad", file=sys.stderr, flush=True)

    def _keep(self, name: str) -> None:
        if self._args.keep is not None:
            self._args.keep.mkdir(parents=True, exist_ok=True)
            number = int(name.partition("-")[0])
            (self._args.keep / name).write_bytes(damaged(self._args.seed, number, self._args.sound)[1])


def main() -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000, help="number of the last file, plus 1")
    parser.add_argument("--from", dest="first", type=int, default=0, help="number of the first file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, default=30.0, help="longest time for one file in seconds")
    parser.add_argument("--keep", type=Path, help="folder for files that did harm")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read is not None:
        read_files(args.read, args.seed, args.first, args.files)
        return 0
    with tempfile.TemporaryDirectory(prefix="ferstream-damaged-") as name:
        folder, made = Path(name), Path(name) / "made"
        (folder / "seeds").mkdir()
        made.mkdir()
        args.sound = seeds(made)
        for file, content in args.sound.items():
            (folder / "seeds" / file).write_bytes(content)
        found = Watch(folder, args).run()
    print(json.dumps(found, indent=2))
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 1 if found["bad"] else 0


if __name__ == "__main__":
    sys.exit(main())
