from __future__ import annotations

import sys

import pytest

from ferstream.errors import ModelError
from ferstream.training.optional_deps import install_command, require


def test_installed_libraries_pass() -> None:
    require("numpy", "json", command="ferstream export")


def test_a_missing_library_is_an_error_with_an_install_command() -> None:
    with pytest.raises(ModelError, match="ferstream export needs no_such_library, not installed here") as caught:
        require("numpy", "no_such_library", command="ferstream export")

    assert f"uv pip install --python {sys.executable} 'no_such_library'" in str(caught.value)


def test_the_install_command_has_the_versions_of_the_extra() -> None:
    command = install_command(["onnxruntime", "keras"])

    assert "'onnxruntime>=1.22'" in command
    assert "'keras<4,>=3.12'" in command
    assert "ferstream[" not in command
