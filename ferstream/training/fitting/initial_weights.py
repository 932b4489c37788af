"""Start a run from the weights of a finished bundle instead of random ones."""

from __future__ import annotations

import keras

from ferstream.errors import DataError, ModelError
from ferstream.inference.bundle import KERAS_FILE, load_bundle
from ferstream.training.model_file import read_network


def load_initial_weights(network: keras.Model, model: str) -> None:
    """Copy the weights of a bundle of the same architecture into ``network``.

    Args:
        network: As ``architectures.build`` returns it.
        model: Name, name/version or folder of a bundle with a ``model.keras``.

    Raises:
        BundleError: The bundle does not exist or is damaged.
        DataError: The bundle has another architecture, or no Keras file.
        ModelError: The bundle was not made by ``ferstream train``.
    """
    bundle = load_bundle(model)
    if not bundle.has(KERAS_FILE):
        raise DataError(f"--init {model}: the bundle has no {KERAS_FILE} to train further; give the bundle it was made from")
    weights = _trained_network(read_network(bundle.file(KERAS_FILE)), model).get_weights()
    if [weight.shape for weight in weights] != [tuple(weight.shape) for weight in network.weights]:
        raise DataError(f"--init {model}: the bundle has another architecture than {network.name!r}; give the --arch it was trained with")
    network.set_weights(weights)


def _trained_network(served: keras.Model, model: str) -> keras.Model:
    """Return the trained network, which the served model wraps with temperature and softmax."""
    inner = [layer for layer in served.layers if isinstance(layer, keras.Model)]
    if len(inner) != 1:
        raise ModelError(f"--init {model}: the model contains {len(inner)} networks, expected one; give a bundle made by ferstream train")
    return inner[0]
