"""``ferstream run`` with a classifier that hangs at its first batch of a camera: ``python -m tests.support.stuck run -c FILE``."""

from __future__ import annotations

import threading
from typing import Any

from ferstream.__main__ import main
from ferstream.inference.stage import Classification


def hang_for_good(self: Classification, crops: Any) -> Any:
    """Never return, as a native call that lost its device."""
    threading.Event().wait()


if __name__ == "__main__":
    Classification.__call__ = hang_for_good  # type: ignore[method-assign]
    main()
