"""``ferstream.analyze``: the faces of still pictures. Any thread, several at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict, Unpack, cast, overload

from ferstream.api.values import Colors, Faces, Masks

if TYPE_CHECKING:
    from ferstream.api.values import PictureInput


class AnalyzeOptions(TypedDict, total=False):
    """The options of ``analyze``, which describes them."""

    colors: Colors
    detect: bool
    model: str | None
    backend: str | None
    score: float | None
    min_face: float
    max_pixels: int
    masks: Masks
    config: str | os.PathLike[str] | None
    camera: str | None


@overload  # text is a sequence of texts too; the first form counts
def analyze(image: PictureInput, **options: Unpack[AnalyzeOptions]) -> Faces: ...  # type: ignore[overload-overlap]
@overload
def analyze(image: Sequence[PictureInput], **options: Unpack[AnalyzeOptions]) -> list[Faces]: ...
def analyze(  # noqa: PLR0913 (the options of `ferstream predict`)
    image: PictureInput | Sequence[PictureInput],
    *,
    colors: Colors = "bgr",
    detect: bool = True,
    model: str | None = None,
    backend: str | None = None,
    score: float | None = None,
    min_face: float = 16.0,
    max_pixels: int = 64_000_000,
    masks: Masks = (),
    config: str | os.PathLike[str] | None = None,
    camera: str | None = None,
) -> Faces | list[Faces]:
    """Find the faces in a picture and classify their expressions: what ``ferstream predict`` does.

    The first call loads the networks, which takes about a second; later calls use them again, also from other threads.
    Pictures are neither stored nor changed.

    Args:
        image: The picture, or a list of pictures:

            - a path (``str`` or ``Path``): JPEG, PNG, WebP, AVIF, BMP, TIFF or GIF, turned upright as the file says;
            - ``bytes``: the contents of such a file;
            - a numpy array of ``uint8``, 0..255, shape (height, width, 3) in the order of ``colors``, or (height, width) grey, or
              (height, width, 4) whose fourth channel is ignored;
            - a PIL image, turned upright as its EXIF says.
        colors: Order of the channels of numpy arrays: ``"bgr"``, as OpenCV reads pictures, or ``"rgb"``, as PIL, imageio and
            matplotlib do. Other kinds of pictures know their order.
        detect: True finds the faces; False takes each picture as the crop of one face.
        model: ``auto``, or name, name/version or folder of a model bundle. None: that of ``config``, else ``auto``.
        backend: ``auto``, ``openvino`` or ``keras`` (needs ``ferstream[keras]``). None: that of ``config``, else ``auto``.
        score: Lowest score of the face detector, 0..1. None: that of ``config``, else 0.7.
        min_face: Smallest face, shorter side in pixels.
        max_pixels: Largest picture, width times height; a larger one is refused before it is decoded.
        masks: Polygons that are filled with grey before the picture is analysed. Each has at least three corners (x, y), relative to
            the width and height of the upright picture, 0..1. They are added to those of ``config``.
        config: A settings file of ferstream. Its model, detector and privacy settings are obeyed: the masks of ``camera`` are
            painted, and with ``privacy.aggregate_only`` the call is refused. None, the default: no settings file is read.
        camera: Name of the camera in ``config`` that made the picture; None takes the only camera.

    Returns:
        ``Faces`` for one picture, a list of ``Faces`` for a list of pictures. ``Faces`` is a sequence of ``Face`` from left to
        right, empty where no face was found.

    Raises:
        ferstream.errors.SourceError: A picture cannot be read; ``SourceFormatError``: it is not a picture, or too large. In a list,
            the pictures after it are not analysed.
        ferstream.errors.ModelError: The model cannot be used.
        ferstream.errors.ConfigError: An argument or ``config`` is wrong, or its privacy settings do not allow results for single faces.

    Example:
        >>> import ferstream
        >>> [face.label for face in ferstream.analyze(ferstream.examples.portrait())]
        ['neutral']
    """
    from ferstream.api.still_analysis import analyze_one
    from ferstream.api.still_options import still_options

    options = still_options(
        key={"model": model, "backend": backend, "detect": detect},
        score=score,
        min_face=min_face,
        max_pixels=max_pixels,
        colors=colors,
        masks=masks,
        made_by=(config, camera),
    )
    if isinstance(image, list | tuple):
        return [analyze_one(one, options) for one in image]
    return analyze_one(cast("PictureInput", image), options)
