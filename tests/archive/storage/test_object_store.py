"""Archives in an object store, on a real server of S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ferstream.archive.storage.object_files import shown_url
from ferstream.archive.storage.object_store import ObjectStore
from ferstream.archive.storage.store import LocalStore, Store
from ferstream.archive.storage.stores import open_store
from ferstream.errors import ConfigError, OutputError
from tests.support.ports import free_port
from tests.support.s3_server import BUCKET, SECRET, S3Server, s3_server


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as running:
        yield running


@pytest.fixture
def s3(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(str(tmp_path / "archive"))
    request.getfixturevalue("s3")
    return open_store(f"s3://{BUCKET}/{request.node.name}")


def test_what_is_written_is_read_again_and_replaced(store: Store) -> None:
    store.write("plan/000001.json", b"one")
    store.write("plan/000001.json", b"two")

    assert store.read("plan/000001.json") == b"two"


def test_a_missing_file_is_missing(store: Store) -> None:
    store.write("plan.json", b"{}")

    with pytest.raises(FileNotFoundError):
        store.read("done/000001.json")


def test_names_are_those_of_the_files_of_one_folder(store: Store) -> None:
    store.write("chunks/a.npz", b"")
    store.write("chunks/b.npz", b"")
    store.write("chunks/below/c.npz", b"")
    store.write("other/d.npz", b"")

    assert sorted(store.names("chunks")) == ["chunks/a.npz", "chunks/b.npz"]
    assert list(store.names("nothing")) == []


def test_files_of_another_process_are_seen_at_once(store: Store) -> None:
    other = open_store(store.where)
    store.write("chunks/a.npz", b"")
    assert list(store.names("chunks")) == ["chunks/a.npz"]

    other.write("chunks/b.npz", b"")
    other.remove("chunks/a.npz")

    assert list(store.names("chunks")) == ["chunks/b.npz"]
    assert store.read("chunks/b.npz") == b""


def test_a_file_that_is_put_is_moved(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "rows"
    file.write_bytes(b"rows")

    store.put("events/camera=a/1.parquet", file)

    assert store.read("events/camera=a/1.parquet") == b"rows"
    assert not file.exists()


def test_a_removed_file_may_be_removed_again(store: Store) -> None:
    store.write("a", b"")

    store.remove("a")
    store.remove("a")

    with pytest.raises(FileNotFoundError):
        store.read("a")


def test_a_large_object_is_complete(s3: S3Server, tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(range(256)) * (60 << 12))  # more than one part of an upload

    store = open_store(f"s3://{BUCKET}/large")
    store.put("file", file)

    assert store.read("file") == bytes(range(256)) * (60 << 12)


def test_a_missing_bucket_is_named(s3: S3Server) -> None:
    with pytest.raises(OutputError, match=r"s3://nowhere/a/plan\.json.*bucket"):
        open_store("s3://nowhere/a").write("plan.json", b"")


def test_missing_credentials_are_named(s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    store = ObjectStore(f"s3://{BUCKET}/nobody")
    with pytest.raises(OutputError, match="no credentials"):
        store.write("plan.json", b"")


def test_a_server_that_does_not_answer_is_named_without_secrets(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr("ferstream.archive.storage.object_files.ATTEMPTS", 1)

    with pytest.raises(OutputError, match=r"no answer.*AWS_ENDPOINT_URL") as error:
        ObjectStore(f"s3://{BUCKET}/away").write("plan.json", b"")

    assert SECRET not in str(error.value)


@pytest.mark.parametrize("url", ["s3://user:hidden@clips/a", "s3://clips/a?X-Amz-Signature=hidden"])
def test_a_secret_in_a_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigError, match="leave user, password and query out") as error:
        open_store(url)

    assert "hidden" not in str(error.value)
    assert "hidden" not in shown_url(url)


def test_an_unknown_kind_of_store_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no object store"):
        open_store("tape://drive/a")


def test_a_url_without_a_bucket_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no bucket"):
        open_store("s3:///a")


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/archive")

    assert isinstance(store, LocalStore)
    assert store.where == f"{tmp_path}/archive"
