"""Imports without optional modules."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ferstream.runtime.import_blocking import without


def test_a_module_cannot_be_imported_inside_the_context_only() -> None:
    sys.modules.pop("colorsys", None)
    with without("colorsys"), pytest.raises(ImportError):
        import colorsys
    import colorsys

    assert colorsys.rgb_to_hsv(0, 0, 0) == (0, 0, 0)


def test_a_loaded_module_stays_importable() -> None:
    import json

    with without("json"):
        assert sys.modules["json"] is json


def test_the_daemon_does_not_load_the_model_converters() -> None:
    code = (
        "import sys, ferstream.app.daemon as d; "
        "heavy = {'openvino.tools.ovc', 'tensorflow', 'keras', 'nncf', 'matplotlib.pyplot'} & set(sys.modules); "
        "assert not heavy, heavy; import openvino; from openvino.tools.ovc import convert_model"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)
