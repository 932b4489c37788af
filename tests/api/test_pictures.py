"""``ferstream.analyze``: the same results as ``ferstream predict``, every form of a picture, privacy, threads, errors."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps
from typer.testing import CliRunner

import ferstream
from ferstream.api.networks import MOST_STILL_CALLS, still_pool
from ferstream.cli import app
from ferstream.errors import BundleError, ConfigError, SourceError, SourceFormatError
from tests.support.python_process import run_python
from tests.support.threads import Task

WriteConfig = Callable[[str], Path]
EVERYTHING = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
LEFT_HALF = [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]


def predicted(*arguments: str) -> dict[str, Any]:
    """The JSON of ``ferstream predict``."""
    done = CliRunner().invoke(app, ["predict", "--no-picture", "--json", "-", *arguments])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def pixels_of(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(picture, np.uint8)


def opened(path: Path) -> Image.Image:
    """A picture opened by PIL, without a file that a test would have to close."""
    return Image.open(io.BytesIO(path.read_bytes()))


# -- results -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "given"),
    [([], {}), (["--no-detect"], {"detect": False}), (["--score", "0.3", "--min-face", "200"], {"score": 0.3, "min_face": 200})],
)
def test_results_are_those_of_predict(portrait: Path, options: list[str], given: dict[str, Any]) -> None:
    report = predicted(str(portrait), *options)
    faces = ferstream.analyze(portrait, **given)
    assert [faces.to_dict()] == report["images"]
    assert faces.model == "{name}/{version}".format(**report["model"])


def test_a_list_of_pictures_gives_a_list_of_results(portrait: Path, tmp_path: Path) -> None:
    grey = tmp_path / "grey.png"
    cv2.imwrite(str(grey), np.full((64, 64, 3), 128, np.uint8))
    one, none = ferstream.analyze([str(portrait), grey])
    assert (len(one), len(none)) == (1, 0)
    assert not none
    assert [one.to_dict(), none.to_dict()] == predicted(str(portrait), str(grey))["images"]
    assert ferstream.analyze([]) == []


def test_faces_are_a_sequence_and_their_json_can_be_written(portrait: Path) -> None:
    faces = ferstream.analyze(portrait)
    (face,) = faces
    assert faces[0] is face
    assert face in faces
    assert list(reversed(faces)) == [face]
    assert face.probabilities is not None
    assert max(face.probabilities, key=face.probabilities.__getitem__) == face.best
    assert json.loads(json.dumps(faces.to_dict()))["faces"][0]["label"] == face.label


# -- forms of a picture --------------------------------------------------------------------------


def forms(path: Path) -> dict[str, tuple[Any, dict[str, Any]]]:
    """One picture in every form, with the options it needs."""
    bgr = pixels_of(path)
    alpha = np.dstack([bgr, np.full(bgr.shape[:2], 7, np.uint8)])
    return {
        "path": (path, {}),
        "text": (str(path), {}),
        "bytes": (path.read_bytes(), {}),
        "bytearray": (bytearray(path.read_bytes()), {}),
        "memoryview": (memoryview(path.read_bytes()), {}),
        "bgr": (bgr, {}),
        "bgr with alpha": (alpha, {}),
        "rgb": (bgr[:, :, ::-1], {"colors": "rgb"}),
        "rgb with alpha": (np.dstack([bgr[:, :, ::-1], alpha[:, :, 3]]), {"colors": "rgb"}),
        "not contiguous": (np.repeat(bgr, 2, axis=1)[:, ::2], {}),
        "read-only": (np.frombuffer(bgr.tobytes(), np.uint8).reshape(bgr.shape), {}),
        "PIL": (Image.fromarray(np.ascontiguousarray(bgr[:, :, ::-1])), {}),
        "PIL file": (opened(path), {}),
        "PIL with alpha": (Image.fromarray(np.ascontiguousarray(bgr[:, :, ::-1])).convert("RGBA"), {}),
    }


FORMS = (
    "path",
    "text",
    "bytes",
    "bytearray",
    "memoryview",
    "bgr",
    "bgr with alpha",
    "rgb",
    "rgb with alpha",
    "not contiguous",
    "read-only",
)
PIL_FORMS = ("PIL", "PIL file", "PIL with alpha")


@pytest.mark.parametrize("form", [*FORMS, *PIL_FORMS])
def test_every_form_of_a_picture_gives_the_same_faces(portrait: Path, form: str) -> None:
    image, options = forms(portrait)[form]
    before = np.array(image) if isinstance(image, np.ndarray) else None
    faces = ferstream.analyze(image, **options)
    assert faces.faces == ferstream.analyze(portrait).faces
    assert faces.file == (str(portrait) if form in {"path", "text"} else None)
    assert before is None or np.array_equal(image, before)


def test_grey_arrays_and_images_are_pictures_too(portrait: Path) -> None:
    grey = np.asarray(cv2.cvtColor(pixels_of(portrait), cv2.COLOR_BGR2GRAY), np.uint8)
    (face,) = ferstream.analyze(grey)
    assert ferstream.analyze(Image.fromarray(grey)).faces == (face,)
    assert ferstream.analyze(Image.fromarray(grey.astype(np.uint16) * 257)).faces == (face,)


def test_the_order_of_the_channels_makes_a_difference(portrait: Path) -> None:
    """Else the test of the forms above shows nothing about ``colors``."""
    assert ferstream.analyze(pixels_of(portrait), colors="rgb").faces != ferstream.analyze(portrait).faces


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_picture_is_turned_as_its_exif_says_in_every_form(portrait: Path, tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "phone.png"
    stored = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}.get(orientation)
    picture = opened(portrait) if stored is None else opened(portrait).transpose(stored)
    exif = Image.Exif()
    exif[274] = orientation
    picture.save(path, exif=exif)
    upright = ferstream.analyze(portrait).faces
    assert ferstream.analyze(path).faces == upright
    assert ferstream.analyze(path.read_bytes()).faces == upright
    assert ferstream.analyze(opened(path)).faces == upright
    assert ferstream.analyze(ImageOps.exif_transpose(opened(path))).faces == upright


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"", "bytes: is empty"),
        (b"text", "bytes: is not a picture"),
        (7, "type int cannot be read: expected a path, bytes, a numpy array"),
        (None, "type NoneType"),
        ({"a": 1}, "type dict"),
        (np.zeros((4, 4, 3), np.float32), "array of float32 cannot be read: expected uint8"),
        (np.zeros((4, 4, 2), np.uint8), r"shape \(4, 4, 2\)"),
        (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"),
        (np.zeros(4, np.uint8), r"shape \(4,\)"),
        ("a\0b", "null character"),
    ],
)
def test_what_is_not_a_picture_is_an_error(image: Any, message: str) -> None:
    with pytest.raises(SourceFormatError, match=message):
        ferstream.analyze(image)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"missing\.jpg: cannot be read: No such file"):
        ferstream.analyze(tmp_path / "missing.jpg")
    with pytest.raises(SourceError, match="is a folder"):
        ferstream.analyze([tmp_path])
    with pytest.raises(SourceFormatError, match="path of bytes"):
        ferstream.analyze(BytesPath())  # type: ignore[arg-type]


class BytesPath:
    """A path in bytes, which no file of Python's own has."""

    def __fspath__(self) -> bytes:
        return b"a.jpg"


@pytest.mark.parametrize("form", ["path", "bytes", "bgr", "PIL"])
def test_a_picture_over_max_pixels_is_refused_in_every_form(portrait: Path, form: str) -> None:
    with pytest.raises(SourceFormatError, match="max_pixels allows 100,000"):
        ferstream.analyze(forms(portrait)[form][0], max_pixels=100_000)


def test_a_damaged_pil_image_is_an_error(portrait: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.png"
    opened(portrait).save(cut)
    cut.write_bytes(cut.read_bytes()[:2000])
    with pytest.raises(SourceFormatError, match="PIL image of mode RGB: cannot be decoded"):
        ferstream.analyze(opened(cut))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": 1.5}, "score = 1.5: expected a number from 0 to 1"),
        ({"score": float("nan")}, "score = nan"),
        ({"min_face": 0}, "min_face = 0: expected"),
        ({"max_pixels": True}, "max_pixels = True"),
        ({"backend": "torch"}, "backend = 'torch': expected one of auto, openvino, keras"),
        ({"colors": "gbr"}, "colors = 'gbr': expected 'bgr' or 'rgb'"),
        ({"camera": "door"}, "give config = too"),
        ({"masks": [[(0, 0), (1, 1)]]}, "has 2 corners"),
        ({"config": "nowhere.toml"}, "nowhere.toml"),
    ],
)
def test_a_wrong_option_is_an_error_before_anything_is_loaded(portrait: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ferstream.analyze(portrait, **options)


def test_a_model_that_is_not_there_is_an_error(portrait: Path) -> None:
    with pytest.raises(BundleError, match="no-such-model"):
        ferstream.analyze(portrait, model="no-such-model")


# -- privacy -------------------------------------------------------------------------------------


def test_a_masked_face_is_not_found(portrait: Path) -> None:
    picture = pixels_of(portrait)
    assert len(ferstream.analyze(picture, masks=[EVERYTHING])) == 0
    assert np.array_equal(picture, pixels_of(portrait))


def test_masked_pixels_make_no_difference(portrait: Path) -> None:
    """Whatever a masked part of a picture shows, the result is the same."""
    picture = np.hstack([pixels_of(portrait), pixels_of(portrait)])
    noise = picture.copy()
    noise[:, : picture.shape[1] // 2] = np.random.default_rng(1).integers(0, 256, noise[:, : picture.shape[1] // 2].shape, np.uint8)
    seen = ferstream.analyze(picture, masks=[LEFT_HALF])
    assert len(seen) == 1
    assert ferstream.analyze(noise, masks=[LEFT_HALF]).faces == seen.faces


def test_the_masks_of_the_camera_in_a_settings_file_are_painted(portrait: Path, write_config: WriteConfig) -> None:
    mask = [list(corner) for corner in EVERYTHING]
    config = write_config(f'[[cameras]]\nname = "door"\nsource = "demo:"\nmasks = [{mask}]\n[[cameras]]\nname = "hall"\nsource = "demo:"')
    assert len(ferstream.analyze(portrait, config=config, camera="door")) == 0
    assert len(ferstream.analyze(portrait, config=config, camera="hall")) == 1
    assert len(ferstream.analyze(portrait, config=config, camera="hall", masks=[EVERYTHING])) == 0
    with pytest.raises(ConfigError, match="give camera = NAME, one of door, hall"):
        ferstream.analyze(portrait, config=config)
    with pytest.raises(ConfigError, match='camera = "cellar": no camera'):
        ferstream.analyze(portrait, config=config, camera="cellar")


def test_masks_that_would_not_fit_the_picture_are_refused(portrait: Path, write_config: WriteConfig) -> None:
    mask = [list(corner) for corner in LEFT_HALF]
    config = write_config(f'[[cameras]]\nname = "door"\nsource = "demo:"\nrotate = 90\nmasks = [{mask}]')
    with pytest.raises(ConfigError, match="after rotate and mirror"):
        ferstream.analyze(portrait, config=config)


def test_aggregate_only_refuses_results_of_single_faces(portrait: Path, write_config: WriteConfig) -> None:
    config = write_config("[privacy]\naggregate_only = true")
    with pytest.raises(ConfigError, match=r"aggregate_only is set .*settings.toml.*analyze returns results of single faces"):
        ferstream.analyze(portrait, config=config)


def test_a_settings_file_in_the_working_directory_is_not_read(portrait: Path, tmp_path: Path) -> None:
    (tmp_path / "ferstream.toml").write_text("this is not TOML")
    assert len(ferstream.analyze(portrait)) == 1


# -- networks and threads ------------------------------------------------------------------------


def test_the_networks_are_loaded_once(portrait: Path) -> None:
    ferstream.analyze(portrait)
    kept = still_pool().idle
    ferstream.analyze([portrait] * 3)
    assert still_pool().idle == kept >= 1
    ferstream.unload_models()
    assert still_pool().idle == 0
    assert len(ferstream.analyze(portrait)) == 1


def test_threads_may_call_at_once(portrait: Path) -> None:
    pictures = [pixels_of(portrait), pixels_of(portrait)[:, ::-1], np.full((64, 64, 3), 90, np.uint8)]
    alone = [ferstream.analyze(picture).faces for picture in pictures]
    tasks = [Task(lambda: [ferstream.analyze(picture).faces for picture in pictures]) for _ in range(2 * MOST_STILL_CALLS)]
    assert [task.result() for task in tasks] == [alone] * len(tasks)


def test_a_forked_process_loads_its_own_networks(portrait: Path) -> None:
    """In a process of its own: pytest's has threads whose locks a forked process would keep."""
    program = f"""
import os, ferstream
alone = ferstream.analyze({str(portrait)!r})
child = os.fork()
if not child:
    os._exit(0 if ferstream.analyze({str(portrait)!r}) == alone else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert run_python(program).stdout.split() == ["0"]
