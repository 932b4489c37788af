"""Small inputs that went wrong elsewhere, in a folder beside the checkout; tests that need them skip where it is absent."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "cases"


def case(name: str) -> Path:
    """Return the path of a case, or skip the test."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"the case {name} is not beside this checkout")
    return path
