"""What a training run computes, apart from the data: one value, kept in every checkpoint and bundle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ferstream.errors import DataError
from ferstream.training.data.augment import Augmentation
from ferstream.training.ranges import NOT_NEGATIVE, POSITIVE, SHARE, Range, check_range, check_ranges

Optimizer = Literal["adam", "adamw", "sgd"]
Schedule = Literal["cosine", "plateau", "constant"]
Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what a run computes, apart from the data.

    Attributes:
        arch: A name in ``ARCHITECTURES``.
        epochs: Passes over the training faces.
        batch: Faces a step.
        optimizer: adam, adamw (decoupled decay) or sgd (Nesterov momentum 0.9).
        learning_rate: Peak rate.
        weight_decay: Of kernels only, never of norms and biases.
        schedule: cosine with warm-up, plateau (halved when the validation loss stalls) or constant.
        warmup_epochs: Linear warm-up of the cosine.
        average: Decay a step of the weight average, 0..1; 0 is off.
        label_weight: Share of the original label beside FER+ votes, 0..1.
        smoothing: Share of the uniform distribution in the targets, 0..1.
        mixup: Both parameters of the Beta distribution; 0 is off.
        class_weights: Whether rare classes weigh more.
        patience_epochs: Epochs without a better score before the run ends; 0 is never.
        precision: A Keras dtype policy.
        seed: Of weights, order and augmentation.
        frozen_epochs: Epochs in which a pretrained base stays as it is; 0 when ``options`` says that it has no weights
            (``weights`` none) and ``init`` gives none.
        fine_tune_scale: What the learning rate is multiplied by once the base trains too.
        init: A bundle whose weights are the start: name, name/version or folder; empty is none, the seed's weights.
        teacher: A bundle whose answers are targets too, see ``teacher.py``; empty is none.
        teacher_weight: Share of the teacher's answers in the targets, 0..1.
        augmentation: How faces are varied; None is off.
        options: Arguments of the architecture.
    """

    arch: str = "edge"
    epochs: int = 40
    batch: int = 128
    optimizer: Optimizer = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    schedule: Schedule = "cosine"
    warmup_epochs: float = 2.0
    average: float = 0.998
    label_weight: float = 0.0
    smoothing: float = 0.0
    mixup: float = 0.0
    class_weights: bool = False
    patience_epochs: int = 0
    precision: Precision = "float32"
    seed: int = 1
    frozen_epochs: int = 0
    fine_tune_scale: float = 0.1
    init: str = ""
    teacher: str = ""
    teacher_weight: float = 0.5
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check ranges and names."""
        for name, kinds in (("optimizer", Optimizer), ("schedule", Schedule), ("precision", Precision)):
            if getattr(self, name) not in get_args(kinds):
                raise DataError(f"{name} must be one of {', '.join(get_args(kinds))}, got {getattr(self, name)!r}")
        check_ranges(self, _RANGES)
        if "dropout" in self.options:
            check_range("dropout", self.options["dropout"], Range(0, 1, below=True))
        if self.options.get("weights") == "none" and not self.init:
            object.__setattr__(self, "frozen_epochs", 0)  # a random base has nothing to keep


_RANGES = {
    **dict.fromkeys(("epochs", "batch", "learning_rate", "fine_tune_scale"), POSITIVE),
    **dict.fromkeys(("weight_decay", "warmup_epochs", "mixup", "patience_epochs", "frozen_epochs"), NOT_NEGATIVE),
    **dict.fromkeys(("average", "label_weight", "smoothing", "teacher_weight"), SHARE),
    "seed": Range(0, 2**31 - 1),
}


RECIPES: dict[str, Recipe] = {
    "edge": Recipe(arch="edge"),
    "sequential4": Recipe(
        arch="sequential4", epochs=15, batch=64, optimizer="adam", learning_rate=5e-4, weight_decay=0.0, schedule="plateau", average=0.0
    ),
    "sequential3": Recipe(
        arch="sequential3", epochs=30, batch=256, optimizer="adam", learning_rate=1e-3, weight_decay=0.0, schedule="constant", average=0.0
    ),
    "mobilenet": Recipe(
        arch="mobilenet", epochs=20, batch=64, optimizer="adam", learning_rate=1e-3, weight_decay=0.0, frozen_epochs=5, average=0.0
    ),
}
"""What ``ferstream train --arch NAME`` does unless told otherwise."""
