"""The recordings of a plan: local files and objects of a store, in the order of the arguments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ferstream.archive.plan import PLAN, decode_chunks, decode_plan
from ferstream.archive.planning.found_sources import find_sources
from ferstream.archive.planning.planner import PlanOptions, make_plan
from ferstream.archive.storage.stores import open_store
from tests.support.clips import write_clip
from tests.support.s3_server import BUCKET, S3Server, s3_server

GOP = {"x264-params": "keyint=10:min-keyint=10:scenecut=0"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A store with two recordings and a file that is none."""
    clip = write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=50, options=GOP)
    with s3_server() as running:
        running.put("sources/b.mp4", clip.read_bytes())
        running.put("sources/a.mp4", clip.read_bytes())
        running.put("sources/bad.mp4", b"no video")
        yield running


@pytest.fixture(autouse=True)
def _environment(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)


def test_files_and_objects_keep_the_order_of_the_arguments(tmp_path: Path) -> None:
    local = write_clip(tmp_path / "z.mp4", frames=2)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "bad.mp4").write_text("no video")
    other = write_clip(tmp_path / "more" / "y.mp4", frames=2)
    found = find_sources([str(local), f"s3://{BUCKET}/sources/b.mp4", str(other.parent)], leave_out=str(tmp_path / "archive"))
    assert found.paths == (str(local), f"s3://{BUCKET}/sources/b.mp4", str(other))
    assert [left.path for left in found.left_out] == [str(tmp_path / "more" / "bad.mp4")]


def test_a_plan_in_a_store_of_recordings_in_a_store() -> None:
    store = open_store(f"s3://{BUCKET}/sources/archive")
    options = PlanOptions(sources=(f"s3://{BUCKET}/sources/",), chunk_s=1.0)
    made = make_plan(store, options).plan
    assert [(item.path, item.source, item.camera) for item in made.recordings] == [
        (f"s3://{BUCKET}/sources/a.mp4", "a.mp4", "a"),
        (f"s3://{BUCKET}/sources/b.mp4", "b.mp4", "b"),
    ]
    assert [left.path for left in made.left_out] == [f"s3://{BUCKET}/sources/bad.mp4"]
    assert "is text" in made.left_out[0].reason
    assert made.recordings[0].chunks == 2
    assert sum(chunk.frames for chunk in decode_chunks(store.read("plan/000001.json"), "")) == 50
    assert decode_plan(store.read(PLAN)) == made
    assert make_plan(store, options).was_there
