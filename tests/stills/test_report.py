from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from ferstream.domain.emotion import LABELS, Abstained
from ferstream.stills.analysis import PictureResult
from ferstream.stills.report import as_json, picture_json
from tests.support.classifiers import ScriptedClassifier
from tests.support.stills import face_result


def test_the_json_of_a_face() -> None:
    result = PictureResult(path=Path("a/b.jpg"), picture=np.zeros((100, 200, 3), np.uint8), faces=(face_result(),))
    report = json.loads(json.dumps(as_json([picture_json(result)], ScriptedClassifier())))
    assert report["schema"] == "ferstream.predict/1"
    assert report["model"] == {"name": "scripted", "version": "0.0.1"}
    (image,) = report["images"]
    assert (image["file"], image["width"], image["height"]) == ("a/b.jpg", 200, 100)
    (face,) = image["faces"]
    assert face["box"] == [20.0, 20, 50, 60]
    assert face["score"] == 0.9123
    assert face["label"] == "angry"
    assert list(face["probabilities"]) == list(LABELS)
    assert face["abstained"] is None


def test_the_json_of_faces_without_a_label() -> None:
    turned = face_result(crop=None, probabilities=None, abstained=Abstained.TURNED)
    blurred = face_result(abstained=Abstained.BLURRED)
    result = PictureResult(path=Path("x.jpg"), picture=np.zeros((9, 9, 3), np.uint8), faces=(turned, blurred))
    first, second = as_json([picture_json(result)], ScriptedClassifier())["images"][0]["faces"]
    assert (first["label"], first["confidence"], first["probabilities"], first["abstained"]) == ("unknown", 0.0, None, "turned")
    assert (second["label"], second["best"], second["confidence"], second["abstained"]) == ("unknown", "angry", 0.5, "blurred")
    assert first["best"] == "unknown"


def test_a_name_that_is_not_utf8_gives_json_that_every_parser_reads() -> None:
    result = PictureResult(path=Path(os.fsdecode(b"caf\xe9\n$.png")), picture=np.zeros((9, 9, 3), np.uint8), faces=())
    text = json.dumps(as_json([picture_json(result)], ScriptedClassifier()), ensure_ascii=False)
    assert json.loads(text.encode())["images"][0]["file"] == r"caf\xe9\n$.png"
