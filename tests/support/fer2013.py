"""FER2013's PublicTest as it lies beside the checkout, read by the loader that comes with it."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest

from ferstream.training.data.dataset import USAGES, FaceSet


def public_test(shared: Path) -> FaceSet:
    """Return the faces of PublicTest without the broken pictures; skip where the set is absent."""
    folder = shared / "data" / "fer2013"
    if not (folder / "load_fer2013.py").is_file():
        pytest.skip("../shared/data/fer2013 is not on this machine")
    spec = importlib.util.spec_from_file_location("load_fer2013", folder / "load_fer2013.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the loader leaves the closing of its file to Python
        data = module.load(str(folder))
    rows = (data["usage"] == USAGES.index("PublicTest")) & (data["lossy"] == 0)
    return FaceSet(
        pixels=data["pixels"][rows],
        labels=data["label"][rows].astype(np.int64),
        usages=np.full(int(rows.sum()), "PublicTest"),
        rows=data["row"][rows].astype(np.int64),
        votes=data["ferplus_votes_labelcsv"][rows].astype(np.int64),
        source="PublicTest",
    )
