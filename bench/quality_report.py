"""What the quality gates measure on real clips: the numbers behind docs/adr/0020.

    python bench/quality_report.py VIDEO [VIDEO...] [--score 0.7] [--width 640]

For each clip: percentiles of |yaw|, pitch, geometric size and sharpness over all detections, and how
many faces each reason abstains. The landmarks and crops are those of the pipeline itself.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from ferstream.app.replay import camera_name
from ferstream.capture.options import FrameOptions
from ferstream.capture.recording import FileSource
from ferstream.detection.detector import DetectorLimits, DetectorModel
from ferstream.detection.factory import load_detector
from ferstream.detection.pose import estimate_pose
from ferstream.detection.quality import QualityGate, sharpness
from ferstream.inference.alignment import align_with_matrix
from ferstream.runtime.counters import Counters

MEASURES = ("|yaw|", "pitch", "size", "sharp")
PERCENTILES = (0, 5, 50, 95, 100)


def measured(
    video: Path, model: DetectorModel, score: float, width: int
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float64]], Counter[str]]:
    """One row of MEASURES a face, and the count of each reason."""
    source = FileSource(path=video, camera=camera_name(video), observer=Counters(), options=FrameOptions(width=width))
    source.open()
    detector, gate = model.new_detector(DetectorLimits(score=score, min_face_px=16)), QualityGate()
    rows, reasons = [], Counter[str]()
    for frame in source.frames():
        size = (frame.info.width, frame.info.height)
        for face in detector.detect(frame.detection_image, width=size[0], height=size[1]):
            pose, crop = estimate_pose(face.landmarks), align_with_matrix(frame.luma, face.landmarks)[0]
            rows.append((abs(pose.yaw), pose.pitch, pose.size_px, sharpness(crop)))
            reasons[str(gate.abstain_reason(face, pose, crop, width=size[0], height=size[1]) or "labelled")] += 1
    source.close()
    return np.array(rows).reshape(-1, len(MEASURES)), reasons


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--score", type=float, default=0.7)
    parser.add_argument("--width", type=int, default=640)
    given = parser.parse_args()
    model = load_detector()
    print(f"| clip | faces | {' | '.join(f'{name} min 5% 50% 95% max' for name in MEASURES)} | verdicts |")
    print("|---" * (len(MEASURES) + 3) + "|")
    for video in given.videos:
        rows, reasons = measured(video, model, given.score, given.width)
        cells = (
            [
                " ".join(f"{value:.2f}" if name == "sharp" else f"{value:.0f}" for value in np.percentile(rows[:, i], PERCENTILES))
                for i, name in enumerate(MEASURES)
            ]
            if len(rows)
            else ["-"] * len(MEASURES)
        )
        said = ", ".join(f"{name} {count}" for name, count in sorted(reasons.items())) or "-"
        print(f"| {video.name} | {len(rows)} | {' | '.join(cells)} | {said} |", flush=True)


if __name__ == "__main__":
    main()
