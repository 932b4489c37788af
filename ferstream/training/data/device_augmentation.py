"""Settings of the augmentation that runs on the training device (``augment_ops.py``)."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from ferstream.domain.face import FACE_SIZE_PX
from ferstream.training.data.augment import Fraction

GreyLevels = Annotated[float, Field(ge=0, le=255, allow_inf_nan=False)]
"""A change of grey values, 0..255."""
Pixels = Annotated[float, Field(ge=0, le=FACE_SIZE_PX, allow_inf_nan=False)]
"""A length in pixels of the 48x48 face."""


@dataclass(frozen=True, slots=True, config=ConfigDict(strict=True))
class DeviceAugmentation:
    """How strongly faces are varied on the device. 0 turns a kind off. A value out of range raises pydantic's ``ValidationError``.

    Attributes:
        flip: Whether half of the faces are mirrored.
        landmark_px: Standard deviation of the error of each landmark in pixels; the face is aligned again by the wrong landmarks.
        rotate_deg: Largest rotation in degrees, clockwise or counter-clockwise.
        shift_px: Largest shift in pixels, along each axis.
        scale: Largest relative change of size; 0.17 draws from 0.83 to 1.17.
        shear: Largest shear.
        perspective: Largest relative change of size between the middle and an edge of the face.
        contrast: Largest relative change of contrast; 0.3 draws from 0.7 to 1.3.
        gamma: Largest change of log2 of the gamma exponent.
        brightness: Largest change of all grey values, in grey levels.
        slope: Largest change at an edge by light from one side, in grey levels.
        noise: Probability of Gaussian noise of 0 to 8 grey levels.
        soften: Probability of a blur, or of resampling from fewer pixels, which makes a face look like a small live one.
        motion_blur: Probability of a blur along a line.
        motion_px: Longest movement of the motion blur, in pixels.
        mask: Probability of a drawn face mask. At most one of the four coverings is drawn on a face.
        hand: Probability of a drawn hand in front of the mouth.
        glasses: Probability of drawn sunglasses.
        lower_face: Probability that the face below the nose is covered.
        erase: Probability that a rectangle is covered.
    """

    flip: bool = True
    landmark_px: Pixels = 0.8
    rotate_deg: Annotated[float, Field(ge=0, le=180, allow_inf_nan=False)] = 18.0
    shift_px: Pixels = 4.0
    scale: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.17
    shear: Fraction = 0.08
    perspective: Annotated[float, Field(ge=0, lt=0.5, allow_inf_nan=False)] = 0.12
    contrast: Fraction = 0.35
    gamma: Annotated[float, Field(ge=0, le=8, allow_inf_nan=False)] = 0.65
    brightness: GreyLevels = 30.0
    slope: GreyLevels = 25.0
    noise: Fraction = 0.8
    soften: Fraction = 0.35
    motion_blur: Fraction = 0.1
    motion_px: Pixels = 9.0
    mask: Fraction = 0.05
    hand: Fraction = 0.05
    glasses: Fraction = 0.05
    lower_face: Fraction = 0.03
    erase: Fraction = 0.35

    @model_validator(mode="after")
    def _one_covering(self) -> DeviceAugmentation:
        total = self.mask + self.hand + self.glasses + self.lower_face
        if total > 1:
            raise ValueError(
                f"mask, hand, glasses and lower_face are at most 1 together, because a face gets one of them; they are {total:g}"
            )
        return self
