"""The memory of what was published, over restarts and on bad disks."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from ferstream.homeassistant.published import PublishedTopics, file_of

TOPIC = "homeassistant/device/door/config"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return file_of(tmp_path / "state", prefix="ferstream", node="edge-1")


def test_topics_are_known_to_the_next_run_until_they_are_removed(path: Path) -> None:
    first = PublishedTopics(path)
    first.add({TOPIC, "a/b"})
    first.save()
    second = PublishedTopics(path)
    assert second.topics == {TOPIC, "a/b"}
    second.discard(TOPIC)
    second.discard("never published")
    second.save()
    assert PublishedTopics(path).topics == {"a/b"}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_nothing_is_written_without_a_change(path: Path) -> None:
    published = PublishedTopics(path)
    published.save()
    assert not path.exists()
    published.add({TOPIC})
    published.save()
    path.unlink()
    published.add({TOPIC})
    published.save()
    assert not path.exists()


def test_without_a_file_it_remembers_for_this_run() -> None:
    published = PublishedTopics(None)
    published.add({TOPIC})
    published.save()
    assert published.topics == {TOPIC}


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "1", "[" * 99_999),
        *('{"topics": 3}', '{"topics": [3]}', '{"topics": ["a/#"]}', '{"topics": ["a//b"]}', '{"topics": [""]}'),
    ],
    ids=range(10),
)
def test_a_damaged_file_counts_as_empty_and_is_logged(path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_text(text)
    published = PublishedTopics(path)
    assert published.topics == frozenset()
    assert "cannot be read" in caplog.text
    published.add({TOPIC})
    published.save()
    assert json.loads(path.read_text()) == {"topics": [TOPIC]}


def test_a_folder_that_cannot_be_written_is_logged_once_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "state"
    folder.write_text("a file in the place of the folder")
    published = PublishedTopics(file_of(folder, prefix="ferstream", node="edge-1"))
    caplog.clear()
    published.add({TOPIC})
    published.save()
    published.save()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "cannot be written" in caplog.text
    folder.unlink()
    published.save()
    assert PublishedTopics(file_of(folder, prefix="ferstream", node="edge-1")).topics == {TOPIC}


def test_two_nodes_that_share_a_folder_have_files_of_their_own(tmp_path: Path) -> None:
    files = {file_of(tmp_path, prefix=prefix, node=name) for prefix, name in (("a", "b"), ("a", "c"), ("d", "b"), ("d/b", "b"))}
    assert len(files) == 4
