"""Checks of this machine: files with secrets, the port of the HTTP pages, the folder of the outbox."""

from __future__ import annotations

import contextlib
import errno
import http.client
import os
import pwd
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ferstream.app.checks.finding import Finding, failed, passed, skipped, warned, wrong_setting
from ferstream.errors import ExitCode
from ferstream.settings import Settings
from ferstream.settings.secrets import read_secret, readable_by_others, secret_files, unsafe_listen

_MEGABYTE = 1_000_000
_ANSWER_S = 2.0
"""Seconds that whoever holds the port may take to answer."""
SERVICE = Path("/etc/systemd/system/ferstream.service")
"""Unit file that ``deploy/install.sh`` writes."""
_UNSAFE_LISTEN_ADVICE = "head -c 24 /dev/urandom | base64 > token; chmod 600 token; then set http.token_file to that file"


def check_secrets(settings: Settings) -> Iterator[Finding]:
    """Check every file that holds a secret: this user can read it, and other users cannot."""
    for key, path in secret_files(settings):
        try:
            read_secret(path, None, key)
        except ValueError as exc:
            advice = f"create the file, readable for the user that runs ferstream, or remove {key} from the settings"
            yield failed("secret", f"{key}: {exc}", advice, ExitCode.USAGE)
            continue
        if readable_by_others(path):
            yield warned("secret", f"{key}: every user of this machine can read {path}", f"chmod 600 {path}")
        else:
            yield passed("secret", f"{key}: {path}")


def check_http(settings: Settings) -> Iterator[Finding]:
    """Check that the port of the metrics and health pages is free."""
    pages = settings.http
    if not pages.enabled:
        yield skipped("http", "http.enabled is false: no metrics page")
        return
    unsafe = unsafe_listen(settings)
    if unsafe is not None:
        yield wrong_setting("http", unsafe, _UNSAFE_LISTEN_ADVICE)
        return
    try:
        _bind(pages.host, pages.port)
    except OSError as exc:
        yield _unusable(pages.listen, pages.host, pages.port, exc)
    else:
        yield passed("http", f"http.listen = {pages.listen} is free{'' if pages.loopback else ', a token is set'}")
    if pages.pixels and not pages.loopback:
        advice = "listen on 127.0.0.1 behind a proxy with TLS, or remove http.pixels"
        yield warned("http", "http.pixels = true: pictures of the cameras cross the network without encryption", advice)


def check_outbox(settings: Settings, service: Path = SERVICE) -> Iterator[Finding]:
    """Check that the folder of the outbox can be written and has enough free space, and say whose outbox it is.

    Args:
        settings: The settings in force.
        service: Unit file of the installed service. Where it exists and this process does not run in the service, the finding
            names the command that checks the outbox of the service.
    """
    folder = settings.outbox.directory
    if folder is None:
        yield skipped("outbox", "outbox.path is memory: events do not survive a restart")
        return
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free
    except OSError as exc:
        advice = "make the folder writable for the user that runs ferstream, or set outbox.path to another folder"
        yield failed("outbox", f"outbox.path: {folder} cannot be written: {(exc.strerror or str(exc)).lower()}", advice, ExitCode.USAGE)
        return
    if free < settings.outbox.max_bytes:
        detail = (
            f"outbox.path: {free / _MEGABYTE:.0f} MB free in {there}, outbox.max_bytes is {settings.outbox.max_bytes / _MEGABYTE:.0f} MB"
        )
        yield failed("outbox", detail, "free disk space, move outbox.path, or set a smaller outbox.max_bytes", ExitCode.USAGE)
        return
    detail = f"{folder}{'' if folder.exists() else ' (will be created)'}, {free / _MEGABYTE:.0f} MB free, outbox of user {_user()}"
    if service.exists() and "STATE_DIRECTORY" not in os.environ:
        yield passed("outbox", f"{detail}; the service has its own: sudo /opt/ferstream/ferstream-check")
    else:
        yield passed("outbox", detail)


def _user() -> str:
    """Return the name of the user of this process, or the number of one without a name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _bind(host: str, port: int) -> None:
    family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen(1)


def _unusable(listen: str, host: str, port: int, exc: OSError) -> Finding:
    if exc.errno == errno.EADDRINUSE:
        process = _listening_process(port)
        if process is not None and _is_daemon(process):
            return passed("http", f"http.listen = {listen} is held by the running ferstream (pid {process.name})")
        if _is_page_of_ferstream(host, port):
            return passed("http", f"http.listen = {listen} is held by a running ferstream")
        holder = f"{_name(process)} (pid {process.name})" if process is not None else ""
        advice = f"stop {holder or 'the process that listens there'}, or set http.listen to another port"
        return failed(
            "http", f"http.listen = {listen}: port {port} is in use{f' by {holder}' if holder else ''}", advice, ExitCode.ADDRESS_IN_USE
        )
    if exc.errno == errno.EACCES:
        return failed("http", f"http.listen = {listen}: not allowed", "ports below 1024 need root: choose a higher one", ExitCode.USAGE)
    detail = f"http.listen = {listen}: {(exc.strerror or str(exc)).lower()}"
    return failed("http", detail, "listen on an address of this machine, such as 127.0.0.1", ExitCode.USAGE)


def _listening_process(port: int) -> Path | None:
    """Return the folder in /proc of the process that listens on a TCP port; None if it is not visible."""
    inodes = {line.split()[9] for table in ("tcp", "tcp6") for line in _lines(Path("/proc/net") / table) if _listens(line, port)}
    sockets = {f"socket:[{inode}]" for inode in inodes}
    processes = Path("/proc").glob("[0-9]*") if sockets else ()
    return next((process for process in processes if sockets & _open_files(process)), None)


def _is_page_of_ferstream(host: str, port: int) -> bool:
    """Whether the port answers as a metrics page does: for a daemon whose files this user may not see."""
    connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_S)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return 'realm="ferstream"' in answer.headers.get("www-authenticate", "") or b"<title>ferstream</title>" in answer.read(4096)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _name(process: Path) -> str:
    return " ".join(_lines(process / "comm", skip=0)) or "a process"


def _is_daemon(process: Path) -> bool:
    try:
        words = [word.rsplit(b"/", 1)[-1] for word in (process / "cmdline").read_bytes().split(b"\0")]
    except OSError:
        return False
    return b"ferstream" in words and b"run" in words


def _open_files(process: Path) -> set[str]:
    """Return the targets of a process's file descriptors; empty if this user may not read them."""
    found = set()
    try:
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                found.add(str(descriptor.readlink()))
    except OSError:
        return set()
    return found


def _listens(line: str, port: int) -> bool:
    parts = line.split()
    return len(parts) > 9 and parts[3] == "0A" and parts[1].endswith(f":{port:04X}")


def _lines(path: Path, *, skip: int = 1) -> list[str]:
    try:
        return path.read_text().splitlines()[skip:]
    except OSError:
        return []
