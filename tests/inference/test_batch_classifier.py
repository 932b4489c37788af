"""Classification of any number of crops, in parts, with a limit that halves when memory runs out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.errors import ClassifierMemoryError, ModelError
from ferstream.inference.batch_classifier import BatchClassifier
from ferstream.runtime.counters import Counters
from tests.support.classifiers import ScriptedClassifier

OUT_OF_MEMORY = ClassifierMemoryError("out of memory")


def crops(greys: Sequence[int]) -> npt.NDArray[np.uint8]:
    """One even crop per grey."""
    return np.array([np.full((48, 48), grey, np.uint8) for grey in greys], np.uint8).reshape(-1, 48, 48)


class SmallMemory(ScriptedClassifier):
    """A classifier whose device has memory for ``room`` faces."""

    def __init__(self, *, room: int) -> None:
        super().__init__(max_batch=64)
        self._room = room

    def classify(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        if len(crops) > self._room:
            raise OUT_OF_MEMORY
        return super().classify(crops)


@given(st.lists(st.integers(0, 255), max_size=40), st.integers(1, 20), st.integers(1, 20))
def test_every_crop_gets_its_row(greys: list[int], max_batch: int, announced: int) -> None:
    counters, classifier = Counters(), ScriptedClassifier(max_batch=announced)
    rows = BatchClassifier(classifier, max_batch=max_batch, observer=counters)(crops(greys))
    assert rows.shape == (len(greys), 7)
    assert rows.argmax(axis=1).tolist() == [grey % 7 for grey in greys]
    assert all(size <= min(max_batch, announced) for size in classifier.calls)
    assert counters.snapshot().batches.sum == len(greys)


def test_no_crops_give_no_rows_and_no_call() -> None:
    classifier = ScriptedClassifier()
    rows = BatchClassifier(classifier, max_batch=8, observer=Counters())(crops([]))
    assert rows.shape == (0, 7)
    assert rows.dtype == np.float32
    assert classifier.calls == []


@given(st.integers(1, 40), st.integers(1, 33))
def test_the_limit_is_halved_until_a_batch_fits(faces: int, room: int) -> None:
    counters, classifier = Counters(), SmallMemory(room=room)
    classify = BatchClassifier(classifier, max_batch=32, observer=counters)
    rows = classify(crops(range(faces)))
    assert rows.argmax(axis=1).tolist() == [grey % 7 for grey in range(faces)]
    halvings = counters.snapshot().counts.get(("batch_limit_halved", ""), 0)
    assert classify.limit == 32 >> halvings
    assert all(size <= room for size in classifier.calls)


def test_a_halved_limit_stays() -> None:
    counters, classifier = Counters(), SmallMemory(room=4)
    classify = BatchClassifier(classifier, max_batch=32, observer=counters)
    for _ in range(3):
        classify(crops(range(16)))
    assert classify.limit == 4
    assert counters.snapshot().counts == {("batch_limit_halved", ""): 3}  # 32, 16, 8 once each
    assert classifier.calls == [4] * 12


def test_too_little_memory_for_one_face_is_an_error_with_a_remedy() -> None:
    classify = BatchClassifier(SmallMemory(room=0), max_batch=2, observer=Counters())
    with pytest.raises(ModelError, match=r"not enough memory for one face.*inference\.backend"):
        classify(crops([1]))


def test_a_wrong_number_of_rows_is_an_error() -> None:
    class Short(ScriptedClassifier):
        def classify(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            return super().classify(crops)[1:]

    with pytest.raises(ModelError, match="scripted: 3 faces in, 2 out"):
        BatchClassifier(Short(), max_batch=8, observer=Counters())(crops([1, 2, 3]))
