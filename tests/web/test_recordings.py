"""``/api/1/recordings`` over HTTP, with worker processes that a test scripts: upload, progress, results, and every way to fail."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.web.body import BodyLimits
from ferstream.web.recording import RecordingTimings
from ferstream.web.recording_routes import RECORDINGS
from ferstream.web.recordings import MAX_NAME_CHARS, shown_name
from tests.support.scripted_worker import TIMELINE, plan
from tests.support.threads import Task, wait_until
from tests.support.uploads import MAX_BYTES, UploadRig, UploadServer

pytestmark = pytest.mark.usefixtures("no_new_threads")


def held_bytes(folder: Path) -> int:
    """Bytes of files without a name that this process holds in a folder."""
    found = 0
    for file in Path("/proc/self/fd").iterdir():
        try:
            if str(file.readlink()).startswith(str(folder)):
                found += file.stat().st_blocks * 512
        except OSError:
            continue
    return found


# -- the way through -------------------------------------------------------------------------------


def test_a_recording_is_analysed_and_its_results_are_downloaded(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    with UploadRig(folder=folder).serving() as server:
        status, _, made = server.upload(b"x" * 70_000, "my%20clip.mp4")
        assert (status, made["name"], made["state"], made["progress"]) == (201, "my clip.mp4", "running", 0.0)
        done = server.finished(made["id"])
        assert done == made | {"state": "done", "progress": 1.0, "frames": 10, "lost": 1}
        assert server.ask(RECORDINGS)[2] == {"recordings": [done]}
        assert list(folder.iterdir()) == []
        one = f"{RECORDINGS}/{made['id']}"
        assert server.ask(f"{one}/timeline")[2] == json.loads(TIMELINE)
        status, headers, text = server.ask(f"{one}/events.jsonl")
        assert (status, text, headers["content-type"]) == (200, '{"bytes": 70000}\n', "application/x-ndjson")
        assert headers["content-disposition"] == 'attachment; filename="my-clip.events.jsonl"'
        assert server.ask(f"{one}/events.csv")[1]["content-type"] == "text/csv; charset=utf-8"
        assert server.ask(f"{one}/events.csv", method="HEAD")[1]["content-length"] == "5"
        assert server.ask(f"{one}/events.parquet")[::2] == (
            404,
            {"error": "events.parquet is not made by this node; its state lists the tables that are"},
        )


def test_a_deleted_recording_is_gone_with_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    with UploadRig(folder=folder).serving() as server:
        made = server.upload(b"x" * 70_000)[2]["id"]
        server.finished(made)
        assert server.ask(f"{RECORDINGS}/{made}", method="DELETE")[0] == 204
        assert held_bytes(folder) == 0
        for path in ("", "/timeline", "/events.jsonl"):
            assert server.ask(f"{RECORDINGS}/{made}{path}")[0] == 404
        assert server.ask(f"{RECORDINGS}/{made}", method="DELETE")[0] == 404


def test_the_video_itself_is_deleted_after_its_analysis(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path).serving() as server:
        made = server.upload(b"x" * (MAX_BYTES - 1))[2]["id"]
        server.finished(made)
        wait_until(lambda: held_bytes(tmp_path) < 100_000)
        assert server.ask(f"{RECORDINGS}/{made}/video")[0] == 404


def test_the_next_upload_deletes_the_results_before_it(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path).serving() as server:
        first = server.upload()[2]["id"]
        server.finished(first)
        second = server.upload()[2]["id"]
        assert [item["id"] for item in server.ask(RECORDINGS)[2]["recordings"]] == [second]
        assert server.ask(f"{RECORDINGS}/{first}")[0] == 404


def test_results_are_deleted_after_a_time(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path, recording=RecordingTimings(keep_s=0.1)).serving() as server:
        server.upload()
        wait_until(lambda: not server.recordings.all())
        wait_until(lambda: held_bytes(tmp_path) == 0)


def test_a_stop_ends_the_analysis_and_deletes_everything(tmp_path: Path) -> None:
    rig = UploadRig(folder=tmp_path, plan=plan("hangs"))
    with rig.serving() as server:
        server.upload(b"x" * 70_000)
        server.recordings.close()
        assert held_bytes(tmp_path) == 0
        assert server.upload()[::2] == (503, {"error": "the node is stopping"})


# -- one at a time ---------------------------------------------------------------------------------


def test_a_second_recording_is_409_until_the_first_is_cancelled(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path, plan=plan("hangs")).serving() as server:
        first = server.upload()[2]["id"]
        assert server.upload()[::2] == (409, {"error": "another recording is being analysed; wait for its end, or cancel it"})
        assert server.ask(f"{RECORDINGS}/{first}/timeline")[::2] == (
            409,
            {"error": "the recording is running; its results come when it is done"},
        )
        assert server.ask(f"{RECORDINGS}/{first}", method="DELETE")[0] == 204
        assert server.upload()[0] == 201


def test_of_many_uploads_at_the_same_time_one_is_accepted(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path, plan=plan("hangs")).serving() as server:
        uploads = [Task(lambda: server.upload(b"x" * 100_000)[0]) for _ in range(6)]
        assert sorted(task.result() for task in uploads) == [201, *[409] * 5]


def test_an_upload_that_comes_slowly_keeps_others_out_only_as_long_as_it_comes(tmp_path: Path) -> None:
    limits = BodyLimits(max_bytes=MAX_BYTES, window_s=0.5, least_bytes=1000)
    with UploadRig(folder=tmp_path, limits=limits).serving() as server, begun(server, b"x" * 10) as client:
        assert server.upload()[::2] == (409, {"error": "another recording is being uploaded; wait for its end, or cancel it"})
        assert b" 408 " in client.recv(4096)
        wait_until(lambda: server.upload()[0] == 201, every_s=0.1)  # on a busy machine this one is slow too
        server.finished(server.recordings.all()[0].id)


def begun(server: UploadServer, first: bytes, length: int = 100_000) -> socket.socket:
    """Begin an upload, and wait until the server has begun to take it."""
    address = server.server.address
    client = socket.create_connection((address.host, address.port), timeout=30)
    client.sendall(
        f"POST {RECORDINGS}?name=slow.mp4 HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n".encode()
    )
    assert client.recv(4096).startswith(b"HTTP/1.1 100 ")
    client.sendall(first)
    return client


# -- what can go wrong -----------------------------------------------------------------------------


def test_an_upload_that_is_cut_off_leaves_nothing(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path).serving() as server:
        begun(server, b"x" * 50_000).close()
        wait_until(lambda: held_bytes(tmp_path) == 0)
        assert server.ask(RECORDINGS)[2] == {"recordings": []}
        wait_until(lambda: server.upload()[0] == 201, every_s=0.1)


def test_an_empty_upload_is_415(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path).serving() as server:
        assert server.upload(b"")[::2] == (415, {"error": "the recording is empty; send its bytes as the body"})


def test_a_recording_that_is_too_large_is_413(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path).serving() as server:
        assert server.upload(b"x" * (MAX_BYTES + 1))[0] == 413
        assert server.upload(b"x" * MAX_BYTES)[0] == 201
        server.finished(server.recordings.all()[0].id)


@pytest.mark.parametrize("given", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/plain", "image/png"])
def test_a_wrong_content_type_is_415(tmp_path: Path, given: str) -> None:
    with UploadRig(folder=tmp_path).serving() as server:
        assert server.upload(kind=given)[0] == 415


def test_a_disk_without_room_is_507_before_anything_is_read(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path, free=50_000).serving() as server:
        status, _, answer = server.upload(b"x" * 50_000)
        assert status == 507
        assert "is too full" in answer["error"]
        assert server.upload(b"x" * 40_000)[0] == 201
        server.finished(server.recordings.all()[0].id)


def test_a_disk_that_fills_during_the_analysis_ends_it(tmp_path: Path) -> None:
    rig = UploadRig(folder=tmp_path, plan=plan("crawls"), recording=RecordingTimings(poll_s=0.0))
    with rig.serving() as server:
        made = server.upload()[2]["id"]
        rig.free = 0
        assert server.finished(made) | {"error": ""} == server.ask(f"{RECORDINGS}/{made}")[2] | {"state": "failed", "error": ""}
        assert "is too full" in server.ask(f"{RECORDINGS}/{made}")[2]["error"]


def test_a_scratch_folder_that_cannot_be_made_is_507(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with UploadRig(folder=tmp_path / "file" / "scratch").serving() as server:
        assert server.upload()[0] == 507


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("refuses", "clip.mp4: is not a picture"),
        ("dies", "the worker process was ended by SIGSEGV"),
        ("exits", "the worker process ended with status 3"),
        ("floods", "the worker process sent what is no message and was ended"),
    ],
)
def test_a_recording_that_cannot_be_analysed_says_why(tmp_path: Path, behaviour: str, reason: str) -> None:
    with UploadRig(folder=tmp_path, plan=plan(behaviour)).serving() as server:
        made = server.upload()[2]["id"]
        state = server.finished(made)
        assert (state["state"], state["error"]) == ("failed", reason)
        assert server.ask(f"{RECORDINGS}/{made}/timeline")[::2] == (
            409,
            {"error": "the recording is failed; its results come when it is done"},
        )


def test_a_process_without_progress_is_ended(tmp_path: Path) -> None:
    timings = RecordingTimings(stall_s=0.3)
    with UploadRig(folder=tmp_path, plan=plan("crawls"), recording=timings).serving() as server:
        assert server.finished(server.upload()[2]["id"])["error"] == "no frame was analysed for 0.3 s; the recording may be damaged"


def test_a_process_that_says_nothing_is_ended(tmp_path: Path) -> None:
    timings = RecordingTimings(start_s=0.3)
    with UploadRig(folder=tmp_path, plan=plan("hangs"), recording=timings).serving() as server:
        assert server.finished(server.upload()[2]["id"])["error"].startswith("no frame was analysed for 0.3 s")


def test_a_recording_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    timings = RecordingTimings(total_s=0.3)
    with UploadRig(folder=tmp_path, plan=plan("crawls"), recording=timings).serving() as server:
        assert server.finished(server.upload()[2]["id"])["error"] == "the analysis was ended after 0.3 s; cut the recording into parts"


def test_a_reason_to_refuse_hides_results_too(tmp_path: Path) -> None:
    rig = UploadRig(folder=tmp_path)
    with rig.serving() as server:
        made = server.upload()[2]["id"]
        server.finished(made)
        rig.refusal = "privacy.aggregate_only is set"
        one = f"{RECORDINGS}/{made}"
        for path in (RECORDINGS, one, f"{one}/timeline", f"{one}/events.jsonl", f"{one}/events.csv"):
            assert server.ask(path)[::2] == (403, {"error": "privacy.aggregate_only is set"})
        assert server.upload()[0] == 403
        assert server.ask(one, method="DELETE")[0] == 204


# -- names and paths -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\clip.mp4", "clip.mp4"),
        ("a\nb\x00.mp4", r"a\nb\x00.mp4"),
        ("", "recording"),
        ("..", "recording"),
        ("/", "recording"),
    ],
)
def test_a_name_has_no_folders_and_one_line(given: str, shown: str) -> None:
    assert shown_name(given) == shown


@given(st.text())
def test_any_name_is_shown_on_one_short_line(name: str) -> None:
    shown = shown_name(name)
    assert shown.isprintable()
    assert 0 < len(shown) <= MAX_NAME_CHARS
    assert not set(shown) & {"/"}


@pytest.mark.parametrize("path", ["../state", "..%2f..%2fetc%2fpasswd", "x/../../etc", "%00", "a" * 5000])
def test_no_path_leads_out_of_the_recordings(tmp_path: Path, path: str) -> None:
    with UploadRig(folder=tmp_path).serving() as server:
        for end in ("", "/timeline", "/events.jsonl"):
            status, _, answer = server.ask(f"{RECORDINGS}/{path}{end}")
            assert status == 404
            assert "root:" not in str(answer)


def test_a_name_cannot_forge_a_header(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path).serving() as server:
        made = server.upload(name="a%0d%0aset-cookie:%20x=1%22;.mp4")[2]["id"]
        server.finished(made)
        headers = server.ask(f"{RECORDINGS}/{made}/events.jsonl")[1]
        assert "set-cookie" not in headers
        assert headers["content-disposition"] == 'attachment; filename="a-r-nset-cookie-x-1.events.jsonl"'
