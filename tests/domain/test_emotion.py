"""Labels: their order, and the labels of every part of ferstream that repeats them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ferstream.domain.emotion import LABELS, UNKNOWN, Abstained, Emotion, Verdict

MANIFESTS = sorted(Path(__file__).resolve().parents[2].glob("models/*/*/manifest.json"))


def test_the_order_of_the_labels_is_that_of_fer2013() -> None:
    assert LABELS == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def test_unknown_is_not_a_label() -> None:
    assert UNKNOWN == "unknown"
    assert UNKNOWN not in LABELS


def test_the_face_schema_has_the_same_labels_and_reasons(root_dir: Path) -> None:
    schema = (root_dir / "docs" / "schema" / "face-1.json").read_text(encoding="utf-8")
    enums = [node["enum"] for node in _nodes(json.loads(schema)) if "enum" in node]
    assert any(list(enum) == [*LABELS, UNKNOWN] for enum in enums)
    assert any(set(enum) - {None} == {str(reason) for reason in Abstained} for enum in enums)


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.parts[-3])
def test_shipped_models_have_the_labels_in_the_same_order(manifest: Path) -> None:
    assert tuple(json.loads(manifest.read_text(encoding="utf-8"))["labels"]) == LABELS


def test_reasons_are_distinct_texts_that_can_be_labels_of_a_metric() -> None:
    assert {str(reason) for reason in Abstained} == {"small", "blurred", "turned", "occluded", "dark", "low_confidence"}


def test_a_face_is_not_abstained_by_default() -> None:
    happy = Verdict("happy", 0.9)
    assert Emotion(verdict=happy, smoothed=happy, probabilities=None).abstained is None


def _nodes(schema: object) -> list[dict[str, list[object]]]:
    """All objects of a JSON document."""
    if isinstance(schema, dict):
        return [schema, *(node for value in schema.values() for node in _nodes(value))]
    return [node for value in schema for node in _nodes(value)] if isinstance(schema, list) else []
