"""A server that speaks S3, as a process of its own: moto's."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.api_client import PATIENCE_S
from tests.support.ports import free_port

BUCKET = "clips"
SECRET = "a-secret-key-that-no-message-may-have"


class S3Server:
    """The server; its environment makes programs use it."""

    def __init__(self, port: int) -> None:
        """Note where it is.

        Args:
            port: Its TCP port on this machine.
        """
        self.port = port
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def request(self, method: str, path: str, body: bytes | None = None) -> int:
        """Send a request without a signature, which this server accepts; return the status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def put(self, key: str, data: bytes) -> None:
        """Store an object in the bucket."""
        assert self.request("PUT", f"/{BUCKET}/{key}", data) == 200


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run the server with an empty bucket; skips where it is not installed."""
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ}) as process:
        try:
            server = S3Server(port)
            _wait_for(server, process)
            yield server
        finally:
            process.kill()


def _wait_for(server: S3Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert process.poll() is None, "the server ended"
        try:
            assert server.request("PUT", f"/{BUCKET}") == 200
        except ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.1)  # no event says that another program listens
        else:
            return
