"""What a local worker and its driver write to each other: JSON, one message a line.

The driver writes the setup first, then tasks, one after the other. The worker answers that it is ready, or why it does not start, and
then each task with its outcome.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ferstream.archive.tasks import Differs, Done, Failed, Outcome, Task

_OUTCOMES: Mapping[str, type[Done | Differs | Failed]] = {"done": Done, "differs": Differs, "failed": Failed}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a worker works.

    Attributes:
        where: The archive.
        cores: Number of cores that the worker may keep busy.
        scratch: Folder, not made yet, where recordings that are objects of a store are fetched to.
    """

    where: str
    cores: int
    scratch: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The worker has loaded its models.

    Attributes:
        machine: Precision and versions of its machine.
        host: Name of its machine.
    """

    machine: dict[str, str]
    host: str


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The worker cannot work, and ends.

    Attributes:
        reason: Why, one line.
    """

    reason: str


Answer = Loaded | NotStarted | Outcome


def encode(message: Setup | Task | Answer) -> bytes:
    """Return a message as a line."""
    return json.dumps({type(message).__name__.lower(): asdict(message)}).encode() + b"\n"


def decode_setup(line: bytes) -> Setup:
    """Return the first message to a worker."""
    return Setup(**_content(line, "setup"))


def decode_task(line: bytes) -> Task:
    """Return a later message to a worker."""
    return Task(**_content(line, "task"))


def decode_answer(line: bytes) -> Answer:
    """Return a message of a worker.

    Raises:
        ValueError: It is no message of a worker.
    """
    try:
        ((kind, content),) = json.loads(line).items()
        known: Mapping[str, type[Any]] = {"loaded": Loaded, "notstarted": NotStarted, **_OUTCOMES}
        answer: Answer = known[kind](**content)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"not an answer: {line[:100]!r}") from exc
    return answer


def _content(line: bytes, kind: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(line)[kind]
    return content
