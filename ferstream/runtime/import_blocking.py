"""Importing a large package without the optional parts it loads for convenience."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """Make imports of ``modules`` fail with ImportError while inside, unless they are loaded already.

    For packages that try an optional import and go on without it. What is skipped can still be
    imported by itself later.
    """
    skipped = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(skipped))  # type: ignore[arg-type]  # None is the documented way to block an import
    try:
        yield
    finally:
        for name in skipped:
            if sys.modules.get(name, ...) is None:
                del sys.modules[name]
