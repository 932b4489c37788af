"""The temperature that a finished network gets.

Fitted to the faces with a clear majority alone, a network is too sure of the faces about which people disagree. It is
therefore fitted to the shares of the votes of all faces, and lowered from there only as far as the calibration error on
the clear faces asks for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ferstream.training.data.dataset import FaceSet
from ferstream.training.data.targets import NO_MAJORITY, majority, voted_shares
from ferstream.training.evaluation.calibration import fit_temperature, fit_temperature_to_shares, reliability, softmax

CLEAR_ERROR = 0.025
"""Highest calibration error on the faces with a majority, 0..1."""
_STEP = 0.99
_LOWEST = 0.2


def temperature_for(logits: npt.NDArray[np.floating], faces: FaceSet) -> float:
    """Return the temperature for the logits (N, 7) of ``faces``.

    Without votes it is fitted to the original labels. With votes it is fitted to their shares, then lowered in steps of a
    hundredth until the calibration error on the faces with a majority is at most ``CLEAR_ERROR``, or as low as it gets.
    """
    if faces.votes is None:
        return fit_temperature(logits, faces.labels)
    shares, usable = voted_shares(faces.votes)
    classes = majority(faces.votes)
    clear = classes != NO_MAJORITY
    if not usable.any() or not clear.any():
        return 1.0
    highest = fit_temperature_to_shares(logits[usable], shares[usable])
    candidates = [highest]
    while candidates[-1] * _STEP > _LOWEST:
        candidates.append(candidates[-1] * _STEP)
    errors = [reliability(softmax(logits[clear], temperature), classes[clear]).error for temperature in candidates]
    fits = [temperature for temperature, error in zip(candidates, errors, strict=True) if error <= CLEAR_ERROR]
    return fits[0] if fits else candidates[int(np.argmin(errors))]
