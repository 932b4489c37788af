"""``ferstream reload`` sends SIGHUP only to a process that holds the lock of a running daemon."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ferstream.app.daemon_lock import FOREIGN, LOCK_FILE, daemon_lock, daemons
from ferstream.app.find_daemons import candidates, is_daemon, running_daemons, runs_here, send_reload
from ferstream.errors import ConfigError

HOLDER = """
import signal, sys
from pathlib import Path
from ferstream.app.daemon_lock import daemon_lock
got = []
signal.signal(signal.SIGHUP, lambda *_: (print("SIGHUP", flush=True)))
with daemon_lock(Path(sys.argv[1])) as held:
    print(held, flush=True)
    sys.stdin.read()
"""
ASK = "import sys; from pathlib import Path; from ferstream.app.daemon_lock import daemons; print(daemons(Path(sys.argv[1])))"
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of this user."""
    folder = tmp_path / "state"
    monkeypatch.setenv("STATE_DIRECTORY", str(folder))
    monkeypatch.setattr("ferstream.app.find_daemons.SERVICE_FOLDERS", ())
    return folder


@pytest.fixture
def start(root_dir: Path) -> Iterator[Start]:
    """Starts a process that holds the lock in a folder; kills them at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(folder: Path, *prefix: str, **environment: str) -> subprocess.Popen[bytes]:
        command = [*prefix, sys.executable, "-c", HOLDER, str(folder)]
        env = os.environ | {"PYTHONPATH": str(root_dir)} | environment
        process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def impostors(tmp_path: Path) -> Path:
    """A folder with programs that are named as ferstream is, and that SIGHUP ends."""
    for name in ("ferstream", "ferstream.py"):
        (tmp_path / name).write_text("import sys, time\nprint('ready', flush=True)\ntime.sleep(600)\n")
    return tmp_path


def test_the_daemons_of_a_folder_are_found_while_they_live(state: Path, start: Start) -> None:
    processes = [start(state) for _ in range(3)]
    assert daemons(state) == {process.pid for process in processes}
    assert daemons(state) <= set(running_daemons())  # this machine may have others
    processes[0].kill()
    processes[0].wait()
    assert daemons(state) == {process.pid for process in processes[1:]}


def test_a_daemon_gets_sighup(state: Path, start: Start) -> None:
    process = start(state)
    send_reload(process.pid)
    assert process.stdout is not None
    assert process.stdout.readline() == b"SIGHUP\n"
    assert process.poll() is None


@pytest.mark.parametrize("words", [["-c", "print('ready', flush=True); input()"], ["ferstream", "run"], ["-m", "ferstream", "run"]])
def test_another_process_gets_nothing_however_it_is_named(state: Path, start: Start, impostors: Path, words: list[str]) -> None:
    start(state)
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, *words]
    with subprocess.Popen(command, cwd=impostors, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            with pytest.raises(ConfigError, match=f"process {process.pid} .*nothing was sent"):
                send_reload(process.pid)
            assert process.poll() is None
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL, "it lived until the test ended it"


def test_the_child_of_a_daemon_is_no_daemon(state: Path) -> None:
    with daemon_lock(state), subprocess.Popen(["sleep", "600"]) as child:
        try:
            asked = [
                sys.executable,
                "-c",
                f"from pathlib import Path; from ferstream.app.daemon_lock import daemons; print(daemons(Path({str(state)!r})))",
            ]
            assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == f"{{{os.getpid()}}}"
        finally:
            child.kill()


@pytest.mark.parametrize("pid", [0, -1, 2**31 - 1, 2**70])
def test_a_number_that_is_no_process_gets_nothing(state: Path, pid: int) -> None:
    with pytest.raises(ConfigError, match=f"process {pid}"):
        send_reload(pid)


def test_a_daemon_with_another_state_folder_is_found_by_its_environment(state: Path, start: Start, tmp_path: Path) -> None:
    other = tmp_path / "other"
    process = start(other, STATE_DIRECTORY=str(other))
    assert is_daemon(process.pid)
    send_reload(process.pid)


@pytest.mark.skipif(os.getuid() != 0, reason="needs a second user")
def test_a_daemon_of_another_user_is_named(state: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    process = start(state)

    def refuse(handle: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
    with pytest.raises(ConfigError, match=f"process {process.pid} belongs to another user; use: systemctl reload ferstream"):
        send_reload(process.pid)


def test_a_daemon_of_another_container_is_named(state: Path, start: Start) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rpf", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no pid namespaces here")
    start(state)
    inside = subprocess.run([unshare, "-rpf", sys.executable, "-c", ASK, str(state)], capture_output=True, text=True, check=True)
    assert inside.stdout.strip() == f"{{{FOREIGN}}}"


def test_two_daemons_with_one_process_id_in_their_containers_hold_a_lock_each(state: Path, start: Start) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rpf", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no pid namespaces here")
    first, second = start(state, unshare, "-rpf"), start(state, unshare, "-rpf")
    assert len(daemons(state)) == 2
    assert not {first.pid, second.pid} & daemons(state), "those are the processes of unshare"


def test_without_proc_a_daemon_is_still_proved(state: Path, start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ferstream.app.find_daemons._PROC", tmp_path / "no-proc")
    process = start(state)
    assert process.pid in running_daemons()
    send_reload(process.pid)


def test_a_folder_that_cannot_be_written_means_no_lock_and_no_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    with daemon_lock(file / "state") as held:
        assert not held
    assert daemons(file / "state") == set()


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("content")
    (tmp_path / LOCK_FILE).symlink_to(target)
    with daemon_lock(tmp_path) as held:
        assert not held
    assert target.read_text() == "content"


def test_a_daemon_that_runs_here_is_known(state: Path, start: Start) -> None:
    assert not runs_here()
    start(state)
    assert runs_here()


DAEMONS = [
    ["/opt/ferstream/bin/ferstream", "run", "-c", "f.toml"],
    ["/usr/bin/python3.11", "/opt/ferstream/bin/ferstream", "run"],
    ["python", "-m", "ferstream", "run", "--seconds", "5"],
    ["/usr/bin/python3", "/src/ferstream/__main__.py", "run"],
]
OTHERS = [
    ["uv", "run", "ferstream", "run"],
    ["timeout", "9", "ferstream", "run"],
    ["ferstream", "demo"],
    ["python", "-m", "ferstream", "replay", "run"],
    ["python", "-m", "pytest", "ferstream", "run"],
    ["bash", "-c", "ferstream run"],
    [""],
]


def proc_of(folder: Path, commands: list[list[str]]) -> Path:
    for pid, words in enumerate(commands, 10_000_000):
        (folder / str(pid)).mkdir()
        (folder / str(pid) / "cmdline").write_bytes(b"\0".join(word.encode() for word in words) + b"\0")
    (folder / "self").mkdir()
    return folder


@pytest.mark.parametrize("words", DAEMONS)
def test_a_candidate_is_found_by_its_name(words: list[str], tmp_path: Path) -> None:
    assert candidates(proc_of(tmp_path, [words])) == [10_000_000]


@pytest.mark.parametrize("words", OTHERS)
def test_a_program_that_starts_or_names_the_daemon_is_no_candidate(words: list[str], tmp_path: Path) -> None:
    assert candidates(proc_of(tmp_path, [words])) == []


def test_a_process_that_ends_meanwhile_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "10000000").mkdir()
    assert candidates(tmp_path) == []
    assert candidates(tmp_path / "no-proc") == []
