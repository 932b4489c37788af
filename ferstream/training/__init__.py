"""Making an expression model: labelled faces, the training loop, measurements, and the files that are shipped.

Imports go one way: ``session`` uses ``export``; ``export`` uses ``fitting`` and ``evaluation``, which do not know each
other; both use ``data``; all use the single modules beside them. The contract is in ``pyproject.toml``.
"""
