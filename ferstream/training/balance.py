"""The balance of two heads: how much each head counts, and how much of the classes' frequencies is taken out.

With the logits A of the head ``votes``, B of the head ``labels`` and the shares p and q of the classes among their
training targets, the balanced logits are

    a (A - s log p) + b (B - t log q) + offsets

A network learns that rare classes are rare. Subtracting log p takes that out again (logit adjustment, Menon et al.
2021, "Long-tail learning via logit adjustment"). Both heads are linear on the same features, so the sum is one Dense
layer, and a balanced network costs what a network with one head costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ferstream.domain.emotion import LABELS
from ferstream.errors import ModelError
from ferstream.training.two_heads import HEADS, LOGITS, TwoHeadedNetwork, TwoHeads

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, slots=True)
class Balance:
    """Weights of the two heads and of the classes' frequencies.

    Attributes:
        votes: a, weight of the head ``votes``.
        labels: b, weight of the head ``labels``.
        votes_prior: s, share of log p that is subtracted, usually 0..1.
        labels_prior: t, share of log q that is subtracted, usually 0..1.
        offsets: Logits added to single classes, by label.
    """

    votes: float = 1.0
    labels: float = 0.0
    votes_prior: float = 0.0
    labels_prior: float = 0.0
    offsets: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the labels of the offsets."""
        unknown = [label for label in self.offsets if label not in LABELS]
        if unknown:
            known = ", ".join(("votes", "labels", "votes_prior", "labels_prior", *LABELS))
            raise ModelError(f"balance: {unknown[0]!r} is unknown; choose among {known}")

    def bias(self, about: TwoHeads) -> npt.NDArray[np.float64]:
        """Return what is added to the weighted sum of the heads: (7,) logits."""
        offsets = np.array([self.offsets.get(label, 0.0) for label in LABELS])
        votes, labels = about.log_prior("votes"), about.log_prior("labels")
        return np.asarray(offsets - self.votes * self.votes_prior * votes - self.labels * self.labels_prior * labels)

    def logits(self, heads: Mapping[str, npt.NDArray[np.float32]], about: TwoHeads) -> npt.NDArray[np.float64]:
        """Return the balanced logits (n, 7) for the logits (n, 7) of both heads."""
        return np.asarray(self.votes * heads["votes"] + self.labels * heads["labels"] + self.bias(about), np.float64)

    @classmethod
    def parse(cls, text: str) -> Balance:
        """Read ``labels=0.25,votes_prior=0.4,neutral=0.2``: fields of ``Balance``, and offsets by label.

        Raises:
            ModelError: A name is unknown, or a value is not a number.
        """
        numbers: dict[str, float] = {}
        for part in filter(None, (item.strip() for item in text.split(","))):
            name, _, value = part.partition("=")
            try:
                numbers[name.strip()] = float(value)
            except ValueError:
                raise ModelError(f"balance {part!r}: expected name=number") from None
        own = {name: numbers.pop(name) for name in ("votes", "labels", "votes_prior", "labels_prior") if name in numbers}
        return cls(**own, offsets=numbers)

    def __str__(self) -> str:
        """Return the text that ``parse`` reads."""
        own = {"votes": self.votes, "labels": self.labels, "votes_prior": self.votes_prior, "labels_prior": self.labels_prior}
        return ",".join(f"{name}={value:g}" for name, value in {**own, **self.offsets}.items())

    def as_json(self) -> dict[str, Any]:
        """Return the numbers for a manifest."""
        return {**asdict(self), "offsets": dict(self.offsets)}


def fold(two_headed: TwoHeadedNetwork, balance: Balance) -> keras.Model:
    """Return the network with one output, the balanced logits, as one Dense layer in the place of the two heads."""
    import keras

    network = two_headed.network
    votes, labels = (network.get_layer(head) for head in HEADS)
    kernel = balance.votes * np.asarray(votes.kernel) + balance.labels * np.asarray(labels.kernel)
    bias = balance.votes * np.asarray(votes.bias) + balance.labels * np.asarray(labels.bias) + balance.bias(two_headed.about)
    dense = keras.layers.Dense(len(LABELS), dtype="float32", name=LOGITS)
    folded = keras.Model(network.input, dense(votes.input), name=network.name)
    dense.set_weights([kernel, bias])
    return folded
