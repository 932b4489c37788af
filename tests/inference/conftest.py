"""Bundles shared by the tests of inference."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferstream.inference.bundle import Bundle
from tests.support.bundles import tiny_openvino_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny_openvino_bundle(tmp_path / "models", name="emotion-tiny")
