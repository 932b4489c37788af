"""Networks with two heads on the same features, and the file that holds them.

The head ``votes`` is taught by the shares of FER+'s votes, the head ``labels`` by FER2013's own labels. Both are Dense
layers on the same features, which is why any weighted sum of them is one Dense layer (``balance.py``).

The file is a ``.keras`` archive with one more member, ``ferstream.json`` (schema ``ferstream.two-heads/1``): the shares
of the classes that each head was taught with, and how it was trained. Keras reads the archive without that member.
Training writes such files and reads them as teachers; ``ferstream balance`` makes bundles from them.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ferstream.domain.emotion import LABELS
from ferstream.errors import ModelError
from ferstream.training.model_file import read_network

if TYPE_CHECKING:
    import keras

Head = Literal["votes", "labels"]
HEADS: tuple[Head, Head] = ("votes", "labels")
"""Names of the outputs and of their Dense layers, in this order."""
LOGITS = "logits"
"""Name of the Dense layer of a network with one head, also of one that two heads were folded into."""
MEMBER = "ferstream.json"
"""Name of the description in the archive."""
_MAX_MEMBER_BYTES = 100_000

Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
"""Share of a class among the targets, 0..1; not 0, because its logarithm is used."""


class TwoHeads(BaseModel):
    """What a file of two heads says about its network.

    Attributes:
        schema_id: Always ``ferstream.two-heads/1`` (key ``schema``).
        architecture: Name of the architecture, such as ``edge``.
        priors: For each head the shares of the seven classes among its training targets, in ``LABELS`` order; each sums to 1.
        recipe: How it was trained, for the manifest and the card of its bundles.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_id: Literal["ferstream.two-heads/1"] = Field(default="ferstream.two-heads/1", alias="schema")
    architecture: str = Field(min_length=1, max_length=64)
    priors: dict[Head, tuple[Share, ...]]
    recipe: dict[str, Any] = Field(default_factory=dict)

    @field_validator("priors")
    @classmethod
    def _both_heads(cls, priors: dict[Head, tuple[float, ...]]) -> dict[Head, tuple[float, ...]]:
        for head in HEADS:
            shares = priors.get(head, ())
            if len(shares) != len(LABELS) or abs(sum(shares) - 1.0) > 0.02:
                raise ValueError(f"{head}: expected {len(LABELS)} shares that sum to 1, got {shares}")
        return priors

    def log_prior(self, head: Head) -> npt.NDArray[np.float64]:
        """Return the logarithms (7,) of a head's shares, which are scaled to sum 1."""
        shares = np.array(self.priors[head], np.float64)
        return np.asarray(np.log(shares / shares.sum()))


@dataclass(frozen=True, slots=True)
class TwoHeadedNetwork:
    """A network with the outputs ``votes`` and ``labels``.

    Attributes:
        network: Grey (n, 48, 48, 1) faces 0..255 in; a dict of two (n, 7) logits out.
        about: Its description.
    """

    network: keras.Model
    about: TwoHeads

    def logits(self, faces: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float32]]:
        """Return the logits (n, 7) of both heads for faces (n, 48, 48), in chunks of equal size."""
        chunk = min(256, len(faces))
        parts: dict[str, list[npt.NDArray[np.float32]]] = {head: [] for head in HEADS}
        for start in range(0, len(faces), chunk):
            part = faces[start : start + chunk, :, :, np.newaxis]
            padded = np.pad(part, ((0, chunk - len(part)), (0, 0), (0, 0), (0, 0)))
            answers = self.network.predict_on_batch(padded)
            for head in HEADS:
                parts[head].append(np.asarray(answers[head], np.float32)[: len(part)])
        return {head: np.concatenate(rows) for head, rows in parts.items()}


def save_two_heads(network: keras.Model, path: Path, about: TwoHeads) -> None:
    """Write a network of two heads; the file is renamed into place when it is complete.

    Args:
        network: With the outputs ``votes`` and ``labels``.
        path: The file, ``.keras``.
        about: Its description.

    Raises:
        ModelError: The network has other outputs.
    """
    _check_outputs(network, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.part.keras")
    network.save(unfinished)
    text = json.dumps(about.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=False)
    with zipfile.ZipFile(unfinished, "a") as archive:
        archive.writestr(MEMBER, text + "\n")
    unfinished.replace(path)


def read_two_heads(path: Path) -> TwoHeadedNetwork:
    """Read a file of two heads, after the checks of ``read_network``: no code of the file is run.

    Raises:
        ModelError: The file is refused, has no description, or its network has other outputs.
    """
    network = read_network(path)
    _check_outputs(network, path)
    return TwoHeadedNetwork(network, read_description(path))


def read_description(path: Path) -> TwoHeads:
    """Read the description of a file of two heads without loading its network.

    Raises:
        ModelError: The file has none, or it is not valid.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(MEMBER).file_size > _MAX_MEMBER_BYTES:
                raise ModelError(f"{path}: {MEMBER} is longer than {_MAX_MEMBER_BYTES:,} bytes")
            return TwoHeads.model_validate_json(archive.read(MEMBER))
    except KeyError as exc:
        raise ModelError(f"{path}: has no {MEMBER}; it is not a network with two heads of ferstream, import it with import-model") from exc
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]
        raise ModelError(f"{path}: {MEMBER}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from exc
    except (OSError, ValueError, zipfile.BadZipFile) as exc:
        raise ModelError(f"{path}: {MEMBER} cannot be read: {exc}") from exc


def _check_outputs(network: keras.Model, path: Path) -> None:
    outputs = getattr(network, "output", None)  # a Sequential model that was never called has none
    shapes = {head: tuple(output.shape) for head, output in outputs.items()} if isinstance(outputs, dict) else {}
    if shapes != dict.fromkeys(HEADS, (None, len(LABELS))):
        raise ModelError(f"{path}: its outputs are {shapes or 'not named'}, expected {' and '.join(HEADS)} with {len(LABELS)} logits each")
