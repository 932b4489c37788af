"""Where a run's weights come from: a seed, or a finished bundle that is trained further."""

from __future__ import annotations

import keras

from ferstream.errors import DataError, ModelError
from ferstream.inference.bundle import KERAS_FILE, load_bundle
from ferstream.training.export.model_file import read_network


def start_from(network: keras.Model, model: str) -> None:
    """Give ``network`` the weights of a bundle of the same architecture.

    Args:
        network: As ``architectures.build`` makes it.
        model: Name, name/version or folder of a bundle with a ``model.keras``.

    Raises:
        BundleError: There is no such bundle, or it is damaged.
        DataError: It is of another architecture, or has no Keras file.
    """
    bundle = load_bundle(model)
    if not bundle.has(KERAS_FILE):
        raise DataError(f"--init {model}: the bundle has no {KERAS_FILE} to train further; take the one it was made from")
    weights = _inner(read_network(bundle.file(KERAS_FILE)), model).get_weights()
    if [weight.shape for weight in weights] != [tuple(weight.shape) for weight in network.weights]:
        raise DataError(f"--init {model}: is of another architecture than {network.name!r}; choose the --arch it was trained with")
    network.set_weights(weights)


def _inner(served: keras.Model, model: str) -> keras.Model:
    """Return the trained network inside the served one, which adds the temperature and the softmax."""
    inner = [layer for layer in served.layers if isinstance(layer, keras.Model)]
    if len(inner) != 1:
        raise ModelError(f"--init {model}: holds {len(inner)} networks, expected one; train further what ferstream train made")
    return inner[0]
