from __future__ import annotations

import sys

import pytest

from ferstream.errors import ModelError
from ferstream.training.optional_deps import require


def test_installed_libraries_pass() -> None:
    require("numpy", "json", command="ferstream export")


def test_a_missing_library_is_an_error_with_an_install_command() -> None:
    with pytest.raises(ModelError, match="ferstream export needs no_such_library, not installed here") as caught:
        require("numpy", "no_such_library", command="ferstream export")

    assert f"uv pip install --python {sys.executable} no_such_library" in str(caught.value).replace("'", "")
