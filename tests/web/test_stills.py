"""``POST /api/1/stills`` over HTTP, with worker processes that a test scripts."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

import pytest

from ferstream.web.body import BodyLimits
from ferstream.web.still_worker import StillTimings
from ferstream.web.stills import MAX_WAITING, STILLS
from tests.support.scripted_worker import STILL, plan
from tests.support.sockets import open_files
from tests.support.threads import Task, wait_until
from tests.support.uploads import MAX_BYTES, UploadRig, UploadServer

pytestmark = pytest.mark.usefixtures("no_new_threads")


def test_a_picture_is_answered_with_its_faces_and_never_touches_the_disk(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path / "scratch").serving() as server:
        status, headers, answer = server.still(b"x" * 5000)
    assert (status, answer) == (200, STILL | {"bytes": 5000})
    assert headers["cache-control"] == "no-store"
    assert not (tmp_path / "scratch").exists()


def test_one_process_serves_many_pictures(tmp_path: Path) -> None:
    rig = UploadRig(folder=tmp_path)
    with rig.serving() as server:
        assert [server.still()[0] for _ in range(3)] == [200] * 3
    assert len(rig.workers) == 1


def test_a_process_ends_when_no_pictures_come_and_the_next_one_starts_another(tmp_path: Path) -> None:
    rig = UploadRig(folder=tmp_path, still=StillTimings(idle_s=0.1))
    with rig.serving() as server:
        for count in (1, 2):
            assert server.still()[0] == 200
            wait_until(lambda: server.stills.pid is None)
            assert len(rig.workers) == count


def test_what_is_no_picture_is_415_with_the_reason(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path, plan=plan("refuses")).serving() as server:
        assert server.still()[::2] == (415, {"error": "picture: is not a picture"})
        assert (
            server.ask(f"{STILLS}?name=../../etc/my%20photo.jpg", method="POST", body=b"x")[2]["error"] == "my photo.jpg: is not a picture"
        )


@pytest.mark.parametrize("given", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/html", "video/mp4"])
def test_a_wrong_content_type_is_415_with_advice(tmp_path: Path, given: str) -> None:
    with UploadRig(folder=tmp_path).serving() as server:
        status, _, answer = server.still(kind=given)
        assert (status, answer["error"][:35]) == (415, "send the bytes of a picture as the ")
        assert server.stills.pid is None


def test_a_process_that_dies_is_500_and_the_next_picture_gets_another(tmp_path: Path) -> None:
    rig = UploadRig(folder=tmp_path, plan=plan("dies"))
    with rig.serving() as server:
        status, _, answer = server.still()
        assert (status, answer["error"]) == (500, "the picture could not be analysed: the worker process was ended by SIGSEGV")
        rig.plan = plan("works")
        assert server.still()[0] == 200


def test_a_process_that_hangs_is_ended(tmp_path: Path) -> None:
    rig = UploadRig(folder=tmp_path, plan=plan("hangs"), still=StillTimings(start_s=0.2, still_s=0.1))
    with rig.serving() as server:
        assert "did not answer within" in server.still()[2]["error"]
        assert server.stills.pid is None


def test_too_many_pictures_at_a_time_are_503(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path, plan=plan("hangs", marker=str(tmp_path / "asked"))).serving() as server:
        sent = [Task(server.still) for _ in range(MAX_WAITING + 1)]
        wait_until(lambda: not all(task.alive for task in sent))
        wait_until((tmp_path / "asked").exists)
        refused = next(task for task in sent if not task.alive)
        assert (refused.result()[0], refused.result()[1]["retry-after"]) == (503, "3")
        server.stills.close()
        assert sorted(task.result()[0] for task in sent) == [*[500] * MAX_WAITING, 503]


def test_pictures_sent_at_the_same_time_are_all_analysed(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path).serving() as server:
        sent = [Task(lambda size=size: server.still(b"x" * size)) for size in range(1, MAX_WAITING + 1)]  # type: ignore[misc]
        assert sorted(task.result()[2]["bytes"] for task in sent) == list(range(1, MAX_WAITING + 1))


def test_a_picture_that_is_too_large_is_413_by_its_length_and_by_its_chunks(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path).serving() as server:
        assert server.still(b"x" * (MAX_BYTES + 1))[::2] == (
            413,
            {"error": "the request body is too large; at most 1,048,576 bytes are accepted here"},
        )
        assert server.still(b"x" * MAX_BYTES)[0] == 200
        answer = chunked(server, [b"x" * 65_536] * 17)
        assert b" 413 " in answer
        assert b'"error"' in answer


def chunked(server: UploadServer, chunks: list[bytes]) -> bytes:
    address = server.server.address
    with socket.create_connection((address.host, address.port), timeout=30) as client:
        client.sendall(f"POST {STILLS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        with suppress(ConnectionError):  # refused before it was all sent
            for chunk in chunks:
                client.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        answer = client.recv(4096)
        with suppress(ConnectionError):  # what was not read is thrown away by a server that closes
            while more := client.recv(4096):
                answer += more
        return answer


def test_chunks_are_accepted(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path).serving() as server:
        assert b'"bytes":7' in chunked(server, [b"abc", b"defg", b""])


def test_a_picture_that_trickles_is_408(tmp_path: Path) -> None:
    limits = BodyLimits(max_bytes=MAX_BYTES, window_s=0.2, least_bytes=1000)
    with UploadRig(folder=tmp_path, limits=limits).serving() as server:
        answer = chunked(server, [b"a"])
        assert b" 408 " in answer
        wait_until(lambda: server.still()[0] == 200, every_s=0.1)  # on a busy machine this one is slow too


def test_a_reason_to_refuse_is_403(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path, refusal="privacy.aggregate_only is set").serving() as server:
        assert server.still()[::2] == (403, {"error": "privacy.aggregate_only is set"})


def test_a_stop_ends_the_process_and_answers_those_who_wait(tmp_path: Path) -> None:
    with UploadRig(folder=tmp_path, plan=plan("hangs", marker=str(tmp_path / "asked"))).serving() as server:
        waiting = Task(server.still)
        wait_until((tmp_path / "asked").exists)
        server.stills.close()
        assert waiting.result()[0] == 500
        assert server.still()[2]["error"] == "the picture could not be analysed: the node is stopping"


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    rig = UploadRig(folder=tmp_path)
    with rig.serving() as server:
        server.still()
        before = open_files()
        for _ in range(3):
            server.still()
        chunked(server, [b"x" * 65_536] * 17)
        wait_until(lambda: open_files() <= before)
