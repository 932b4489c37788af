"""The manifest of a model bundle: ``manifest.json``, schema ``ferstream.bundle/1``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ferstream.domain.emotion import LABELS
from ferstream.inference.alignment import ALIGNMENTS, FER2013_5PT
from ferstream.runtime.program import command

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
VERSION_PATTERN = r"^\d+(\.\d+){0,3}([a-z0-9.+-]*)$"


class InputSpec(BaseModel):
    """The input of every model: grey uint8 crops. Models normalise them inside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    height: Literal[48] = 48
    width: Literal[48] = 48
    channels: Literal[1] = 1
    dtype: Literal["uint8"] = "uint8"
    range: tuple[Literal[0], Literal[255]] = (0, 255)


class Manifest(BaseModel):
    """Identity, input and output, and origin of a model.

    Attributes:
        schema_id: Always ``ferstream.bundle/1`` (key ``schema``).
        name: Lower-case name, ``emotion-edge``.
        version: Digits and dots, ``1.0.0``.
        labels: Equal to ``LABELS``; models with another order are changed when they are imported.
        input: Shape, dtype and range of the model's input.
        alignment: Id of the geometry of the crops it was trained on.
        temperature: Number that the logits are divided by; for information, the model already contains it.
        metrics: Results by evaluation, such as ``{"PublicTest": {"accuracy": 0.71}}``.
        recipe: How it was trained: architecture, command, seed, epochs.
        files: sha256 in hex of each file that a backend loads, by file name.
        created_with: Versions of the libraries that wrote the bundle.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_id: Literal["ferstream.bundle/1"] = Field(default="ferstream.bundle/1", alias="schema")
    name: str = Field(pattern=NAME_PATTERN)
    version: str = Field(pattern=VERSION_PATTERN)
    labels: tuple[str, ...] = LABELS
    input: InputSpec = InputSpec()
    alignment: str = FER2013_5PT
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    metrics: dict[str, Any] = Field(default_factory=dict)
    recipe: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, str] = Field(min_length=1)
    created_with: dict[str, str] = Field(default_factory=dict)

    @field_validator("labels")
    @classmethod
    def _labels_in_order(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if labels != LABELS:
            how = command("import-model", "--labels")
            msg = f"expected {', '.join(LABELS)} in this order, got {', '.join(labels)}; {how} reorders a model"
            raise ValueError(msg)
        return labels

    @field_validator("alignment")
    @classmethod
    def _alignment_known(cls, alignment: str) -> str:
        if alignment not in ALIGNMENTS:
            msg = f"unknown id {alignment!r}, this version knows {', '.join(sorted(ALIGNMENTS))}; update ferstream or train again"
            raise ValueError(msg)
        return alignment

    @field_validator("files")
    @classmethod
    def _plain_names(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            if name in {"", ".", ".."} or "/" in name or "\\" in name:
                msg = f"{name!r} is not a plain file name"
                raise ValueError(msg)
        return files
