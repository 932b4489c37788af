"""Import Keras without the notices that TensorFlow's C++ code writes to stderr."""

from __future__ import annotations

import os

from ferstream.training.quiet import quiet_libraries


def import_keras() -> None:
    """Import Keras and initialise its backend; what it prints is shown only when the import fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet_libraries():
        import keras

        keras.ops.convert_to_numpy(keras.ops.zeros(1))
