"""``predict``, ``export`` and ``import-model`` as people call them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from ferstream.cli import app
from ferstream.domain.emotion import LABELS
from ferstream.errors import BundleError, ExitCode, ModelError, OutputError
from ferstream.inference.bundle import Bundle, load_bundle
from tests.support.bundles import random_crops, tiny_network, tiny_openvino_bundle
from tests.support.cases import case
from tests.support.face_sets import make_faces, write_csv
from tests.support.pictures import portrait, portrait_path


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_openvino_bundle(tmp_path_factory.mktemp("models")).directory


class TestPredict:
    def test_a_portrait_gives_json_and_a_picture(self, model: Path, tmp_path: Path) -> None:
        done = call("predict", portrait_path(), "--model", model, "--out", tmp_path)
        assert done.exit_code == 0, done.output
        (image,) = json.loads((tmp_path / "faces.json").read_text())["images"]
        (face,) = image["faces"]
        assert image["file"] == str(portrait_path())
        assert set(face["probabilities"]) == set(LABELS)
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)
        picture = cv2.imread(str(tmp_path / "grace_hopper.faces.png"))
        assert picture is not None
        assert "1 face: " in done.stderr

    def test_it_names_every_file_it_writes_and_only_the_owner_can_read_them(self, model: Path, tmp_path: Path) -> None:
        (tmp_path / "faces.json").touch(mode=0o644)
        done = call("predict", portrait_path(), "--model", model, "--out", tmp_path)
        files = [tmp_path / "grace_hopper.faces.png", tmp_path / "faces.json"]
        assert done.stdout.splitlines() == [f"wrote {file}" for file in files]
        assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]

    def test_a_picture_without_faces_is_reported_and_not_an_error(self, model: Path, tmp_path: Path) -> None:
        wall = tmp_path / "wall.png"
        cv2.imwrite(str(wall), np.full((200, 300, 3), 99, np.uint8))
        done = call("predict", wall, "--model", model, "--out", tmp_path, "--json", "-")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["images"][0]["faces"] == []
        assert "no face found" in done.stderr
        assert not (tmp_path / "faces.json").exists()

    def test_a_face_crop_is_taken_as_it_is(self, model: Path, tmp_path: Path) -> None:
        crop = tmp_path / "crop.png"
        cv2.imwrite(str(crop), random_crops(1)[0])
        done = call("predict", crop, "--no-detect", "--model", model, "--out", tmp_path, "--no-picture", "--json", tmp_path / "x.json")
        assert done.exit_code == 0, done.output
        (face,) = json.loads((tmp_path / "x.json").read_text())["images"][0]["faces"]
        assert face["box"] is None
        assert face["best"] in LABELS  # the label itself is `unknown`: noise shows no face
        assert sorted(path.name for path in tmp_path.iterdir()) == ["crop.png", "x.json"]

    def test_a_picture_that_cannot_be_read_does_not_stop_the_others(self, model: Path, tmp_path: Path) -> None:
        (tmp_path / "bad.jpg").write_text("not a picture")
        done = call("predict", tmp_path / "bad.jpg", portrait_path(), tmp_path / "none.jpg", "--model", model, "--out", tmp_path)
        assert done.exit_code == ExitCode.SOURCE
        assert len(json.loads((tmp_path / "faces.json").read_text())["images"]) == 1
        assert "bad.jpg: is not a picture" in done.stderr
        assert "none.jpg: cannot be read" in done.stderr

    def test_pictures_of_one_name_do_not_overwrite_each_other(self, model: Path, tmp_path: Path) -> None:
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            cv2.imwrite(str(tmp_path / folder / "same.png"), portrait())
        done = call("predict", tmp_path / "a" / "same.png", tmp_path / "b" / "same.png", "--model", model, "--out", tmp_path / "out")
        assert done.exit_code == 0, done.output
        assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["same-2.faces.png", "same.faces.png"]

    def test_stems_that_differ_in_their_ending_do_not_overwrite_each_other(self, model: Path, tmp_path: Path) -> None:
        names = ["a.jpg", "a.png", "a-2.png", "A.jpg"]
        for name in names:
            cv2.imwrite(str(tmp_path / name), portrait())
        done = call("predict", *(tmp_path / name for name in names), "--model", model, "--out", tmp_path / "out")
        assert done.exit_code == 0, done.output
        written = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
        assert written == ["A-4.faces.png", "a-2.faces.png", "a-3.faces.png", "a.faces.png"]

    def test_a_picture_that_is_given_is_never_overwritten(self, model: Path, tmp_path: Path) -> None:
        for name in ("x.jpg", "x.faces.png"):
            cv2.imwrite(str(tmp_path / name), portrait())
        before = (tmp_path / "x.faces.png").read_bytes()
        done = call("predict", tmp_path / "x.jpg", tmp_path / "x.faces.png", "--model", model, "--out", tmp_path)
        assert done.exit_code == 0, done.output
        assert (tmp_path / "x.faces.png").read_bytes() == before
        assert (tmp_path / "x-2.faces.png").exists()

    @pytest.mark.parametrize("name", [b"price_$5_and_$6.jpg", b"caf\xe9.jpg", b"a\nb %d {0}.jpg", b"-o.jpg", b"\xe6\x97\xa5.jpg"])
    def test_a_name_may_hold_anything(self, model: Path, tmp_path: Path, name: bytes) -> None:
        path = tmp_path / os.fsdecode(name)
        path.write_bytes(portrait_path().read_bytes())
        done = call("predict", path, "--model", model, "--out", tmp_path / "out")
        assert done.exit_code == 0, done.output
        assert (tmp_path / "out" / f"{path.stem}.faces.png").stat().st_size > 1000
        assert done.stderr.count("\n") == 1
        text = (tmp_path / "out" / "faces.json").read_text(encoding="utf-8")
        json.loads(text)["images"][0]["file"].encode()

    def test_the_cases_give_a_picture_each(self, model: Path, tmp_path: Path) -> None:
        pictures = [case(name) for name in ("price_$5_and_$6.jpg", "a.jpg", "a.png", "a-2.png", "exif_prefix.webp")]
        done = call("predict", *pictures, "--out", tmp_path)
        assert done.exit_code == 0, done.output
        assert len(list(tmp_path.glob("*.faces.png"))) == 5
        images = json.loads((tmp_path / "faces.json").read_text())["images"]
        assert {(image["width"], image["height"]) for image in images} == {(480, 270)}
        assert {face["label"] for image in images for face in image["faces"]} == {"happy"}

    def test_an_unknown_model_is_named(self, tmp_path: Path) -> None:
        done = call("predict", portrait_path(), "--model", "emotion-huge", "--out", tmp_path)
        assert isinstance(done.exception, BundleError)
        assert "'emotion-huge'" in str(done.exception)

    def test_a_folder_that_cannot_be_written_is_named(self, model: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        done = call("predict", portrait_path(), "--model", model, "--out", tmp_path / "file")
        assert isinstance(done.exception, OutputError)
        assert "cannot be written" in str(done.exception)

    def test_an_unwritable_json_path_is_reported_before_the_model_is_loaded(self, tmp_path: Path) -> None:
        done = call("predict", portrait_path(), "--model", "no-such-model", "--no-picture", "--json", tmp_path)
        assert isinstance(done.exception, OutputError)
        assert "is a folder; give a file" in str(done.exception)


@pytest.mark.filterwarnings("ignore")
class TestNeedingKeras:
    def test_export_prints_the_difference_of_each_format(self, full_bundle: Bundle, tmp_path: Path) -> None:
        pytest.importorskip("onnxruntime", reason="the train extra is not installed")
        done = call("export", full_bundle.directory, "--out", tmp_path, "--format", "onnx", "--format", "table", "--faces", 4)
        assert done.exit_code == 0, done.output
        assert "compared with Keras on 4 faces of a sample portrait" in done.stdout
        assert "largest difference" in done.stdout
        assert (tmp_path / "layers.md").is_file()

    def test_import_makes_a_bundle_that_loads(self, tmp_path: Path) -> None:
        pytest.importorskip("keras", reason="the Keras extra is not installed")
        tiny_network(softmax=True).save(tmp_path / "old.keras")
        labels = "neutral,happy,surprise,sad,anger,disgust,fear"
        done = call("import-model", tmp_path / "old.keras", "--name", "emotion-old", "--labels", labels, "--out", tmp_path / "models")
        assert done.exit_code == 0, done.output
        assert "outputs were reordered" in done.stdout
        bundle = load_bundle("emotion-old", [tmp_path / "models"])
        assert bundle.manifest.recipe["labels"] == labels
        assert "Not evaluated" in (bundle.directory / "CARD.md").read_text()
        assert set(bundle.manifest.metrics) == {"ms_per_face", "ms_per_face_on"}
        assert set(bundle.manifest.metrics["ms_per_face_on"]["precision"]) == {"openvino", "keras"}

    def test_int8_records_what_it_scores_and_costs(self, full_bundle: Bundle, tmp_path: Path) -> None:
        pytest.importorskip("nncf", reason="the train extra is not installed")
        write_csv(tmp_path, make_faces(21, 14))
        words = ["export", full_bundle.directory, "--out", tmp_path / "out", "--format", "openvino-int8", "--data", tmp_path, "--faces", 4]
        done = call(*words)
        assert done.exit_code == 0, done.output
        metrics = load_bundle("tiny-full-int8", [tmp_path / "out"]).manifest.metrics
        assert set(metrics) == {"PublicTest, all rows", "PublicTest, fer2013", "PublicTest, ferplus", "ms_per_face", "ms_per_face_on"}
        assert metrics["PublicTest, fer2013"]["rows"] == 14

    @pytest.mark.slow  # a process of its own, in which Keras and NNCF are imported: half a minute
    def test_export_prints_its_own_lines_and_none_of_the_libraries(self, full_bundle: Bundle, tmp_path: Path) -> None:
        pytest.importorskip("nncf", reason="the train extra is not installed")
        write_csv(tmp_path, make_faces(21, 14))
        forms = ("openvino", "openvino-int8", "onnx", "litert", "savedmodel")
        words = ["export", full_bundle.directory, "--out", tmp_path / "out", "--data", tmp_path, "--faces", 4, "--calibration", 16]
        command = [sys.executable, "-m", "ferstream", *map(str, words), *(word for form in forms for word in ("--format", form))]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=500)
        assert [line.split()[0] for line in done.stdout.splitlines()] == ["compared", *forms]
        steps = [line.partition(":")[0].removesuffix(" ...") for line in done.stderr.splitlines()]
        assert steps == ["loading Keras", f"reading {tmp_path}", *(f"writing and comparing {form}" for form in forms)]

    def test_an_export_folder_that_cannot_be_written_is_named(self, full_bundle: Bundle, tmp_path: Path) -> None:
        pytest.importorskip("nncf", reason="the train extra is not installed")
        (tmp_path / "file").write_text("")
        done = call("export", full_bundle.directory, "--out", tmp_path / "file", "--format", "table")
        assert isinstance(done.exception, OutputError)

    def test_import_checks_its_target_first(self, tmp_path: Path) -> None:
        pytest.importorskip("keras", reason="the Keras extra is not installed")
        done = call("import-model", tmp_path / "none.keras", "--name", "Old One", "--out", tmp_path)
        assert isinstance(done.exception, BundleError)
        assert "name: " in str(done.exception)

    def test_import_refuses_a_pickle(self, tmp_path: Path) -> None:
        (tmp_path / "model.pkl").write_bytes(b"\x80\x04.")
        done = call("import-model", tmp_path / "model.pkl", "--name", "x", "--out", tmp_path)
        assert isinstance(done.exception, ModelError)
        assert "refused" in str(done.exception)
