"""Training and export send nothing to the makers of the libraries."""

from __future__ import annotations

import subprocess
import sys


def test_neither_nncf_nor_the_converter_of_openvino_can_send_usage_statistics() -> None:
    code = (
        "import ferstream.training.export.convert, sys, nncf.telemetry.wrapper as nncf, openvino.tools.ovc.telemetry_utils as ovc\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
        "assert isinstance(nncf.telemetry, nncf.NNCFTelemetryStub), nncf.telemetry\n"
        "assert ovc.tm.__name__ == 'openvino.tools.ovc.telemetry_stub', ovc.tm\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
