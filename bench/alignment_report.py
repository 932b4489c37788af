"""Where FER2013's faces lie, and what it does to live faces to be brought there: the numbers behind docs/adr/0009.

    python bench/alignment_report.py --fer2013 FER2013.CSV --model emotion-edge --figure docs/images/alignment.png VIDEO [VIDEO...]

1. Landmarks that YuNet finds in enlarged Training faces, and the canonical points that follow from them.
2. PublicTest faces sent through the live path (enlarged, detected, cut): accuracy of the naive box crop and of the alignment.
3. Labels on clips, first and last third, with naive box crops and with the alignment.
4. A figure of average faces: FER2013's own, and PublicTest's through the live path, aligned and naive.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.app.replay import camera_name
from ferstream.capture.recording import FileSource
from ferstream.detection.detector import Detector, DetectorLimits
from ferstream.detection.factory import load_detector
from ferstream.domain.emotion import LABELS
from ferstream.domain.face import Box, Face
from ferstream.domain.frame import Luma
from ferstream.inference.alignment import CANONICAL, align
from ferstream.inference.backends import open_classifier
from ferstream.inference.bundle import load_bundle
from ferstream.inference.classifier import Classifier
from ferstream.runtime.counters import Counters
from ferstream.training.data.dataset import FaceSet
from ferstream.training.data.readers import read_faces
from ferstream.training.evaluation.evaluate import true_classes

Crop = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

ENLARGE = 4
BORDER_PX = 32
SIDE_PX = 48 * ENLARGE + 2 * BORDER_PX


@dataclass
class Cuts:
    """Crops of the same faces by both ways, in order of time."""

    aligned: list[Crop] = field(default_factory=list)
    naive: list[Crop] = field(default_factory=list)

    def add(self, luma: Luma, face: Face) -> None:
        self.aligned.append(align(luma, face.landmarks))
        self.naive.append(naive_crop(luma, face.box))


def naive_crop(luma: Luma, box: Box) -> Crop:
    """What most programs do: the detector's box, resized to 48x48 whatever its shape."""
    top, left = max(0, int(box.y)), max(0, int(box.x))
    region = luma.plane[top : int(box.y + box.h) + 1, left : int(box.x + box.w) + 1]
    crop = np.asarray(cv2.resize(region, (48, 48), interpolation=cv2.INTER_AREA), np.float32)
    if luma.limited:
        crop = (crop - 16) * (255 / 219)
    return np.clip(np.rint(crop), 0, 255).astype(np.uint8)


def enlarged(face: Crop) -> Crop:
    """A FER2013 face as a detector wants it: four times as large, its edge repeated around."""
    large = cv2.resize(face, None, fx=ENLARGE, fy=ENLARGE, interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.copyMakeBorder(large, BORDER_PX, BORDER_PX, BORDER_PX, BORDER_PX, cv2.BORDER_REPLICATE), np.uint8)


def best_face(detector: Detector, face: Crop) -> tuple[Crop, Face | None]:
    """The enlarged picture and its surest face."""
    grey = enlarged(face)
    found = detector.detect(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR).astype(np.uint8), width=SIDE_PX, height=SIDE_PX)
    return grey, found[0] if found else None


def landmarks_of(detector: Detector, faces: Crop) -> Points:
    """(n, 5, 2) landmarks in 48x48 pixels, of the faces that are found."""
    rows = [found.landmarks for _, found in (best_face(detector, face) for face in faces) if found is not None]
    return (np.array(rows) - BORDER_PX + 0.5) / ENLARGE - 0.5


def canonical_points(landmarks: Points) -> Points:
    """Procrustes mean of the shapes and their mirror images, at their geometric mean size and median height."""
    mirrored = landmarks[:, [1, 0, 2, 4, 3]] * [-1, 1] + [47, 0]
    both = np.concatenate([landmarks, mirrored])
    shapes = both[..., 0] + 1j * both[..., 1]
    centres = shapes.mean(axis=1)
    centred = shapes - centres[:, None]
    sizes = np.sqrt((np.abs(centred) ** 2).mean(axis=1))
    mean = centred.mean(axis=0)
    for _ in range(20):
        turns = (centred.conj() * mean).sum(axis=1)
        mean = (centred / sizes[:, None] * (turns / np.abs(turns))[:, None]).mean(axis=0)
        mean /= np.sqrt((np.abs(mean) ** 2).mean())
    placed = mean * np.exp(np.log(sizes).mean()) + 23.5 + 1j * np.median(centres.imag)
    return np.column_stack([placed.real, placed.imag])


def report_landmarks(detector: Detector, faces: Crop) -> None:
    landmarks = landmarks_of(detector, faces)
    canonical = canonical_points(landmarks)
    print(f"\n{len(landmarks)} of {len(faces)} Training faces found ({len(landmarks) / len(faces):.1%})\n")
    print("| point | mean x, y | standard deviation | measured canonical | CANONICAL |\n|---|---|---|---|---|")
    for i, name in enumerate(("right eye", "left eye", "nose", "right mouth corner", "left mouth corner")):
        mean, spread = landmarks[:, i].mean(axis=0), landmarks[:, i].std(axis=0)
        cells = [f"{x:.1f}, {y:.1f}" for x, y in (mean, spread, canonical[i], CANONICAL[i])]
        print(f"| {name} | {' | '.join(cells)} |")


def report_public_test(detector: Detector, faces: FaceSet, classifier: Classifier) -> Cuts:
    """Accuracy of the same labelled faces as they are, cut naively, and aligned."""
    cuts, kept = Cuts(), []
    for index, face in enumerate(faces.pixels):
        grey, found = best_face(detector, face)
        if found is not None:
            cuts.add(Luma(grey, limited=False), found)
            kept.append(index)
    truth = true_classes(faces, "ferplus")[kept]
    print(
        f"\n{len(kept)} of {len(faces)} PublicTest faces through the live path\n\n| crop | FER+ majority | original labels |\n|---|---|---|"
    )
    for name, crops in (("the FER2013 picture itself", faces.pixels[kept]), ("naive box", cuts.naive), ("aligned", cuts.aligned)):
        best = classifier.classify(np.stack(list(crops))).argmax(axis=1)
        by_votes, by_label = (best == truth)[truth >= 0].mean(), (best == faces.labels[kept]).mean()
        print(f"| {name} | {by_votes:.1%} | {by_label:.1%} |", flush=True)
    return cuts


def cuts_of(video: Path, detector: Detector) -> Cuts:
    """Both crops of the surest face of each frame."""
    source, cuts = FileSource(path=video, camera=camera_name(video), observer=Counters()), Cuts()
    source.open()
    for frame in source.frames():
        faces = detector.detect(frame.detection_image, width=frame.info.width, height=frame.info.height)
        if faces:
            cuts.add(frame.luma, faces[0])
    source.close()
    return cuts


def shares(classifier: Classifier, crops: list[Crop]) -> str:
    """The labels of some crops, most frequent first."""
    if not crops:
        return "-"
    best = Counter(LABELS[i] for i in classifier.classify(np.stack(crops)).argmax(axis=1))
    return ", ".join(f"{label} {count / len(crops):.0%}" for label, count in best.most_common(3))


def report_clips(clips: dict[str, Cuts], classifier: Classifier) -> None:
    print("\n| clip | faces | crop | first third | last third |\n|---|---|---|---|---|")
    for name, cuts in clips.items():
        for way, crops in (("naive box", cuts.naive), ("aligned", cuts.aligned)):
            third = max(1, len(crops) // 3)
            print(
                f"| {name} | {len(crops)} | {way} | {shares(classifier, crops[:third])} | {shares(classifier, crops[-third:])} |",
                flush=True,
            )


def draw(fer: Crop, cuts: Cuts, path: Path) -> None:
    """Average faces with the canonical points on them; many people's, so that nobody's shows."""
    from matplotlib.figure import Figure

    count = len(cuts.aligned)
    panels: list[tuple[str, Any]] = [
        (f"FER2013 Training\nmean of {len(fer):,}", fer),
        (f"the live path, aligned\nmean of {count:,} others", np.stack(cuts.aligned)),
        (f"the live path, naive box\nmean of {count:,} others", np.stack(cuts.naive)),
    ]
    figure = Figure(figsize=(2.9 * len(panels), 3.3), dpi=130, layout="constrained")
    points = np.array(CANONICAL)
    for index, (title, crops) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), index + 1)
        axes.imshow(crops.mean(axis=0), cmap="gray")
        axes.plot(points[:, 0], points[:, 1], "+", color="#e8710a", markersize=11, markeredgewidth=2)
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight")
    print(f"\nfigure: {path}")


def main() -> None:
    """Read the command line and print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--fer2013", type=Path)
    parser.add_argument("--model", default="emotion-edge")
    parser.add_argument("--faces", type=int, default=3000, help="most faces of each split; 0 = all")
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    weights = load_detector()
    classifier = open_classifier(load_bundle(given.model), backend="openvino")
    if given.fer2013:
        known, most = read_faces(given.fer2013, want_votes=True), given.faces or None
        fer = known.of_usage("Training").pixels
        close_up = weights.new_detector(DetectorLimits(min_face_px=48))
        report_landmarks(close_up, np.unique(fer, axis=0)[:: max(1, len(fer) // most)] if most else fer)
        cuts = report_public_test(
            close_up, known.of_usage("PublicTest").where(np.arange(len(known.of_usage("PublicTest")))[:most]), classifier
        )
        if given.figure:
            draw(fer, cuts, given.figure)
    live = weights.new_detector(DetectorLimits(min_face_px=24))
    clips = {video.name: cuts_of(video, live) for video in given.videos}
    if clips:
        report_clips(clips, classifier)


if __name__ == "__main__":
    main()
