"""Fit the network of the quality checks on drawn faults, and print what its limits cost and catch.

    python scripts/fit_visibility.py --data fer2013.csv --out ferstream/detection/visibility.npz

It is fitted on the first 20,000 Training faces without faults. The table is about the next 4,000, which it has not seen;
they, and not a test set, choose the limits of ``QualityLimits``. Five minutes on one core. The same data and seed give the same file.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferstream.detection.quality import QualityLimits
from ferstream.detection.visibility import FAULTS, Visibility
from ferstream.training.data import conditions
from ferstream.training.data.readers import read_faces
from ferstream.training.data.selection import select
from ferstream.training.fitting.visibility import draw_examples, fit, save

CHOOSING = 4000
LIMITS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.8, 0.85, 0.9)

Draw = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]
DRAWN: tuple[tuple[str, str, Draw], ...] = (
    ("blurred", "clean", lambda face, _: face),
    ("blurred", "soft 0.8", lambda face, _: conditions.defocus(face, 0.8)),
    ("blurred", "moved 4", lambda face, random: conditions.motion_blur(face, 4, random.uniform(0, 180))),
    ("blurred", "moved 8", lambda face, random: conditions.motion_blur(face, 8, random.uniform(0, 180))),
    ("occluded", "clean", lambda face, _: face),
    ("occluded", "spectacles", conditions.spectacles),
    ("occluded", "mask", conditions.mask),
    ("occluded", "hand", conditions.hand),
    ("occluded", "sunglasses", conditions.sunglasses),
    ("dark", "clean", lambda face, _: face),
    ("dark", "noise 10", lambda face, random: conditions.noise(face, 10, random)),
    ("dark", "noise 30", lambda face, random: conditions.noise(face, 30, random)),
    ("dark", "light 0.06", lambda face, random: conditions.noise(conditions.light(face, gain=0.06), 2, random)),
)


def report(network: Visibility, faces: NDArray[np.uint8]) -> None:
    """Print the share of drawn faces above each limit."""
    print(f"| reason | drawn | {' | '.join(map(str, LIMITS))} |")
    print("|---" * (len(LIMITS) + 2) + "|")
    for fault, name, draw in DRAWN:
        of_fault = FAULTS.index(fault)
        found = np.array([network.faults(draw(face, np.random.default_rng(row)))[of_fault] for row, face in enumerate(faces)])
        print(f"| {fault} | {name} | {' | '.join(f'{100 * (found > limit).mean():.1f}' for limit in LIMITS)} |", flush=True)


def main() -> None:
    """Read the command line, fit, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="fer2013.csv with fer2013new.csv beside it, or a folder of images")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    pixels = select(read_faces(given.data, want_votes=True)).training.pixels
    network = fit(*draw_examples(pixels[: given.faces], rounds=given.rounds, seed=1))
    save(network, given.out)
    limits = QualityLimits()
    print(f"limits: blurred {limits.max_moved}, occluded {limits.max_covered}, dark {limits.max_dark}; % of faces above a limit:")
    report(network, pixels[given.faces : given.faces + CHOOSING])


if __name__ == "__main__":
    main()
