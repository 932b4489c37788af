"""``ferstream run`` with a classifier that hangs or fails: ``python -m tests.support.stuck [fail] run -c FILE``."""

from __future__ import annotations

import sys
import threading
from typing import Any

from ferstream.__main__ import main
from ferstream.errors import ModelError
from ferstream.inference.stage import Classification


def hang_for_good(self: Classification, crops: Any) -> Any:
    """Never return, as a native call that lost its device."""
    threading.Event().wait()


def fail(self: Classification, crops: Any) -> Any:
    """Fail at every batch, as a device that went away."""
    raise ModelError("OpenVINO failed: device lost")


if __name__ == "__main__":
    fails = sys.argv[1] == "fail"
    if fails:
        del sys.argv[1]
    Classification.__call__ = fail if fails else hang_for_good  # type: ignore[method-assign]
    main()
