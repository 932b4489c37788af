"""Recipes: every setting that decides what a training run computes, apart from the faces."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, field_validator
from pydantic.dataclasses import dataclass

from ferstream.training.data.augment import Augmentation, Fraction
from ferstream.training.data.device_augmentation import DeviceAugmentation

Optimizer = Literal["adam", "adamw", "sgd"]
Schedule = Literal["cosine", "plateau", "constant"]
Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]

_DROPOUT = TypeAdapter(Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)])


@dataclass(frozen=True, slots=True, config=ConfigDict(strict=True))
class Recipe:
    """The settings of a training run; kept in each checkpoint and bundle.

    A value out of range raises pydantic's ``ValidationError``.

    Attributes:
        arch: A name in ``ARCHITECTURES``.
        epochs: Passes over the training faces.
        batch: Faces a step.
        optimizer: adam, adamw (decoupled weight decay) or sgd (Nesterov momentum 0.9).
        learning_rate: Highest learning rate of the run.
        weight_decay: Applied to kernels only, not to norms and biases.
        schedule: cosine (with warm-up), plateau (halved when the validation loss stalls) or constant.
        warmup_epochs: Epochs of linear warm-up before the cosine.
        average: Decay of the weight average a step, 0..1; 0 turns averaging off.
        label_weight: Weight of the original label beside FER+ votes, 0..1.
        smoothing: Weight of the uniform distribution in the targets, 0..1.
        mixup: Both parameters of the Beta distribution that mixup draws from; 0 turns mixup off.
        class_weights: Whether faces of rare classes weigh more in the loss.
        patience_epochs: Epochs without a better score after which the run ends; 0 runs all epochs.
        precision: A Keras dtype policy.
        seed: Of the weights, the order of the faces and the augmentation.
        frozen_epochs: Epochs in which a pretrained base is not trained. Set to 0 where the base has random weights:
            ``options`` has ``weights`` = none and ``init`` is empty.
        fine_tune_scale: Factor on the learning rate once the base is trained too.
        init: Bundle whose weights the run starts from: name, name/version or folder. Empty: random weights.
        teacher: Bundle whose probabilities are blended into the targets, see ``teacher.py``. Empty: no teacher.
        teacher_weight: Weight of the teacher's probabilities in the targets, 0..1.
        two_heads: Whether the network has the heads ``votes`` and ``labels`` and is trained on the device (``device_steps.py``).
            ``smoothing`` is then that of the head ``labels``; ``label_weight``, ``class_weights``, ``init`` and ``teacher`` are not used.
        labels_loss: Weight of the loss of the head ``labels`` beside that of the head ``votes``.
        mixup_share: Share of the batches to which mixup is applied, with two heads.
        teachers: Networks with two heads that see the same augmented faces, see ``teacher_group.py``; ``teacher_weight`` is theirs.
        teacher_temperature: Divides the logits of teachers and student where the two are compared.
        augmentation: How faces are varied; None turns augmentation off.
        options: Arguments of the architecture: ``dropout``, ``weights``.
    """

    arch: str = "edge"
    epochs: Annotated[int, Field(gt=0)] = 40
    batch: Annotated[int, Field(gt=0)] = 128
    optimizer: Optimizer = "adamw"
    learning_rate: Positive = 2e-3
    weight_decay: NotNegative = 0.02
    schedule: Schedule = "cosine"
    warmup_epochs: NotNegative = 2.0
    average: Fraction = 0.998
    label_weight: Fraction = 0.0
    smoothing: Fraction = 0.0
    mixup: NotNegative = 0.0
    class_weights: bool = False
    patience_epochs: Count = 0
    precision: Precision = "float32"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    frozen_epochs: Count = 0
    fine_tune_scale: Positive = 0.1
    init: str = ""
    teacher: str = ""
    teacher_weight: Fraction = 0.5
    two_heads: bool = False
    labels_loss: NotNegative = 0.4
    mixup_share: Fraction = 1.0
    teachers: list[str] = field(default_factory=list)
    teacher_temperature: Positive = 1.0
    augmentation: DeviceAugmentation | Augmentation | None = field(default_factory=Augmentation)
    options: dict[str, Any] = field(default_factory=dict)

    @field_validator("options")
    @classmethod
    def _check_dropout(cls, options: dict[str, Any]) -> dict[str, Any]:
        if "dropout" in options:
            _DROPOUT.validate_python(options["dropout"])
        return options

    def __post_init__(self) -> None:
        """Train a base with random weights from the first epoch on."""
        if self.options.get("weights") == "none" and not self.init:
            object.__setattr__(self, "frozen_epochs", 0)


RECIPES: dict[str, Recipe] = {
    "edge": Recipe(arch="edge"),
    "small": Recipe(arch="small"),
    "large": Recipe(arch="large", optimizer="sgd", learning_rate=0.1, weight_decay=5e-4, batch=256, precision="mixed_bfloat16"),
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
"""The default recipe of each architecture, used by ``ferstream train --arch NAME``."""

_TEACHER = Recipe(
    arch="large",
    two_heads=True,
    epochs=25,
    batch=256,
    optimizer="sgd",
    learning_rate=0.1,
    weight_decay=5e-4,
    warmup_epochs=1.0,
    average=0.998,
    smoothing=0.1,
    mixup=0.3,
    mixup_share=0.5,
    precision="mixed_bfloat16",
    augmentation=DeviceAugmentation(),
)
_STUDENT = Recipe(
    two_heads=True,
    epochs=82,
    batch=512,
    learning_rate=3e-3,
    weight_decay=0.03,
    warmup_epochs=2.5,
    average=0.999,
    mixup=0.4,
    mixup_share=0.5,
    labels_loss=0.5,
    precision="mixed_bfloat16",
    teacher_weight=0.85,
    augmentation=DeviceAugmentation(),
    options={"dropout": 0.1},
)
TWO_HEADED_RECIPES: dict[str, Recipe] = {
    "edge": replace(_STUDENT, arch="edge"),
    "small": replace(_STUDENT, arch="small"),
    "large": _TEACHER,
}
"""The recipes of networks with two heads, used by ``ferstream train --two-heads`` and with teachers; written for a GPU."""
