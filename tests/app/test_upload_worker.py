"""The real worker process on real and on hostile files: the analysis is that of ``predict`` and ``replay``."""

from __future__ import annotations

import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from ferstream.app.uploads import MEMORY_BYTES, worker_plan
from ferstream.errors import WorkerError
from ferstream.settings import Settings
from ferstream.web.scratch import Scratch
from ferstream.web.worker import Worker, WorkerPlan
from tests.support.clips import write_clip
from tests.support.daemon import ferstream
from tests.support.threads import wait_until
from tests.support.uploads import UploadRig

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240.0
TABLES = ("csv", "parquet")


@pytest.fixture(scope="module")
def plan() -> WorkerPlan:
    return worker_plan(Settings(), model="emotion-edge")


@pytest.fixture(scope="module")
def worker(plan: WorkerPlan) -> Iterator[Worker]:
    """One process for all tests: it must survive each of them."""
    worker = Worker(plan)
    yield worker
    worker.close()


def still(worker: Worker, data: bytes, name: str = "upload.jpg") -> dict[str, Any]:
    with os.fdopen(os.memfd_create("still"), "w+b") as file:
        file.write(data)
        file.flush()
        worker.send({"do": "still", "name": name}, [file.fileno()])
        return worker.receive(PATIENCE_S)


def recording(worker: Worker, folder: Path, video: bytes, name: str = "clip.mp4") -> tuple[dict[str, Any], list[bytes]]:
    """Analyse a recording; return the last report, and the bytes of events, timeline, CSV and Parquet."""
    scratch = Scratch(folder)
    files: list[BinaryIO] = [scratch.new_file() for _ in range(5)]
    files[0].write(video)
    worker.send({"do": "recording", "name": name, "tables": list(TABLES)}, [file.fileno() for file in files])
    while True:
        report = worker.receive(PATIENCE_S)
        if "done" in report or "error" in report:
            break
    results = [os.pread(file.fileno(), 1 << 24, 0) for file in files[1:]]
    for file in files:
        file.close()
    return report, results


def png(width: int, height: int) -> bytes:
    """A black PNG: few bytes for any number of pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes((width + 1) * height), 9)) + chunk(b"IEND", b"")


# -- the same analysis -----------------------------------------------------------------------------


def test_a_still_has_the_faces_of_predict(worker: Worker, tmp_path: Path) -> None:
    from matplotlib.cbook import get_sample_data

    portrait = Path(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    answer = still(worker, portrait.read_bytes())
    done = ferstream("predict", portrait, "--json", "-", "--no-picture", "--model", "emotion-edge", cwd=tmp_path)
    expected = json.loads(done.stdout)["images"][0]
    del expected["file"]
    assert answer == {"still": expected}
    assert len(expected["faces"]) == 1


def test_a_recording_has_the_events_and_the_table_of_replay(worker: Worker, tmp_path: Path, portrait_clip: Path) -> None:
    clip = tmp_path / "My clip.mp4"
    clip.write_bytes(portrait_clip.read_bytes())
    report, (events, timeline, csv, parquet) = recording(worker, tmp_path / "scratch", clip.read_bytes(), clip.name)
    assert report == {"frames": 10, "total": 10, "lost": 0, "done": True}
    done = ferstream("replay", clip, "--events", "-", "-q", "--model", "emotion-edge", cwd=tmp_path)
    assert events.decode() == done.stdout
    assert csv.count(b"\n") == 1 + events.count(b"\n")
    assert parquet[:4] == parquet[-4:] == b"PAR1"
    shown = json.loads(timeline)
    assert shown["duration_s"] == pytest.approx(1.0)
    assert [len(track["points"]) for track in shown["tracks"]] == [10]
    assert sum(shown["tracks"][0]["points"][0][6:]) == pytest.approx(1, abs=0.001)


# -- hostile files ---------------------------------------------------------------------------------


def test_a_picture_of_ten_thousand_pixels_squared_is_refused_before_it_is_decoded(worker: Worker) -> None:
    bomb = png(10_000, 10_000)
    assert len(bomb) < 200_000
    answer = still(worker, bomb, "bomb.png")
    assert answer == {"error": "bomb.png: the picture is 10000 x 10000 pixels; max_pixels allows 64,000,000", "is_input": True}


@pytest.mark.parametrize("data", [b"", b"text", b"\xff\xd8\xff\xe0" + bytes(1000), b"GIF89a", png(50, 50)[:60]])
def test_what_is_no_picture_is_named_without_a_path(worker: Worker, data: bytes) -> None:
    answer = still(worker, data, "holiday.jpg")
    assert answer["is_input"]
    assert answer["error"].startswith("holiday.jpg: ")
    assert "/proc" not in answer["error"]


def test_a_video_that_was_cut_off_is_an_error_and_the_next_one_is_analysed(worker: Worker, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "a.mp4", frames=20).read_bytes()
    report, _ = recording(worker, tmp_path / "scratch", video[: len(video) // 2], "cut.mp4")
    assert report["error"] == "cut.mp4: was cut off before its index was written; record or copy it again, or repair it"
    report, results = recording(worker, tmp_path / "scratch", video)
    assert (report["frames"], results[0], json.loads(results[1])["tracks"]) == (20, b"", [])


def test_a_video_with_half_of_its_frames_is_analysed_and_the_loss_is_counted(worker: Worker, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "a.mkv", codec="mjpeg", pixel_format="yuvj420p", frames=40).read_bytes()
    report, _ = recording(worker, tmp_path / "scratch", video[: len(video) // 2], "half.mkv")
    assert report.get("done")
    assert 0 < report["frames"] < 40


@pytest.mark.parametrize(
    "data", [b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n", b"text\n" * 99, bytes(9999)]
)
def test_what_is_no_video_and_what_names_other_files_is_refused(worker: Worker, tmp_path: Path, data: bytes) -> None:
    report, results = recording(worker, tmp_path / "scratch", data, "list.m3u8")
    assert report["is_input"]
    assert report["error"].startswith("list.m3u8: ")
    assert b"root:" not in b"".join(results)


def test_more_memory_than_allowed_is_an_error_and_ends_only_the_worker(plan: WorkerPlan) -> None:
    small = WorkerPlan(command=plan.command, environment=plan.environment, setup=plan.setup | {"memory_bytes": 330 << 20})
    worker = Worker(small)
    try:
        answer = still(worker, png(8_000, 8_000), "large.png")
        assert "error" in answer
    except WorkerError as exc:
        assert "worker process" in str(exc)  # a library in C ended it
    finally:
        worker.close()


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie that nobody waits for."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


# -- what it may do --------------------------------------------------------------------------------


def test_it_has_the_low_priority_limits_and_none_of_the_secrets(worker: Worker, plan: WorkerPlan) -> None:
    still(worker, png(100, 100))
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{worker.pid}/status").read_text().splitlines())
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2", "connections and other programs are refused"
    assert os.getpriority(os.PRIO_PROCESS, worker.pid) == 10
    assert resource.prlimit(worker.pid, resource.RLIMIT_DATA) == (MEMORY_BYTES, MEMORY_BYTES)
    assert resource.prlimit(worker.pid, resource.RLIMIT_CORE) == (0, 0)
    assert Path(f"/proc/{worker.pid}/oom_score_adj").read_text().strip() == "1000"
    secrets = {"FERSTREAM_HTTP__TOKEN": "x", "CREDENTIALS_DIRECTORY": "/run/x", "NOTIFY_SOCKET": "/run/y", "PATH": "/bin"}
    given = worker_plan(Settings(), model="m", environment=secrets).environment
    assert {key for key in given if key in secrets} == {"PATH"}
    assert set(plan.setup["settings"]) == {"detection", "inference", "tracking"}


def test_it_ends_when_the_daemon_is_killed_in_the_middle_of_its_work(tmp_path: Path) -> None:
    """A process stands for the daemon, sends a picture that takes seconds, and is killed."""
    program = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from ferstream.app.uploads import worker_plan
from ferstream.settings import Settings
from ferstream.web.worker import Worker
worker = Worker(worker_plan(Settings(), model="emotion-edge"))
file = os.memfd_create("still")
os.write(file, open({str(tmp_path / "large.png")!r}, "rb").read())
worker.send({{"do": "still", "name": "x"}}, [file])
print(worker.pid, flush=True)
time.sleep(600)
"""
    (tmp_path / "large.png").write_bytes(png(8_000, 8_000))
    daemon = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert daemon.stdout is not None
    with daemon.stdout:
        pid = int(daemon.stdout.readline())
    daemon.kill()
    daemon.wait(10)
    wait_until(lambda: not is_running(pid))


def test_a_model_that_auto_chose_for_the_daemon_is_the_model_of_uploads() -> None:
    assert worker_plan(Settings(), model="emotion-small/1.0.0").setup["settings"]["inference"]["model"] == "emotion-small/1.0.0"
    named = Settings.model_validate({"inference": {"model": "emotion-edge"}})
    assert worker_plan(named, model="other").setup["settings"]["inference"]["model"] == "emotion-edge"


# -- a disk that is full ---------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"only root can mount a disk: {made.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_an_upload_that_does_not_fit_on_the_disk_is_507_and_leaves_nothing(small_disk: Path) -> None:
    rig = UploadRig(folder=small_disk / "scratch")  # which believes that there is room
    with rig.serving() as server:
        status, _, answer = server.upload(b"x" * 1_000_000)
        assert (status, answer["error"]) == (507, "the upload cannot be stored: No space left on device")
        assert shutil.disk_usage(small_disk).used < 8192
        assert server.upload(b"x" * 10_000)[0] == 201
        server.finished(server.recordings.all()[0].id)


def test_results_that_do_not_fit_on_the_disk_are_an_error(plan: WorkerPlan, small_disk: Path, portrait_clip: Path) -> None:
    video = portrait_clip.read_bytes()
    worker = Worker(plan)
    try:
        with Scratch(small_disk / "filler", reserve_bytes=0).new_file() as filler:
            filler.write(bytes(max(0, shutil.disk_usage(small_disk).free - len(video) - 12_000)))
            report, _ = recording(worker, small_disk / "scratch", video)
    finally:
        worker.close()
    assert report["error"] == "the results cannot be written: No space left on device"
    assert not report["is_input"]
