"""Pictures of frames in flight: bounded, taken once, dropped with their frame; and their JPEG."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest

from ferstream.domain.frame import Image
from ferstream.web.pictures import PictureStore, to_jpeg


def picture(grey: int = 0) -> Image:
    return np.full((64, 96, 3), grey, np.uint8)


def test_a_picture_is_taken_once_and_is_not_a_copy() -> None:
    store, kept = PictureStore(), picture()
    store.put(("door", 1), kept)
    assert store.take(("door", 1)) is kept
    assert store.take(("door", 1)) is None


def test_the_oldest_picture_gives_way() -> None:
    store = PictureStore(limit=2)
    for index in range(3):
        store.put(("door", index), picture(index))
    assert len(store) == 2
    assert store.take(("door", 0)) is None


def test_pictures_of_lost_frames_are_dropped() -> None:
    store = PictureStore()
    store.put(("door", 1), picture())
    store.put(("yard", 1), picture())
    store.drop([("door", 1), ("door", 2)])
    assert len(store) == 1
    store.clear()
    assert len(store) == 0
    store.drop([("yard", 1)])


def test_several_threads_keep_the_limit() -> None:
    store = PictureStore(limit=4)

    def work(camera: str) -> None:
        for index in range(300):
            store.put((camera, index), picture())
            if index % 3:
                store.take((camera, index))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store) <= 4


def test_a_jpeg_shows_the_picture_and_has_no_metadata() -> None:
    half = picture(30)
    half[:, 48:] = 200
    data = to_jpeg(half)
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == half.shape
    assert abs(int(shown[:, :40].mean()) - 30) <= 2
    assert abs(int(shown[:, 56:].mean()) - 200) <= 2
    assert b"Exif" not in data


def test_a_picture_that_cannot_be_encoded_is_an_error() -> None:
    with pytest.raises((ValueError, cv2.error)):
        to_jpeg(np.zeros((0, 0, 3), np.uint8))
