"""What a way of smoothing does to the labels of the hand-labelled spans: wrong frames, changes, lag. No pictures are needed.

A *smoother* is a function from the media times and probabilities of a track to its labels; probabilities are NaN where a
frame must not count. Used by ``bench/smoothing.py`` and its test.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from smoothing_data import Faces

from ferstream.domain.emotion import LABELS
from ferstream.labelling.evidence import NS_PER_S, EvidenceLimits, LabelFilter, most_probable

LABELS_FILE = Path(__file__).parent / "smoothing_labels.csv"
NEVER_S = math.inf
BEFORE_S, AFTER_S, LATER_S = 2.0, 1.5, 0.4
"""A joined change: so much of the old face, so much of the new one; the new one starts at three times that are so far apart."""

Times = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]
Smoother = Callable[[Times, Probabilities], list[str]]


@dataclass(frozen=True, slots=True)
class Span:
    """A face for some time, as labelled by eye.

    Attributes:
        clip: Name of the file.
        left: The middle of the face lies right of this share of the picture's width,
        right: and left of this one.
        from_s: First media time in seconds.
        to_s: Last media time in seconds.
        steady: Whether the expression stays the same.
        labels: Labels that are right; none where people would not agree.
    """

    clip: str
    left: float
    right: float
    from_s: float
    to_s: float
    steady: bool
    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A span and the track of its face: all times (n,) in ns, and probabilities (n, 7), NaN where the face was not usable."""

    span: Span
    track: tuple[str, int]
    times: Times
    probabilities: Probabilities

    def inside(self) -> npt.NDArray[np.intp]:
        """Positions of the usable faces in the span."""
        seconds = self.times / NS_PER_S
        within = (seconds >= self.span.from_s - 1e-6) & (seconds <= self.span.to_s + 1e-6)
        return np.flatnonzero(within & ~np.isnan(self.probabilities[:, 0]))


@dataclass(slots=True)
class Scores:
    """What a smoother does.

    Attributes:
        frames: Frames with a right label.
        wrong: Those that got another one.
        steady_frames: Frames of steady faces.
        steady_s: Seconds of steady faces.
        changes: Changes of the label on steady faces.
        lags_s: Seconds from each real change until a right label is shown.
        joined_s: The same for changes that were made by joining two spans.
    """

    frames: int = 0
    wrong: int = 0
    steady_frames: int = 0
    steady_s: float = 0.0
    changes: int = 0
    lags_s: list[float] = field(default_factory=list)
    joined_s: list[float] = field(default_factory=list)

    @property
    def stability(self) -> float:
        """Label changes per 100 frames of a face whose expression is steady."""
        return 100 * self.changes / self.steady_frames

    @property
    def changes_in_10_s(self) -> float:
        """Label changes in 10 seconds of a face whose expression is steady."""
        return 10 * self.changes / self.steady_s


def read_spans(file: Path = LABELS_FILE) -> list[Span]:
    """The hand-made labels."""
    with file.open(newline="") as text:
        return [
            Span(
                clip=row["clip"],
                left=float(row["face_left"]),
                right=float(row["face_right"]),
                from_s=float(row["from_s"]),
                to_s=float(row["to_s"]),
                steady=row["steady"] == "yes",
                labels=frozenset(row["labels"].split("|")) - {""},
            )
            for row in csv.DictReader(text)
        ]


def with_tracks(spans: Sequence[Span], faces: Mapping[str, Faces], *, jittered: bool = False) -> list[Labelled]:
    """Find the track of each span: the one with the most faces in it."""
    found = []
    for span in spans:
        clip = faces[span.clip]
        seconds = clip.media_time_ns / NS_PER_S
        inside = (seconds >= span.from_s) & (seconds <= span.to_s) & (clip.centre[:, 0] >= span.left) & (clip.centre[:, 0] <= span.right)
        track = Counter(clip.track[inside].tolist()).most_common(1)[0][0]
        usable = clip.classified & (clip.abstained == "")
        given = np.where(usable[:, None], clip.jittered if jittered else clip.probabilities, np.nan)
        mine = clip.track == track
        found.append(Labelled(span, (span.clip, track), clip.media_time_ns[mine], given[mine]))
    return found


def measured(smoother: Smoother, spans: Sequence[Labelled]) -> Scores:
    """Smooth all tracks, and compare with the labels."""
    scores = Scores()
    shown = {span.track: smoother(span.times, span.probabilities) for span in spans}
    for labelled in spans:
        labels, inside = shown[labelled.track], labelled.inside()
        if labelled.span.labels:
            scores.frames += len(inside)
            scores.wrong += sum(labels[i] not in labelled.span.labels for i in inside)
        if labelled.span.steady:
            scores.steady_frames += len(inside)
            scores.steady_s += float(labelled.times[inside[-1]] - labelled.times[inside[0]]) / NS_PER_S
            scores.changes += sum(labels[i] != labels[j] for i, j in pairwise(inside))
    for before, after in pairwise(spans):
        if before.track == after.track and after.span.labels and not before.span.labels & after.span.labels:
            scores.lags_s.append(lag_s(after.times, shown[after.track], after.span.labels, round(after.span.from_s * NS_PER_S)))
    scores.joined_s = [lag for pair in joined(spans) for lag in [lag_of(pair, smoother)]]
    return scores


def lag_s(times: Times, labels: Sequence[str], right: frozenset[str], changed_ns: int) -> float:
    """Seconds from a change until a right label is shown."""
    return next(
        (float(at - changed_ns) / NS_PER_S for at, label in zip(times, labels, strict=True) if at >= changed_ns and label in right), NEVER_S
    )


@dataclass(frozen=True, slots=True)
class Joined:
    """The end of one span followed by a part of another one, as if a face had changed its expression from one frame to the next."""

    times: Times
    probabilities: Probabilities
    changed_ns: int
    right: frozenset[str]


def joined(spans: Sequence[Labelled]) -> Iterator[Joined]:
    """All pairs of steady spans with one label each, where the new face's first frames alone are right."""
    clear = [labelled for labelled in spans if labelled.span.steady and len(labelled.span.labels) == 1]
    for before, after, part in product(clear, clear, range(3)):
        if before.span.labels & after.span.labels:
            continue
        old = before.inside()
        old = old[before.times[old] > before.times[old[-1]] - BEFORE_S * NS_PER_S]
        new = after.inside()
        first_ns = round((after.span.from_s + part * LATER_S) * NS_PER_S)
        new = new[(after.times[new] >= first_ns) & (after.times[new] <= first_ns + AFTER_S * NS_PER_S)]
        if len(new) < 10 or not all(LABELS[most_probable(row)] in after.span.labels for row in after.probabilities[new]):
            continue
        step_ns = int(after.times[new[1]] - after.times[new[0]])
        changed_ns = int(before.times[old[-1]]) + step_ns
        times = np.concatenate([before.times[old], after.times[new] - after.times[new[0]] + changed_ns])
        yield Joined(times, np.concatenate([before.probabilities[old], after.probabilities[new]]), changed_ns, after.span.labels)


def lag_of(change: Joined, smoother: Smoother) -> float:
    """Seconds until the new label is shown."""
    return lag_s(change.times, smoother(change.times, change.probabilities), change.right, change.changed_ns)


def spoken(*, vowel_s: float = 0.14, pause_s: float = 0.2, seconds: float = 20.0, fps: float = 25.0) -> tuple[Times, Probabilities]:
    """A made-up neutral face that speaks: for each vowel its frames look surprised, with probabilities of 0.45 to 0.95."""
    drawn = np.random.default_rng(3)
    times = np.arange(round(seconds * fps)) / fps
    rows, is_vowel, next_s = [], False, 0.5
    for at in times:
        if at >= next_s:
            is_vowel = not is_vowel
            next_s = at + (vowel_s if is_vowel else pause_s) * drawn.uniform(0.6, 1.5)
        sure = float(np.clip(drawn.normal(0.75, 0.1), 0.45, 0.95))
        row = np.full(len(LABELS), (1 - sure) / 8)
        row[LABELS.index("surprise" if is_vowel else "neutral")] = sure
        row[LABELS.index("neutral" if is_vowel else "surprise")] = (1 - sure) * 3 / 8
        rows.append(row / row.sum())
    return np.round(times * NS_PER_S).astype(np.int64), np.stack(rows)


def frame_by_frame(times: Times, probabilities: Probabilities) -> list[str]:
    """No smoothing; a frame that does not count keeps the label before it."""
    return by_evidence(EvidenceLimits(smoothing_s=0))(times, probabilities)


def by_evidence(limits: EvidenceLimits) -> Smoother:
    """The product's own filter."""

    def smoothed(times: Times, probabilities: Probabilities) -> list[str]:
        labels, state = [], None
        for at, row in zip(times.tolist(), probabilities.tolist(), strict=True):
            if not math.isnan(row[0]):
                if state is None:
                    state = LabelFilter(limits, row, at)
                else:
                    state.update(row, at)
            labels.append("" if state is None else LABELS[state.label])
        return labels

    return smoothed


def by_average(time_constant_s: float, margin: float) -> Smoother:
    """An exponential average and a margin: what 1.0.0 did, with 0.5 s and 0.05."""

    def smoothed(times: Times, probabilities: Probabilities) -> list[str]:
        labels: list[str] = []
        average, shown, last = None, 0, 0
        for at, row in zip(times.tolist(), probabilities, strict=True):
            if not math.isnan(row[0]):
                weight = 1.0 if average is None else -math.expm1((last - at) / (time_constant_s * NS_PER_S))
                average = row if average is None else average + weight * (row - average)
                best, last = most_probable(average), at
                if not any(labels) or average[best] - average[shown] >= margin:
                    shown = best
            labels.append("" if average is None else LABELS[shown])
        return labels

    return smoothed
