"""Networks by name. Input: grey 48x48 uint8 faces. Output: seven logits. Normalisation is part of the network.

``edge``, ``small`` and ``large`` can also have two outputs on the same features, ``votes`` and ``labels`` (``two_heads.py``).
All use Keras 3 layers only, so that a saved model loads on every backend without code of ferstream.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from ferstream.domain.emotion import LABELS
from ferstream.domain.face import FACE_SIZE_PX
from ferstream.errors import DataError, ModelError
from ferstream.training.fitting.recipe import TWO_HEADED_RECIPES, Recipe
from ferstream.training.two_heads import HEADS

INPUT_SHAPE = (FACE_SIZE_PX, FACE_SIZE_PX, 1)
BASE = "base"
"""Name of the pretrained layer that is not trained in a recipe's ``frozen_epochs``."""

_SQUEEZE = 8
_MOBILENET_INPUT_PX = 96


def build(recipe: Recipe) -> keras.Model:
    """Build the network of a recipe, with the recipe's seed and precision.

    Raises:
        DataError: The architecture is unknown.
    """
    if recipe.arch not in ARCHITECTURES:
        raise DataError(f"architecture {recipe.arch!r} is unknown; choose one of {', '.join(ARCHITECTURES)}")
    if recipe.two_heads and recipe.arch not in TWO_HEADED_RECIPES:
        raise DataError(f"architecture {recipe.arch!r} has one head; choose one of {', '.join(TWO_HEADED_RECIPES)} for two")
    keras.utils.set_random_seed(recipe.seed)
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(recipe.precision)
    try:
        return ARCHITECTURES[recipe.arch](**recipe.options, **({"two_heads": True} if recipe.two_heads else {}))
    finally:
        keras.mixed_precision.set_global_policy(before)


@dataclass(frozen=True, slots=True)
class _Stages:
    """Sizes of a residual network.

    Attributes:
        stem: Channels of the first convolution.
        widths: Channels of each stage.
        strides: Stride of the first block of each stage.
        blocks: Residual blocks of each stage.
    """

    stem: int
    widths: tuple[int, ...]
    strides: tuple[int, ...]
    blocks: int = 1


_EDGE = _Stages(stem=24, widths=(48, 96, 192, 192), strides=(2, 2, 2, 1))
_SMALL = _Stages(stem=16, widths=(32, 64, 128, 128), strides=(2, 2, 2, 1))
_LARGE = _Stages(stem=64, widths=(64, 128, 256, 512), strides=(1, 2, 2, 2), blocks=2)


def edge(*, dropout: float = 0.3, two_heads: bool = False) -> keras.Model:
    """Build the network for ordinary CPUs: residual, with squeeze-excite, 80 M multiply-adds and 1.4 M parameters.

    Args:
        dropout: Share of features dropped before the output, 0..1.
        two_heads: Whether the outputs are ``votes`` and ``labels`` instead of one.
    """
    return _residual_network("edge", _EDGE, dropout=dropout, two_heads=two_heads)


def small(*, dropout: float = 0.1, two_heads: bool = False) -> keras.Model:
    """Build the network for weak CPUs, ``edge`` with two thirds of its channels: 36 M multiply-adds and 0.6 M parameters.

    Args:
        dropout: Share of features dropped before the output, 0..1.
        two_heads: Whether the outputs are ``votes`` and ``labels`` instead of one.
    """
    return _residual_network("small", _SMALL, dropout=dropout, two_heads=two_heads)


def large(*, dropout: float = 0.4, two_heads: bool = False) -> keras.Model:
    """Build the network for GPUs and for teaching the others: 1.3 G multiply-adds and 11.4 M parameters.

    Args:
        dropout: Share of features dropped before the output, 0..1.
        two_heads: Whether the outputs are ``votes`` and ``labels`` instead of one.
    """
    return _residual_network("large", _LARGE, dropout=dropout, two_heads=two_heads)


def _residual_network(name: str, stages: _Stages, *, dropout: float, two_heads: bool) -> keras.Model:
    """Build a residual network.

    Each face is first scaled to mean 0 and standard deviation 1, so that brightness and contrast have no influence.
    Every batch norm follows a convolution, so that converters merge the two.
    """
    faces, x = _input(standardise=True)
    x = _conv_norm(x, stages.stem)
    for width, stride in zip(stages.widths, stages.strides, strict=True):
        for block in range(stages.blocks):
            x = _residual(x, width, stride if block == 0 else 1)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout)(x)
    if two_heads:
        return keras.Model(faces, {head: layers.Dense(len(LABELS), dtype="float32", name=head)(x) for head in HEADS}, name=name)
    return keras.Model(faces, _logits(x), name=name)


def sequential4(*, dropout: float = 0.25) -> keras.Model:
    """Build a widely used network of four stages: conv 64 3x3, 128 5x5, 512 3x3, 512 3x3; dense 256 and 512."""
    faces, x = _input()
    for filters, size in ((64, 3), (128, 5), (512, 3), (512, 3)):
        x = layers.Conv2D(filters, size, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
        x = layers.MaxPooling2D(2)(x)
        x = layers.Dropout(dropout)(x)
    x = layers.Flatten()(x)
    for units in (256, 512):
        x = layers.Dense(units)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
        x = layers.Dropout(dropout)(x)
    return keras.Model(faces, _logits(x), name="sequential4")


def sequential3(*, dropout: float = 0.2) -> keras.Model:
    """Build a widely used network of three stages: conv 64 5x5, twice 64 3x3, twice 128 3x3; dense 1024 twice."""
    faces, x = _input()
    x = layers.Conv2D(64, 5, activation="relu")(x)
    x = layers.MaxPooling2D(5, strides=2)(x)
    for filters in (64, 128):
        x = layers.Conv2D(filters, 3, activation="relu")(x)
        x = layers.Conv2D(filters, 3, activation="relu")(x)
        x = layers.AveragePooling2D(3, strides=2)(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(1024, activation="relu")(x)
        x = layers.Dropout(dropout)(x)
    return keras.Model(faces, _logits(x), name="sequential3")


def mobilenet(*, weights: str = "imagenet", dropout: float = 0.3) -> keras.Model:
    """Build MobileNetV2 without its top, at 96x96, with an output layer of seven logits.

    Args:
        weights: ``imagenet`` (Keras downloads them), a local weights file, or ``none`` for random weights.
        dropout: Share of units dropped before the logits, 0..1.

    Raises:
        ModelError: The weights cannot be loaded.
    """
    faces, x = _input()
    x = layers.Resizing(_MOBILENET_INPUT_PX, _MOBILENET_INPUT_PX)(x)
    x = layers.Concatenate()([x, x, x])
    try:
        base = keras.applications.MobileNetV2(
            input_shape=(_MOBILENET_INPUT_PX, _MOBILENET_INPUT_PX, 3),
            include_top=False,
            weights=None if weights == "none" else weights,
            name=BASE,
        )
    except Exception as error:  # Keras's download raises a bare Exception
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"mobilenet: the weights {weights!r} cannot be loaded: {reason}; give --weights FILE or --weights none") from error
    x = layers.GlobalAveragePooling2D()(base(x))
    x = layers.Dropout(dropout)(x)
    return keras.Model(faces, _logits(x), name="mobilenet")


def _input(*, standardise: bool = False) -> tuple[Any, Any]:
    """Return the uint8 input and the normalised tensor, which is float32 under every dtype policy."""
    faces = keras.Input(INPUT_SHAPE, dtype="uint8", name="faces")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32")(faces)
    if standardise:
        x = layers.LayerNormalization(axis=[1, 2, 3], center=False, scale=False, dtype="float32", name="standardise")(x)
    return faces, x


def _logits(x: Any) -> Any:
    return layers.Dense(len(LABELS), dtype="float32", name="logits")(x)


def _conv_norm(x: Any, filters: int, *, size: int = 3, stride: int = 1, relu: bool = True) -> Any:
    x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    x = layers.BatchNormalization(momentum=0.95)(x)
    return layers.ReLU()(x) if relu else x


def _residual(x: Any, filters: int, stride: int) -> Any:
    """Add two 3x3 convolutions, weighted by channel (squeeze-excite, Hu et al. 2018), to a shortcut."""
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


ARCHITECTURES: dict[str, Callable[..., keras.Model]] = {
    "edge": edge,
    "small": small,
    "large": large,
    "sequential4": sequential4,
    "sequential3": sequential3,
    "mobilenet": mobilenet,
}
