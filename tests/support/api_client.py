"""A browser without a screen: logs in, asks the API, and checks every answer against docs/openapi.json."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from tests.support.openapi import check_answer, document

PATIENCE_S = 300.0


class ApiClient:
    """Talks to one daemon.

    Args:
        port: Its port on the loopback interface.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.cookie = ""

    def log_in(self, token: str) -> str:
        """Log in with the form; return the whole ``Set-Cookie`` header."""
        headers = {"content-type": "application/x-www-form-urlencoded"}
        status, given, _ = self.raw("POST", "/login", f"token={quote(token)}".encode(), headers)
        assert (status, given.get("location")) == (303, "/")
        self.cookie = given["set-cookie"].partition(";")[0]
        return given["set-cookie"]

    def raw(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request as a page of the daemon would; return status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
        own = {"origin": f"http://127.0.0.1:{self._port}"} | ({"cookie": self.cookie} if self.cookie else {})
        try:
            connection.request(method, path, body=body, headers=own | (headers or {}))
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def ask(self, method: str, template: str, path: str = "", body: bytes | None = None, kind: str = "") -> tuple[int, Any]:
        """Ask the API, and check the answer.

        Args:
            method: HTTP method.
            template: The path as the document has it.
            path: The real path and query; the same without it.
            body: The body.
            kind: Its content type.

        Returns:
            The status, and the JSON or the text.
        """
        status, headers, answer = self.raw(method, path or template, body, {"content-type": kind} if kind else {})
        given = headers.get("content-type", "")
        text = "" if "parquet" in given else answer.decode()
        check_answer(method, template, status, given, text)
        return status, json.loads(text) if given == "application/json" else answer

    def events(self, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Read messages of the stream, checked; yield their kinds and contents."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
        try:
            connection.request("GET", "/api/1/events", headers={"cookie": self.cookie} if self.cookie else {})
            stream = connection.getresponse()
            assert stream.status == 200
            while count:
                line = stream.readline().decode().rstrip("\n")
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                if line.startswith("data: "):
                    count -= 1
                    yield kind, json.loads(line.removeprefix("data: "))
        finally:
            connection.close()

    def wait_recording(self, recording: str) -> Any:
        """Wait until a recording is no longer analysed."""
        deadline, pause = time.monotonic() + PATIENCE_S, threading.Event()
        while True:
            _, state = self.ask("GET", "/api/1/recordings/{id}", f"/api/1/recordings/{recording}")
            if state["state"] != "running":
                return state
            assert time.monotonic() < deadline, state
            pause.wait(0.25)


def message_schema(kind: str) -> dict[str, Any]:
    """The schema of a message of the stream."""
    found: dict[str, Any] = document()["paths"]["/api/1/events"]["get"]["x-messages"][kind]
    return found
