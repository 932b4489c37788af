"""Import Keras without the notices that TensorFlow's C++ code writes to stderr."""

from __future__ import annotations

import os
import sys
import tempfile


def import_keras() -> None:
    """Import Keras and initialise its backend.

    The process's stderr (file descriptor 2) goes to a temporary file meanwhile; its text is written to the real stderr
    only when the import fails.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as notices:
        os.dup2(notices.fileno(), 2)
        failed = True
        try:
            import keras

            keras.ops.convert_to_numpy(keras.ops.zeros(1))
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            if failed:
                notices.seek(0)
                sys.stderr.write(notices.read().decode(errors="replace"))
