"""Networks by name: grey 48x48 uint8 faces in, seven logits out, normalisation inside.

Keras 3 layers only, so a saved model loads on every backend without code from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from ferstream.domain.emotion import LABELS
from ferstream.training.dataset import FACE_SIZE_PX

if TYPE_CHECKING:
    from collections.abc import Callable

INPUT_SHAPE = (FACE_SIZE_PX, FACE_SIZE_PX, 1)
_EDGE_WIDTHS = (48, 96, 192, 192)
_EDGE_STRIDES = (2, 2, 2, 1)
_SQUEEZE = 8


def edge(*, dropout: float = 0.3) -> keras.Model:
    """Build ours: a residual network with squeeze-excite, 80 M multiply-adds and 1.4 M parameters.

    Each face is brought to mean 0 and deviation 1 first, so a dim camera changes nothing. Every
    batch norm follows a convolution and folds into it in service.
    """
    faces, x = _input(standardise=True)
    x = _conv_norm(x, 24)
    for width, stride in zip(_EDGE_WIDTHS, _EDGE_STRIDES, strict=True):
        x = _residual(x, width, stride)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(faces, _logits(x), name="edge")


def _input(*, standardise: bool = False) -> tuple[Any, Any]:
    """Return the uint8 input and the normalised float tensor, in float32 whatever the policy."""
    faces = keras.Input(INPUT_SHAPE, dtype="uint8", name="faces")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32")(faces)
    if standardise:
        x = layers.LayerNormalization(axis=[1, 2, 3], center=False, scale=False, dtype="float32", name="standardise")(x)
    return faces, x


def _logits(x: Any) -> Any:
    return layers.Dense(len(LABELS), dtype="float32", name="logits")(x)


def _conv_norm(x: Any, filters: int, *, size: int = 3, stride: int = 1, relu: bool = True) -> Any:
    x = layers.Conv2D(
        filters, size, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)
    x = layers.BatchNormalization(momentum=0.95)(x)
    return layers.ReLU()(x) if relu else x


def _residual(x: Any, filters: int, stride: int) -> Any:
    """Add a pair of 3x3 convolutions, gated by channel (Hu et al. 2018), to a shortcut."""
    y = _conv_norm(x, filters, stride=stride)
    y = _conv_norm(y, filters, relu=False)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Conv2D(filters // _SQUEEZE, 1, activation="relu")(gate)
    gate = layers.Conv2D(filters, 1, activation="sigmoid")(gate)
    y = layers.Multiply()([y, gate])
    if stride > 1:
        x = layers.AveragePooling2D(stride)(x)
    if x.shape[-1] != filters:
        x = _conv_norm(x, filters, size=1, relu=False)
    return layers.ReLU()(layers.Add()([x, y]))


ARCHITECTURES: dict[str, Callable[..., keras.Model]] = {"edge": edge}
