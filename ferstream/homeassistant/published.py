"""Remembers in the state folder on which topics discovery messages were published, so that a later run can remove them."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Collection
from pathlib import Path

from ferstream.events.names import is_topic_level
from ferstream.homeassistant.ids import device_id

MAX_TOPIC_BYTES = 1024

_LOG = logging.getLogger(__name__)


class PublishedTopics:
    """The topics that the broker may keep; written before a message is published, and after its removal was acknowledged."""

    def __init__(self, path: Path | None) -> None:
        """Read what an earlier run wrote; a file that cannot be read counts as empty and is logged.

        Args:
            path: The file; None remembers nothing over restarts.
        """
        self._path = path
        self._lock = threading.Lock()
        self._topics = _read(path) if path is not None else set()
        self._unwritten = self._failed = False

    @property
    def topics(self) -> frozenset[str]:
        """The topics; any thread."""
        with self._lock:
            return frozenset(self._topics)

    def add(self, topics: Collection[str]) -> None:
        """Remember topics; any thread."""
        with self._lock:
            if not self._topics.issuperset(topics):
                self._topics.update(topics)
                self._unwritten = True

    def discard(self, topic: str) -> None:
        """Forget a topic that the broker keeps no longer; any thread."""
        with self._lock:
            if topic in self._topics:
                self._topics.discard(topic)
                self._unwritten = True

    def save(self) -> None:
        """Write what changed since the last call; a file that cannot be written is logged once. Main thread only."""
        with self._lock:
            if not self._unwritten or self._path is None:
                return
            topics, self._unwritten = sorted(self._topics), False
        try:
            _write(self._path, topics)
            self._failed = False
        except OSError as exc:
            with self._lock:
                self._unwritten = True
            if not self._failed:
                self._failed = True
                _LOG.warning(
                    "homeassistant: %s cannot be written: %s; entities of a camera that is taken out while ferstream does not run stay "
                    "in Home Assistant",
                    self._path,
                    exc.strerror or exc,
                )


def file_of(folder: Path, *, prefix: str, node: str) -> Path:
    """Return the file of a node in the state folder, which several nodes may share.

    Args:
        folder: The state folder.
        prefix: First levels of the node's topics.
        node: Name of the node.
    """
    return folder / f"homeassistant-{device_id(prefix, node)}.json"


def _read(path: Path) -> set[str]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        topics = value["topics"]
        if not isinstance(topics, list) or not all(isinstance(topic, str) and _is_topic(topic) for topic in topics):
            raise ValueError("no list of topics")
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as exc:
        _LOG.warning("homeassistant: %s cannot be read: %s; what an earlier run published is not known", path, exc)
        return set()
    return set(topics)


def _is_topic(text: str) -> bool:
    """Whether a message can be published on it; what is on the disk may be damaged."""
    return len(text.encode("utf-8", "surrogatepass")) <= MAX_TOPIC_BYTES and all(map(is_topic_level, text.split("/")))


def _write(path: Path, topics: list[str]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    unfinished.write_text(json.dumps({"topics": topics}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    unfinished.replace(path)
