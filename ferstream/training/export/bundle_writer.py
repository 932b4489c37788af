"""Write a served model as a bundle, with metrics that are measured on the written files."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from ferstream.inference.alignment import FER2013_5PT
from ferstream.inference.bundle import KERAS_FILE, OPENVINO_BIN, OPENVINO_XML, Bundle, check_target, write_bundle
from ferstream.training.export.convert import to_openvino
from ferstream.training.export.stored_weights import store_in_float16

Measure = Callable[[Bundle], Mapping[str, Any]]
"""From a complete draft of a bundle to the metrics that its manifest records."""

_LIBRARIES = ("ferstream", "keras", "tensorflow", "jax", "torch", "openvino", "numpy")


@dataclass(frozen=True, slots=True)
class BundleTarget:
    """Where a bundle is written and what it is called.

    Attributes:
        directory: Its folder, by convention ``.../<name>/<version>``.
        name: Name of the model, such as ``emotion-edge``.
        version: Its version, such as ``1.0.0``.
        replace: Whether a bundle that is there is replaced.
    """

    directory: Path
    name: str
    version: str
    replace: bool = False

    def check(self) -> None:
        """Check that the bundle can be written, before any long work.

        Raises:
            BundleError: The name or version is not valid, or the folder holds files that are not to be replaced.
        """
        check_target(directory=self.directory, name=self.name, version=self.version, replace=self.replace)


@dataclass(frozen=True, slots=True)
class Stored:
    """How a bundle stores its weights.

    Attributes:
        half: Whether ``model.keras`` has its weights in float16, which halves it; they are loaded as float32.
        files: Further files of the bundle by name, which the manifest lists with their sha256.
    """

    half: bool = False
    files: Mapping[str, Path] = field(default_factory=dict)


def save_bundle(
    served: keras.Model,
    target: BundleTarget,
    *,
    temperature: float = 1.0,
    metrics: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    card: str = "",
    measure: Measure | None = None,
    stored: Stored = Stored(),
) -> Bundle:
    """Write a served model as a bundle: ``model.keras``, OpenVINO IR with FP16 weights, manifest and card.

    Args:
        served: A model that ``serving_model`` returned.
        target: The bundle to write.
        temperature: For the manifest; ``served`` contains it already.
        metrics: Numbers by evaluation, for the manifest.
        recipe: How the model was made, for the manifest.
        card: Text of ``CARD.md``.
        measure: Returns more metrics, from a draft of the bundle.
        stored: How the weights are stored, and further files.

    Raises:
        BundleError: The target exists, or the disk cannot be written.
        ModelError: The conversion to OpenVINO failed.
    """
    with tempfile.TemporaryDirectory(prefix="ferstream-bundle-") as scratch:
        keras_file = Path(scratch) / KERAS_FILE
        served.save(keras_file)
        if stored.half:
            store_in_float16(keras_file)
        xml = to_openvino(served, Path(scratch) / OPENVINO_XML)
        return write_measured(
            target,
            measure=measure,
            files={KERAS_FILE: keras_file, OPENVINO_XML: xml, OPENVINO_BIN: xml.with_suffix(".bin"), **stored.files},
            card=card,
            alignment=FER2013_5PT,
            temperature=temperature,
            metrics=dict(metrics or {}),
            recipe=dict(recipe or {}),
        )


def write_measured(
    target: BundleTarget, *, measure: Measure | None, card: str = "", metrics: Mapping[str, Any] | None = None, **fields: Any
) -> Bundle:
    """Write a draft of a bundle, measure it, and write the bundle with the measured metrics.

    Args:
        target: The bundle to write.
        measure: Returns metrics from the draft; None writes ``metrics`` only.
        card: Text of ``CARD.md``.
        metrics: Metrics that are known already.
        fields: ``files`` and further fields of the manifest, see ``write_bundle``.
    """
    fields |= {"name": target.name, "version": target.version, "created_with": library_versions()}
    known = dict(metrics or {})
    if measure is not None:
        with tempfile.TemporaryDirectory(prefix="ferstream-draft-") as scratch:
            known |= measure(write_bundle(directory=Path(scratch) / "draft", **fields))
    return write_bundle(directory=target.directory, card=card, replace=target.replace, metrics=known, **fields)


def library_versions() -> dict[str, str]:
    """Return the versions of the installed libraries that influence a model."""
    versions = {}
    for library in _LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
