"""``ferstream run`` with a classifier that hangs or fails: ``python -m tests.support.stuck [fail] run -c FILE``."""

from __future__ import annotations

import sys
import threading
from typing import Any

from ferstream.__main__ import main
from ferstream.errors import ModelError
from ferstream.inference.batch_classifier import BatchClassifier


def hang_for_good(self: BatchClassifier, crops: Any) -> Any:
    """Never return, like a native call whose device was lost."""
    threading.Event().wait()


def fail(self: BatchClassifier, crops: Any) -> Any:
    """Fail at every batch, like a device that was removed."""
    raise ModelError("OpenVINO failed: device lost")


if __name__ == "__main__":
    fails = sys.argv[1] == "fail"
    if fails:
        del sys.argv[1]
    BatchClassifier.__call__ = fail if fails else hang_for_good  # type: ignore[method-assign]
    main()
