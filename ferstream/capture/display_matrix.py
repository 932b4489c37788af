"""The display matrix of decoded pictures, read from libav's side data. Runs in the thread that reads the source.

``frame.side_data`` of PyAV is not used. It keeps a reference cycle, so that each picture would wait for the garbage collector
with its decoder's buffer, which cost 1 ms of 7 for a 1080p picture. And it raises for every kind of side data that this PyAV does
not know, such as the EXIF data of MJPEG.
"""

from __future__ import annotations

from contextlib import suppress

import av
from av.sidedata.sidedata import SideDataContainer, Type

from ferstream.capture.geometry import UPRIGHT, Orientation, orientation_of_matrix


class _SideData(SideDataContainer):
    """The side data of a picture up to the first of an unknown kind. The picture does not refer to it."""

    def __init__(self, picture: av.VideoFrame) -> None:
        with suppress(ValueError):
            super().__init__(picture)  # type: ignore[call-arg]


class VideoOrientation:
    """The orientation of the pictures of one stream, in their order.

    A container's matrix comes with every picture. A message inside the video comes with key frames only, and holds until the next.
    """

    def __init__(self) -> None:
        """Start upright."""
        self._last = UPRIGHT

    def of(self, picture: av.VideoFrame) -> Orientation:
        """Return the orientation of the next picture; of the same one again if it is given twice."""
        matrix = next((bytes(data) for data in _SideData(picture) if data.type is Type.DISPLAYMATRIX), None)
        if matrix is not None:
            self._last = orientation_of_matrix(matrix)
        elif 0 < abs(picture.rotation) <= 360:  # a matrix behind side data of an unknown kind: at least its angle can be read
            self._last = Orientation.turned(-90 * round(picture.rotation / 90))
        elif picture.key_frame:
            self._last = UPRIGHT
        return self._last
