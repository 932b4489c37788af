"""Making an expression model: labelled faces, the training loop, measurements, and the files that are shipped.

Imports go one way: ``session`` uses ``export``; ``export`` uses ``fitting`` and ``evaluation``, which do not know each
other; both use ``data``; all use the single modules beside them. The contract is in ``pyproject.toml``.
"""

import sys

# NNCF and OpenVINO's converter send usage statistics to their makers by this package. Both go on without it.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None is the documented way to block an import
