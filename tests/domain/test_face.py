"""The size of a face crop is the same everywhere."""

from __future__ import annotations

import numpy as np

from ferstream.domain.face import FACE_SIZE_PX
from ferstream.domain.frame import Luma
from ferstream.inference.alignment import ALIGNMENTS, CANONICAL
from ferstream.inference.manifest import InputSpec
from ferstream.training.fitting.architectures import INPUT_SHAPE


def test_models_are_trained_on_and_take_crops_of_this_size() -> None:
    spec = InputSpec()
    assert (spec.height, spec.width, spec.channels) == INPUT_SHAPE == (FACE_SIZE_PX, FACE_SIZE_PX, 1)


def test_every_alignment_cuts_crops_of_this_size() -> None:
    luma = Luma(np.zeros((100, 100), np.uint8), limited=False)
    for align in ALIGNMENTS.values():
        crop, matrix = align(luma, CANONICAL)
        assert crop.shape == (FACE_SIZE_PX, FACE_SIZE_PX)
        assert crop.dtype == np.uint8
        assert matrix.shape == (2, 3)
        assert matrix.dtype == np.float64
