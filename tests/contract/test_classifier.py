"""What every classifier must do, checked with the scripted one and with the real ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest

from ferstream.domain.emotion import LABELS
from ferstream.errors import ModelError
from ferstream.inference.alignment import FER2013_5PT
from ferstream.inference.bundle import Bundle
from ferstream.inference.classifier import Classifier
from tests.support.bundles import random_crops
from tests.support.classifiers import ScriptedClassifier

Open = Callable[[Bundle], Classifier]


def open_scripted(_: Bundle) -> Classifier:
    return ScriptedClassifier(max_batch=8)


def open_openvino(bundle: Bundle) -> Classifier:
    from ferstream.inference.openvino import OpenVinoClassifier

    return OpenVinoClassifier(bundle=bundle, max_batch=8)


def open_openvino_two_streams(bundle: Bundle) -> Classifier:
    from ferstream.inference.openvino import OpenVinoClassifier

    return OpenVinoClassifier(bundle=bundle, streams=2, max_batch=8)


def open_keras(bundle: Bundle) -> Classifier:
    from ferstream.inference.keras import KerasClassifier

    return KerasClassifier(bundle=bundle, max_batch=8)


def open_keras_one_bucket(bundle: Bundle) -> Classifier:
    from ferstream.inference.keras import KerasClassifier

    return KerasClassifier(bundle=bundle, max_batch=8, deterministic=True)


EXACT: dict[str, Open] = {
    "scripted": open_scripted,
    "openvino": open_openvino,
    "openvino two streams": open_openvino_two_streams,
    "keras one crop": open_keras_one_bucket,
}
"""Classifiers whose rows never depend on the other crops of a call."""

ALL: dict[str, Open] = {**EXACT, "keras": open_keras}
REAL = sorted(set(ALL) - {"scripted"})


@pytest.fixture
def bundle(full_bundle: Bundle) -> Bundle:
    return full_bundle


@pytest.fixture(params=sorted(ALL))
def classifier(request: pytest.FixtureRequest, bundle: Bundle) -> Iterator[Classifier]:
    opened = ALL[request.param](bundle)
    yield opened
    opened.close()


@pytest.fixture(params=sorted(EXACT))
def exact(request: pytest.FixtureRequest, bundle: Bundle) -> Iterator[Classifier]:
    opened = EXACT[request.param](bundle)
    yield opened
    opened.close()


@pytest.fixture(params=REAL)
def real(request: pytest.FixtureRequest, bundle: Bundle) -> Iterator[Classifier]:
    opened = ALL[request.param](bundle)
    yield opened
    opened.close()


def test_its_properties(classifier: Classifier) -> None:
    assert classifier.name
    assert classifier.version
    assert classifier.backend
    assert classifier.labels == LABELS
    assert classifier.alignment_id == FER2013_5PT
    assert classifier.max_batch in {1, 8}  # 1: one crop at a time, so that no row depends on another


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 21])
def test_there_are_as_many_rows_as_crops(classifier: Classifier, count: int) -> None:
    rows = classifier.classify(random_crops(count))
    assert rows.shape == (count, 7)
    assert rows.dtype == np.float32


def test_rows_are_probabilities(classifier: Classifier) -> None:
    rows = classifier.classify(random_crops(5))
    assert (rows >= 0).all()
    assert rows.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-3)


def test_rows_follow_the_order_of_the_crops(classifier: Classifier) -> None:
    crops = random_crops(6)
    assert classifier.classify(crops[::-1]) == pytest.approx(classifier.classify(crops)[::-1], abs=1e-5)


def test_a_row_has_the_same_bits_in_any_batch(exact: Classifier) -> None:
    crops = random_crops(13)
    together = exact.classify(crops)
    for cuts in ([1] * 13, [5, 8], [2, 3, 8], [12, 1]):
        starts = np.cumsum([0, *cuts])
        apart = np.concatenate([exact.classify(crops[a:b]) for a, b in pairwise(starts)])
        assert (apart == together).all(), cuts


def test_the_crops_are_not_modified(classifier: Classifier) -> None:
    crops = random_crops(3)
    before = crops.copy()
    crops.flags.writeable = False
    classifier.classify(crops)
    assert (crops == before).all()


def test_the_result_belongs_to_the_caller(classifier: Classifier) -> None:
    first = classifier.classify(random_crops(2, seed=1))
    kept = first.copy()
    classifier.classify(random_crops(2, seed=2))
    assert (first == kept).all()
    first[:] = 0


@pytest.mark.parametrize("shape", [(48, 48), (1, 48, 47), (2, 48, 48, 1)])
def test_another_shape_is_an_error(classifier: Classifier, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected crops \(n, 48, 48\) uint8, got"):
        classifier.classify(np.zeros(shape, np.uint8))


def test_another_dtype_is_an_error(classifier: Classifier) -> None:
    with pytest.raises(ValueError, match="float32"):
        classifier.classify(np.zeros((1, 48, 48), np.float32))


def test_a_view_that_is_not_contiguous_gives_the_same_rows(classifier: Classifier) -> None:
    wide = random_crops(8)
    view = wide[::2, :, ::-1]
    assert (classifier.classify(view) == classifier.classify(np.ascontiguousarray(view))).all()


def test_warm_up_and_two_closes(classifier: Classifier) -> None:
    classifier.warm_up()
    classifier.close()
    classifier.close()


def test_use_after_close_is_a_model_error(real: Classifier) -> None:
    real.close()
    with pytest.raises(ModelError, match="after close"):
        real.classify(random_crops(1))


def test_it_works_in_another_thread_than_it_was_opened_in(classifier: Classifier) -> None:
    crops, results = random_crops(4), []
    thread = threading.Thread(target=lambda: results.append(classifier.classify(crops)))
    thread.start()
    thread.join(30)
    assert (results[0] == classifier.classify(crops)).all()


def test_the_backends_agree(bundle: Bundle) -> None:
    crops = random_crops(16)
    rows = {name: open_it(bundle).classify(crops) for name, open_it in ALL.items() if name != "scripted"}
    for name, found in rows.items():
        assert found == pytest.approx(rows["keras"], abs=5e-3), name
