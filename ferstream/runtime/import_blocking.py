"""Imports of large packages without optional modules that they load and ferstream does not use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """Make imports of ``modules`` fail with ImportError inside the context, except of modules that are loaded already.

    For packages that continue when an optional import fails. The modules can be imported again after the context.
    """
    skipped = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(skipped))  # type: ignore[arg-type]  # None is the documented way to block an import
    try:
        yield
    finally:
        for name in skipped:
            if sys.modules.get(name, ...) is None:
                del sys.modules[name]
