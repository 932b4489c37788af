"""The balance of two heads, and the layer they are folded into."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("keras", reason="the Keras extra is not installed")

from ferstream.domain.emotion import LABELS
from ferstream.errors import ModelError
from ferstream.training.balance import Balance, fold
from tests.support.bundles import random_crops
from tests.support.two_heads import ABOUT, tiny_two_heads

BALANCE = Balance(votes=1.5, labels=0.25, votes_prior=0.4, labels_prior=1.0, offsets={"neutral": 0.2, "disgust": -0.4})


def test_the_folded_network_gives_the_formula_of_the_two_heads() -> None:
    network, crops = tiny_two_heads(), random_crops(6)
    heads = network.logits(crops)
    votes, labels = (np.log(np.array(ABOUT.priors[head]) / sum(ABOUT.priors[head])) for head in ("votes", "labels"))
    expected = 1.5 * (heads["votes"] - 0.4 * votes) + 0.25 * (heads["labels"] - 1.0 * labels)
    expected[:, LABELS.index("neutral")] += 0.2
    expected[:, LABELS.index("disgust")] -= 0.4

    folded = fold(network, BALANCE)

    assert np.asarray(folded(crops[..., np.newaxis])) == pytest.approx(expected, abs=1e-4)
    assert BALANCE.logits(heads, ABOUT) == pytest.approx(expected, abs=1e-5)


def test_the_folded_network_has_one_dense_layer_and_leaves_the_original_as_it_is() -> None:
    network, crops = tiny_two_heads(), random_crops(3)
    before = network.logits(crops)

    folded = fold(network, BALANCE)

    assert folded.count_params() == network.network.count_params() - network.network.get_layer("labels").count_params()
    assert [layer.name for layer in folded.layers][-1] == "logits"
    assert network.logits(crops)["votes"] == pytest.approx(before["votes"])


def test_removing_a_prior_favours_the_rare_classes() -> None:
    heads = {"votes": np.zeros((1, 7), np.float32), "labels": np.zeros((1, 7), np.float32)}
    assert Balance(votes_prior=1.0).logits(heads, ABOUT)[0].argmax() == LABELS.index("disgust")
    assert Balance().logits(heads, ABOUT) == pytest.approx(np.zeros((1, 7)))


def test_a_balance_is_read_from_its_text() -> None:
    assert Balance.parse(str(BALANCE)) == BALANCE
    assert Balance.parse(" labels=0.5 , sad=0.1") == Balance(labels=0.5, offsets={"sad": 0.1})


@pytest.mark.parametrize(
    ("text", "says"), [("labels", "expected name=number"), ("sadness=1", "'sadness' is unknown"), ("sad=much", "name=number")]
)
def test_a_wrong_balance_is_an_error(text: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        Balance.parse(text)
