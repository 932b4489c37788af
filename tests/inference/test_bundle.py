"""Bundles: found by name, verified when loaded, written completely or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.domain.emotion import LABELS
from ferstream.errors import BundleError, ExitCode
from ferstream.inference import bundle as bundles
from ferstream.inference.bundle import Bundle, check_target, known_models, load_bundle, resolve, write_bundle
from ferstream.inference.manifest import Manifest
from tests.support.bundles import tiny_openvino_bundle


def edit(bundle: Bundle, **changes: Any) -> None:
    path = bundle.directory / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_written_bundle_loads_as_it_was_written(tmp_path: Path) -> None:
    written = tiny_openvino_bundle(
        tmp_path, name="emotion-a", temperature=1.5, metrics={"PublicTest": {"accuracy": 0.5}}, recipe={"seed": 1}
    )
    loaded = load_bundle("emotion-a", [tmp_path])
    assert loaded == written
    assert loaded.manifest.temperature == 1.5
    assert loaded.manifest.metrics == {"PublicTest": {"accuracy": 0.5}}
    assert (loaded.directory / "CARD.md").read_text() == "# Tiny\n"
    assert set(loaded.manifest.files) == {"openvino.xml", "openvino.bin"}


def test_the_manifest_describes_input_and_output(bundle: Bundle) -> None:
    said = json.loads((bundle.directory / "manifest.json").read_text())
    assert said["schema"] == "ferstream.bundle/1"
    assert said["labels"] == list(LABELS)
    assert said["input"] == {"height": 48, "width": 48, "channels": 1, "dtype": "uint8", "range": [0, 255]}
    assert said["alignment"] == "fer2013-5pt/1"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: (folder / "model.keras").touch(), r"the file is empty \(0 bytes\), and a model is a folder"),
        (lambda folder: (folder / "model.keras").write_text("x"), r"is a file, and a model is a folder; ferstream import-model makes one"),
        (lambda folder: (folder / "model.keras").mkdir(), r"the folder has no manifest\.json"),
        (lambda folder: None, "no such model or folder"),
    ],
)
def test_what_is_not_a_bundle_is_named_for_what_it_is(tmp_path: Path, make: Callable[[Path], object], says: str) -> None:
    make(tmp_path)
    with pytest.raises(BundleError, match=rf"model '.*model\.keras': {says}"):
        load_bundle(str(tmp_path / "model.keras"))


def test_a_file_of_a_bundle_leads_to_its_folder(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=rf"is a file of a bundle; give its folder, {bundle.directory};"):
        load_bundle(str(bundle.directory / "openvino.xml"))


@pytest.mark.parametrize("name", ["manifest.json", "openvino.bin"])
def test_an_empty_file_in_a_bundle_is_named_as_empty(bundle: Bundle, name: str) -> None:
    (bundle.directory / name).write_bytes(b"")
    with pytest.raises(BundleError, match=rf"{name}: is empty \(0 bytes\); copy the whole bundle again"):
        load_bundle(bundle.directory)


class TestResolve:
    @pytest.fixture
    def models(self, tmp_path: Path) -> Path:
        for version in ("1.0.0", "1.9.0", "1.10.0"):
            tiny_openvino_bundle(tmp_path, name="emotion-edge", version=version)
        tiny_openvino_bundle(tmp_path, name="emotion-big", version="2.0.0")
        return tmp_path

    def test_a_name_is_its_highest_version_by_number_not_by_text(self, models: Path) -> None:
        assert resolve("emotion-edge", [models]).name == "1.10.0"

    @pytest.mark.parametrize("early", ["1.0.0rc1", "1.0.0rc10", "1.0.0-rc.1", "1.0.0a2", "1.0.0.dev3", "1.0.0-alpha"])
    def test_a_pre_release_is_below_its_release(self, tmp_path: Path, early: str) -> None:
        for version in (early, "1.0.0", "0.9.0"):
            tiny_openvino_bundle(tmp_path, name="emotion-edge", version=version)
        assert resolve("emotion-edge", [tmp_path]).name == "1.0.0"
        assert known_models([tmp_path]) == ("emotion-edge/1.0.0", f"emotion-edge/{early}", "emotion-edge/0.9.0")

    def test_later_pre_releases_and_rebuilds_are_higher(self, tmp_path: Path) -> None:
        for version in ("1.0.0rc2", "1.0.0rc10", "1.0.0+2", "1.0.0"):
            tiny_openvino_bundle(tmp_path, name="m", version=version)
        assert known_models([tmp_path]) == ("m/1.0.0+2", "m/1.0.0", "m/1.0.0rc10", "m/1.0.0rc2")

    def test_a_version_can_be_fixed(self, models: Path) -> None:
        assert resolve("emotion-edge/1.9.0", [models]) == models / "emotion-edge" / "1.9.0"

    def test_a_folder_can_be_given(self, models: Path) -> None:
        folder = models / "emotion-big" / "2.0.0"
        assert resolve(folder) == folder
        assert resolve(str(folder)) == folder

    def test_an_unknown_name_lists_the_known_ones(self, models: Path) -> None:
        with pytest.raises(
            BundleError, match=r"'emotion-huge'.*known models: emotion-big/2\.0\.0, emotion-edge/1\.10\.0, emotion-edge/1\.9\.0"
        ) as caught:
            resolve("emotion-huge", [models])
        assert caught.value.exit_code == ExitCode.MODEL

    def test_an_unknown_version_lists_the_known_ones(self, models: Path) -> None:
        with pytest.raises(BundleError, match=r"emotion-edge/1\.0\.0"):
            resolve("emotion-edge/7.0.0", [models])

    def test_a_folder_without_manifest_is_named_as_such(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match=r"has no manifest\.json"):
            resolve(tmp_path, [])

    def test_a_path_that_is_not_a_name_or_folder_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match="no such model or folder"):
            resolve("../nowhere/else", [tmp_path])

    def test_the_first_search_path_does_not_hide_a_higher_version_in_the_second(self, models: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        tiny_openvino_bundle(other, name="emotion-edge", version="3.0.0")
        assert resolve("emotion-edge", [models, other]) == other / "emotion-edge" / "3.0.0"

    def test_known_models_of_no_folder_are_none(self, tmp_path: Path) -> None:
        assert known_models([tmp_path / "missing"]) == ()

    def test_the_models_of_the_package_and_of_its_checkout_are_searched(self) -> None:
        package = Path(bundles.__file__).parent.parent
        assert bundles.default_search_paths() == (package / "models", package.parent / "models")

    @pytest.mark.parametrize("planted", ["models/emotion-edge/9.9.9", "emotion-edge", "emotion-edge/9.9.9"])
    @pytest.mark.parametrize("name", ["emotion-edge", "emotion-edge/1.2.0"])
    def test_a_model_in_the_working_directory_is_not_used_for_a_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: str, name: str
    ) -> None:
        made = tiny_openvino_bundle(tmp_path / "made", name="emotion-edge", version="9.9.9")
        shutil.copytree(made.directory, tmp_path / planted)
        monkeypatch.chdir(tmp_path)
        assert resolve(name).is_relative_to(Path(bundles.__file__).parent.parent.parent)
        assert "emotion-edge/9.9.9" not in known_models()

    @pytest.mark.parametrize("folder", ["./models/mine/1.0.0", "models/mine/1.0.0", "./models/mine"])
    def test_a_folder_of_the_working_directory_is_used_where_it_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
    ) -> None:
        tiny_openvino_bundle(tmp_path / "models", name="mine")
        monkeypatch.chdir(tmp_path)
        assert resolve(folder).resolve() == tmp_path / "models" / "mine" / "1.0.0"

    def test_the_message_says_how_to_use_the_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tiny_openvino_bundle(tmp_path / "models", name="mine")
        monkeypatch.chdir(tmp_path)
        with pytest.raises(BundleError, match=r"no such model \(to use the folder, write \./models/mine\); known models: emotion-edge"):
            resolve("mine")

    def test_a_folder_of_versions_gives_the_highest(self, models: Path) -> None:
        assert resolve(models / "emotion-edge").name == "1.10.0"


class TestDamage:
    @pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, '{"metrics":' + "[" * 5000 + "]" * 5000 + "}"])
    def test_a_manifest_that_is_nested_too_deeply_is_an_error(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(BundleError, match=r"manifest\.json: "):
            load_bundle(tmp_path)

    def test_a_manifest_that_is_too_long_is_an_error(self, tmp_path: Path) -> None:
        with (tmp_path / "manifest.json").open("wb") as file:
            file.truncate(1_000_001)
        with pytest.raises(BundleError, match="longer than 1,000,000 bytes"):
            load_bundle(tmp_path)

    def test_a_changed_byte_is_an_error(self, bundle: Bundle) -> None:
        path = bundle.directory / "openvino.bin"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
        with pytest.raises(BundleError, match=r"openvino\.bin: sha256 is .* the manifest says .*copy the whole bundle"):
            load_bundle(bundle.directory)

    def test_a_missing_file_is_an_error(self, bundle: Bundle) -> None:
        (bundle.directory / "openvino.bin").unlink()
        with pytest.raises(BundleError, match=r"openvino\.bin: is missing"):
            load_bundle(bundle.directory)

    def test_an_edited_card_is_no_damage(self, bundle: Bundle) -> None:
        (bundle.directory / "CARD.md").write_text("# Better words\n")
        assert load_bundle(bundle.directory).manifest == bundle.manifest

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"labels": list(reversed(LABELS))}, r"manifest\.json: labels: expected angry, .*import-model --labels"),
            ({"labels": list(LABELS[:6])}, "labels: expected"),
            ({"alignment": "other/9"}, "alignment: unknown id 'other/9', this version knows fer2013-5pt/1"),
            ({"schema": "ferstream.bundle/2"}, "schema"),
            ({"input": {"height": 64}}, r"input\.height"),
            ({"temperature": 0}, "temperature"),
            ({"files": {}}, "files"),
            ({"files": {"../../etc/passwd": "0"}}, "not a plain file name"),
            ({"surprise": 1}, "surprise"),
            ({"name": "Big Model"}, "name"),
            ({"version": "latest"}, "version"),
        ],
    )
    def test_an_invalid_manifest_is_an_error(self, bundle: Bundle, changes: dict[str, Any], message: str) -> None:
        edit(bundle, **changes)
        with pytest.raises(BundleError, match=message):
            load_bundle(bundle.directory)

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": "ferstream.bundle/1"}'])
    def test_another_content_of_the_manifest_is_an_error_in_one_line(self, bundle: Bundle, text: str) -> None:
        (bundle.directory / "manifest.json").write_text(text)
        with pytest.raises(BundleError, match=r"manifest\.json: ") as caught:
            load_bundle(bundle.directory)
        assert "\n" not in str(caught.value)

    @given(data=st.binary(max_size=200))
    def test_random_bytes_give_no_other_error(self, data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
        folder = tmp_path_factory.mktemp("b")
        (folder / "manifest.json").write_bytes(data)
        with pytest.raises(BundleError):
            load_bundle(folder)


class TestWrite:
    def test_an_existing_bundle_is_not_replaced_by_default(self, tmp_path: Path) -> None:
        first = tiny_openvino_bundle(tmp_path)
        with pytest.raises(BundleError, match="exists already"):
            tiny_openvino_bundle(tmp_path)
        assert load_bundle(first.directory) == first

    def test_replacing_removes_all_old_files(self, tmp_path: Path) -> None:
        old = tiny_openvino_bundle(tmp_path)
        (old.directory / "stray.txt").write_text("old")
        copies = {name: shutil.copy(old.file(name), tmp_path / name) for name in old.manifest.files}
        new = write_bundle(
            directory=old.directory, files={name: Path(path) for name, path in copies.items()}, replace=True, name="tiny", version="1.0.0"
        )
        assert sorted(path.name for path in new.directory.iterdir()) == ["manifest.json", "openvino.bin", "openvino.xml"]
        assert [path.name for path in new.directory.parent.iterdir()] == ["1.0.0"]

    def test_a_folder_that_is_not_a_bundle_is_never_replaced(self, tmp_path: Path) -> None:
        photos = tmp_path / "tiny" / "1.0.0"
        photos.mkdir(parents=True)
        for number in range(7):
            (photos / f"{number}.jpg").write_text("important")
        with pytest.raises(BundleError, match=r"holds 0\.jpg, .*4\.jpg and 2 more; it is not replaced: choose another folder or empty it"):
            tiny_openvino_bundle(tmp_path, replace=True)
        assert len(list(photos.iterdir())) == 7

    def test_a_file_is_never_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "tiny").mkdir()
        (tmp_path / "tiny" / "1.0.0").write_text("important")
        with pytest.raises(BundleError, match="is a file"):
            tiny_openvino_bundle(tmp_path, replace=True)

    def test_an_empty_folder_is_used(self, tmp_path: Path) -> None:
        (tmp_path / "tiny" / "1.0.0").mkdir(parents=True)
        assert tiny_openvino_bundle(tmp_path, replace=True).manifest.name == "tiny"

    @pytest.mark.parametrize(("name", "version", "says"), [("Big Model", "1.0.0", "name: "), ("big", "latest", "version: ")])
    def test_a_target_can_be_checked_before_long_work(self, tmp_path: Path, name: str, version: str, says: str) -> None:
        with pytest.raises(BundleError, match=says):
            check_target(directory=tmp_path / "new", name=name, version=version)
        with pytest.raises(BundleError, match="exists already"):
            check_target(directory=tmp_path, name="big", version="1.0.0")
        check_target(directory=tmp_path / "new", name="big", version="1.0.0")

    def test_an_invalid_field_leaves_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match="alignment"):
            tiny_openvino_bundle(tmp_path / "models", alignment="none/0")
        assert not (tmp_path / "models").exists()

    def test_a_missing_file_leaves_no_folder(self, tmp_path: Path) -> None:
        target = tmp_path / "m" / "x" / "1.0.0"
        with pytest.raises(BundleError, match="No such file"):
            write_bundle(directory=target, files={"a.bin": tmp_path / "missing"}, name="x", version="1.0.0")
        assert not target.exists()

    def test_a_full_disk_leaves_no_folder(self, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(shutil, "copyfile", full)
        target = tmp_path / "new" / "x" / "1.0.0"
        with pytest.raises(BundleError, match="cannot be written: No space left on device"):
            write_bundle(directory=target, files={"openvino.xml": bundle.file("openvino.xml")}, name="x", version="1.0.0")
        assert list(target.parent.iterdir()) == []


def test_the_message_for_a_missing_file_names_the_files_of_the_bundle(bundle: Bundle) -> None:
    assert bundle.has("openvino.xml")
    with pytest.raises(BundleError, match=r"has no model\.keras, only openvino\.bin, openvino\.xml"):
        bundle.file("model.keras")


def test_the_manifest_text_is_stable(bundle: Bundle) -> None:
    text = bundles.manifest_text(bundle.manifest)
    assert text == (bundle.directory / "manifest.json").read_text()
    assert Manifest.model_validate_json(text) == bundle.manifest
