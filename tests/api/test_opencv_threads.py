"""A program's own number of OpenCV threads comes back after the pipelines."""

from __future__ import annotations

from pathlib import Path

import cv2

import ferstream
from ferstream.api.opencv_threads import one_opencv_thread


def test_the_number_of_threads_comes_back_after_the_last_pipeline() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        with one_opencv_thread():
            with one_opencv_thread():
                assert cv2.getNumThreads() == 1
            assert cv2.getNumThreads() == 1
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


def test_a_replay_leaves_the_number_of_threads_as_it_was(clip: Path, tiny_model: str) -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        assert list(ferstream.replay(clip, model=tiny_model))
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)
