"""The smoothed label of a track: the one that its last frames support together (``evidence``).

Its confidence is the average of its probabilities over media time. A cut in the picture, a jump of the track, or some
time without a usable face end the evidence: the old label must not be shown for another face. Called by the inference thread.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ferstream.domain.emotion import LABELS, UNKNOWN, Abstained, Emotion, Verdict
from ferstream.domain.event import FaceEvent, LabelledFrame, TrackChange, TrackEvent
from ferstream.domain.face import Face
from ferstream.domain.frame import FrameInfo
from ferstream.domain.track import Track, TrackedFace, TrackedFrame
from ferstream.labelling.evidence import NS_PER_S, EvidenceLimits, LabelFilter, most_probable

_NO_VERDICT = Verdict(UNKNOWN, 0.0)
Probabilities = Sequence[float]


@dataclass(slots=True)
class _History:
    """State of one track that has not ended.

    Attributes:
        evidence: Decides the label; None before the first classified face of good quality, and after it is too old.
        average: Averaged probabilities in LABELS order, for the confidence of the label.
        classified_ns: Media time of the last face in ``evidence``.
        smoothed: Smoothed label of the last frame.
        label_counts: Number of frames per smoothed label.
        last: The face and its labels in the last frame.
    """

    evidence: LabelFilter | None = None
    average: list[float] = field(default_factory=list)
    classified_ns: int = 0
    smoothed: Verdict = _NO_VERDICT
    label_counts: Counter[str] = field(default_factory=Counter)
    last: tuple[Face, Emotion] | None = None


class SmoothingLabeller:
    """Labels the faces and tracks of one camera; see ``Labeller``."""

    def __init__(self, *, limits: EvidenceLimits | None = None, min_confidence: float = 0.0, hold_s: float = 0.5) -> None:
        """Start with no tracks.

        Args:
            limits: How much evidence a change of the smoothed label needs; None for the defaults.
            min_confidence: Lowest probability, 0..1, of a label of a face or track; below it the label is ``unknown``.
            hold_s: Seconds of media time without a classified face of good quality after which the smoothed label is ``unknown``.

        Raises:
            ValueError: A value is outside its range.
        """
        limits = limits or EvidenceLimits()
        if limits.smoothing_s < 0 or hold_s < 0 or not 0 <= min_confidence <= 1 or not 0 <= limits.switch_margin <= 1:
            raise ValueError("smoothing_s and hold_s must be >= 0, min_confidence and switch_margin within 0..1")
        self._limits = limits
        self._hold_ns = round(hold_s * NS_PER_S)
        self._min_confidence = min_confidence
        self._histories: dict[str, _History] = {}

    @property
    def tracks(self) -> int:
        """Number of tracks that have not ended."""
        return len(self._histories)

    def label(self, frame: TrackedFrame, probabilities: Sequence[Probabilities | None]) -> LabelledFrame:
        """Label every face of the next frame; see ``Labeller.label``.

        Raises:
            ValueError: There is not one entry per face, or an entry does not have seven values.
        """
        if len(probabilities) != len(frame.faces):
            raise ValueError(f"expected probabilities of {len(frame.faces)} faces, got {len(probabilities)}")
        faces: list[FaceEvent] = []
        changes: list[TrackEvent] = []
        for tracked, of_face in zip(frame.faces, probabilities, strict=True):
            history = self._histories.get(tracked.track.id)
            if history is not None and (frame.cut or tracked.jumped):
                history.evidence = None
            event, change = self._observe(frame.info, tracked, of_face)
            faces.append(event)
            changes.extend(change)
        for track in frame.ended:
            self._end(frame.info, track, faces, changes)
        return LabelledFrame(info=frame.info, faces=tuple(faces), changes=tuple(changes))

    def _observe(self, info: FrameInfo, tracked: TrackedFace, given: Probabilities | None) -> tuple[FaceEvent, list[TrackEvent]]:
        track = tracked.track
        history = self._histories.get(track.id)
        is_new = history is None
        if history is None:
            history = self._histories[track.id] = _History()
        before = history.smoothed.label
        emotion = self._emotion(history, info.media_time_ns, tracked.face.abstained, given)
        history.label_counts[history.smoothed.label] += 1
        history.last = (tracked.face.face, emotion)
        event = FaceEvent(info=info, track=track, face=tracked.face.face, emotion=emotion)
        return event, _changes(info, track, history, before, is_new=is_new)

    def _emotion(self, history: _History, now_ns: int, abstained: Abstained | None, given: Probabilities | None) -> Emotion:
        verdict = _NO_VERDICT if given is None else _best(given)
        if given is not None and abstained is None:
            self._add_evidence(history, now_ns, given)
            if verdict.confidence < self._min_confidence:
                abstained = Abstained.LOW_CONFIDENCE
        history.smoothed = self._smoothed(history, now_ns)
        if given is None or abstained is not None:
            verdict = Verdict(UNKNOWN, verdict.confidence)
        return Emotion(verdict, history.smoothed, None if given is None else tuple(map(float, given)), abstained)

    def _add_evidence(self, history: _History, now_ns: int, given: Probabilities) -> None:
        if history.evidence is None or self._is_too_old(history, now_ns):
            history.evidence = LabelFilter(self._limits, given, now_ns)
            history.average = list(map(float, given))
        else:
            history.evidence.update(given, now_ns)
            old_share = self._old_share(now_ns - history.classified_ns)
            history.average = [old_share * old + (1 - old_share) * new for old, new in zip(history.average, given, strict=True)]
        history.classified_ns = now_ns

    def _old_share(self, elapsed_ns: int) -> float:
        """Return the weight, 0..1, of an average after some time."""
        smoothing_ns = self._limits.smoothing_s * NS_PER_S
        return math.exp(-elapsed_ns / smoothing_ns) if smoothing_ns > 0 else 0.0

    def _smoothed(self, history: _History, now_ns: int) -> Verdict:
        if history.evidence is None or self._is_too_old(history, now_ns):
            return _NO_VERDICT
        label = history.evidence.label
        confidence = history.average[label]
        return Verdict(LABELS[label] if confidence >= self._min_confidence else UNKNOWN, confidence)

    def _is_too_old(self, history: _History, now_ns: int) -> bool:
        return now_ns - history.classified_ns > self._hold_ns

    def _end(self, info: FrameInfo, track: Track, faces: list[FaceEvent], changes: list[TrackEvent]) -> None:
        history = self._histories.pop(track.id, None)
        if history is None or history.last is None:
            return
        face, emotion = history.last
        faces.append(FaceEvent(info=info, track=track, face=face, emotion=emotion))
        changes.append(_change(info, track, TrackChange.LEFT, history, None))


def _best(probabilities: Probabilities) -> Verdict:
    if len(probabilities) != len(LABELS):
        raise ValueError(f"expected {len(LABELS)} probabilities, got {len(probabilities)}")
    index = most_probable(probabilities)
    return Verdict(LABELS[index], float(probabilities[index]))


def _changes(info: FrameInfo, track: Track, history: _History, before: str, *, is_new: bool) -> list[TrackEvent]:
    if is_new:
        return [_change(info, track, TrackChange.APPEARED, history, None)]
    if history.smoothed.label != before:
        return [_change(info, track, TrackChange.CHANGED, history, before)]
    return []


def _change(info: FrameInfo, track: Track, change: TrackChange, history: _History, previous: str | None) -> TrackEvent:
    total = history.label_counts.total()
    shares = {label: history.label_counts[label] / total for label in (*LABELS, UNKNOWN) if history.label_counts[label]}
    return TrackEvent(info, track, change, history.smoothed, previous, dwell_ns=track.age_ns, shares=shares)
