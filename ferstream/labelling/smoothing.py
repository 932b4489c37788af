"""What a track resembles: its probabilities averaged over the last moments of media time.

The average is exponential in probability space with a time constant, not a count of frames, so a
camera analysed at 5 frames a second and one at 25 settle equally fast. One thread per camera.
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

_NS_PER_S = 1_000_000_000
_NOTHING = Verdict(UNKNOWN, 0.0)
Probabilities = Sequence[float]


@dataclass(slots=True)
class _Memory:
    """What is kept of one living track."""

    average: list[float] | None = None
    averaged_ns: int = 0
    smoothed: Verdict = _NOTHING
    seen: Counter[str] = field(default_factory=Counter)
    last: tuple[Face, Emotion] | None = None


class SmoothingLabeller:
    """Labels the faces of one camera; see ``Labeller``."""

    def __init__(
        self, *, time_constant_s: float = 0.5, min_confidence: float = 0.0, switch_margin: float = 0.05, forget_s: float = 2.0
    ) -> None:
        """Start with no memory.

        Args:
            time_constant_s: Media time in which the weight of an observation falls to 1/e; 0 turns smoothing off.
            min_confidence: Least probability, 0..1, of a verdict, of a face as of a track; below it the label is ``unknown``.
            switch_margin: How far another class must lead the present one, 0..1, to take the smoothed label over.
            forget_s: Media time without a judged face after which the smoothed label is ``unknown`` again.

        Raises:
            ValueError: A value is out of its range.
        """
        if time_constant_s < 0 or forget_s < 0 or not 0 <= min_confidence <= 1 or not 0 <= switch_margin <= 1:
            raise ValueError("time_constant_s and forget_s must be >= 0, min_confidence and switch_margin within 0..1")
        self._time_constant_ns = time_constant_s * _NS_PER_S
        self._forget_ns = round(forget_s * _NS_PER_S)
        self._min_confidence = min_confidence
        self._switch_margin = switch_margin
        self._memories: dict[str, _Memory] = {}

    @property
    def tracks(self) -> int:
        """Number of living tracks that memory is kept for."""
        return len(self._memories)

    def label(self, frame: TrackedFrame, probabilities: Sequence[Probabilities | None]) -> LabelledFrame:
        """Label every face of the next frame; see ``Labeller.label``.

        Raises:
            ValueError: Not one entry per face, or an entry has not seven values.
        """
        if len(probabilities) != len(frame.faces):
            raise ValueError(f"expected probabilities of {len(frame.faces)} faces, got {len(probabilities)}")
        faces: list[FaceEvent] = []
        changes: list[TrackEvent] = []
        for tracked, of_face in zip(frame.faces, probabilities, strict=True):
            event, change = self._observe(frame.info, tracked, of_face)
            faces.append(event)
            changes.extend(change)
        for track in frame.ended:
            self._end(frame.info, track, faces, changes)
        return LabelledFrame(info=frame.info, faces=tuple(faces), changes=tuple(changes))

    def _observe(self, info: FrameInfo, tracked: TrackedFace, given: Probabilities | None) -> tuple[FaceEvent, list[TrackEvent]]:
        track = tracked.track
        memory = self._memories.get(track.id)
        is_new = memory is None
        if memory is None:
            memory = self._memories[track.id] = _Memory()
        before = memory.smoothed.label
        emotion = self._judge(memory, info.media_time_ns, tracked.face.abstained, given)
        memory.seen[memory.smoothed.label] += 1
        memory.last = (tracked.face.face, emotion)
        event = FaceEvent(info=info, track=track, face=tracked.face.face, emotion=emotion)
        return event, _changes(info, track, memory, before, is_new=is_new)

    def _judge(self, memory: _Memory, now_ns: int, abstained: Abstained | None, given: Probabilities | None) -> Emotion:
        verdict = _NOTHING if given is None else _best(given)
        if given is not None and abstained is None:
            self._average(memory, now_ns, given)
            if verdict.confidence < self._min_confidence:
                abstained = Abstained.LOW_CONFIDENCE
        memory.smoothed = self._smoothed(memory, now_ns)
        if given is None or abstained is not None:
            verdict = Verdict(UNKNOWN, verdict.confidence)
        return Emotion(verdict, memory.smoothed, None if given is None else tuple(map(float, given)), abstained)

    def _average(self, memory: _Memory, now_ns: int, given: Probabilities) -> None:
        if memory.average is None or self._time_constant_ns == 0 or now_ns - memory.averaged_ns > self._forget_ns:
            memory.average = list(map(float, given))
        else:
            weight = -math.expm1((memory.averaged_ns - now_ns) / self._time_constant_ns)
            memory.average = [old + weight * (new - old) for old, new in zip(memory.average, given, strict=True)]
        memory.averaged_ns = now_ns

    def _smoothed(self, memory: _Memory, now_ns: int) -> Verdict:
        if memory.average is None or now_ns - memory.averaged_ns > self._forget_ns:
            return _NOTHING
        best = _best(memory.average)
        if memory.smoothed.label in LABELS:
            kept = memory.average[LABELS.index(memory.smoothed.label)]
            if best.confidence - kept < self._switch_margin:
                best = Verdict(memory.smoothed.label, kept)
        return best if best.confidence >= self._min_confidence else Verdict(UNKNOWN, best.confidence)

    def _end(self, info: FrameInfo, track: Track, faces: list[FaceEvent], changes: list[TrackEvent]) -> None:
        memory = self._memories.pop(track.id, None)
        if memory is None or memory.last is None:
            return
        face, emotion = memory.last
        faces.append(FaceEvent(info=info, track=track, face=face, emotion=emotion))
        changes.append(_change(info, track, TrackChange.LEFT, memory, None))


def _best(probabilities: Probabilities) -> Verdict:
    if len(probabilities) != len(LABELS):
        raise ValueError(f"expected {len(LABELS)} probabilities, got {len(probabilities)}")
    # max keeps the first of equals: the order of LABELS decides a tie.
    index = max(range(len(LABELS)), key=probabilities.__getitem__)
    return Verdict(LABELS[index], float(probabilities[index]))


def _changes(info: FrameInfo, track: Track, memory: _Memory, before: str, *, is_new: bool) -> list[TrackEvent]:
    if is_new:
        return [_change(info, track, TrackChange.APPEARED, memory, None)]
    if memory.smoothed.label != before:
        return [_change(info, track, TrackChange.CHANGED, memory, before)]
    return []


def _change(info: FrameInfo, track: Track, change: TrackChange, memory: _Memory, previous: str | None) -> TrackEvent:
    total = memory.seen.total()
    shares = {label: memory.seen[label] / total for label in (*LABELS, UNKNOWN) if memory.seen[label]}
    return TrackEvent(info, track, change, memory.smoothed, previous, dwell_ns=track.age_ns, shares=shares)
