"""Labels by evidence over media time, on scripted probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest

from ferstream.domain.emotion import LABELS
from ferstream.labelling.evidence import EvidenceLimits, LabelFilter, most_probable

S = 1_000_000_000
Times = Iterable[float]
Shows = Callable[[float], tuple[float, ...]]


def certain(label: str, share: float = 0.9) -> tuple[float, ...]:
    rest = (1 - share) / (len(LABELS) - 1)
    return tuple(share if name == label else rest for name in LABELS)


def at_rate(fps: float, seconds: float) -> list[float]:
    return [frame / fps for frame in range(round(fps * seconds))]


def shown(times: Times, face: Shows, limits: EvidenceLimits | None = None) -> list[tuple[float, str]]:
    """Time and label of each frame of a face."""
    state, labels = None, []
    for at in times:
        if state is None:
            state = LabelFilter(limits or EvidenceLimits(), face(at), round(at * S))
        else:
            state.update(face(at), round(at * S))
        labels.append((at, LABELS[state.label]))
    return labels


def changes(labels: list[tuple[float, str]]) -> list[tuple[float, str]]:
    return [now for before, now in pairwise(labels) if before[1] != now[1]]


def after(change_s: float, before: str, then: str, share: float = 0.9) -> Shows:
    return lambda at: certain(before if at < change_s - 1e-9 else then, share)


def pulses(base: str, other: str, *, length_s: float, period_s: float, share: float = 0.85) -> Shows:
    """Another label for a part of each period."""
    return lambda at: certain(other if (at + 1e-6) % period_s >= period_s - length_s else base, share)


def test_the_first_frame_has_its_label_at_once() -> None:
    assert shown([0.0], lambda at: certain("fear", 0.4)) == [(0.0, "fear")]


@pytest.mark.parametrize("before_s", [1.0, 5.0, 60.0])
@pytest.mark.parametrize("fps", [8.0, 12.5, 25.0, 30.0, 60.0])
def test_a_clear_change_is_shown_within_a_quarter_of_a_second(fps: float, before_s: float) -> None:
    ((at, label),) = changes(shown(at_rate(fps, before_s + 2), after(before_s, "neutral", "surprise")))
    assert label == "surprise"
    assert 0 < at - before_s <= 0.25 + 1e-9


def test_5_and_30_frames_per_second_show_the_same_within_a_frame() -> None:
    def face(at: float) -> tuple[float, ...]:
        label = "neutral" if at < 2 else "happy" if at < 5 else "sad" if at < 7 else "neutral"
        return certain(label, 0.8)

    slow, fast = changes(shown(at_rate(5, 10), face)), changes(shown(at_rate(30, 10), face))
    assert [label for _, label in slow] == [label for _, label in fast] == ["happy", "sad", "neutral"]
    assert all(abs(a - b) <= 0.2 for (a, _), (b, _) in zip(slow, fast, strict=True))


@pytest.mark.parametrize("fps", [2.0, 5.0, 10.0, 25.0, 60.0])
def test_one_frame_does_not_change_a_steady_face(fps: float) -> None:
    times = at_rate(fps, 10)
    odd = times[len(times) // 2]
    assert not changes(shown(times, lambda at: certain("angry" if at == odd else "happy", 0.99)))


@pytest.mark.parametrize(("length_s", "period_s"), [(0.12, 0.3), (0.12, 0.5), (0.16, 0.4), (0.2, 0.6)])
@pytest.mark.parametrize("fps", [12.5, 25.0, 30.0])
def test_spoken_vowels_are_no_surprise(fps: float, length_s: float, period_s: float) -> None:
    face = pulses("neutral", "surprise", length_s=length_s, period_s=period_s)
    frames = shown(at_rate(fps, 20), face)
    assert len(changes(frames)) <= 6, "3 in 10 s"
    assert sum(label == "neutral" for _, label in frames) >= 0.9 * len(frames)


def test_a_surprise_after_speech_is_shown() -> None:
    def face(at: float) -> tuple[float, ...]:
        return certain("surprise", 0.85) if at >= 6 else pulses("neutral", "surprise", length_s=0.12, period_s=0.4)(at)

    labels = shown(at_rate(25, 8), face)
    assert [label for at, label in labels if at < 6].count("surprise") == 0
    assert next(at for at, label in labels if label == "surprise") - 6 <= 0.6


def test_two_labels_in_balance_do_not_alternate() -> None:
    def face(at: float) -> tuple[float, ...]:
        happier = round(at * 25) % 2
        return tuple({"happy": 0.49 + 0.02 * happier, "neutral": 0.51 - 0.02 * happier}.get(label, 0.0) for label in LABELS)

    assert not changes(shown(at_rate(25, 20), face))


def test_a_weak_majority_needs_longer_than_a_clear_one() -> None:
    def lag(share: float) -> float:
        return changes(shown(at_rate(25, 8), after(2.0, "neutral", "sad", share)))[0][0] - 2.0

    assert lag(0.95) < lag(0.5) < lag(0.35)


def test_irregular_times_show_what_regular_ones_show() -> None:
    regular = at_rate(25, 6)
    irregular = [at for frame, at in enumerate(regular) if frame % 7 not in (2, 3, 5)]
    face = after(3.0, "happy", "neutral")
    ((a, _),), ((b, _),) = changes(shown(regular, face)), changes(shown(irregular, face))
    assert abs(a - b) <= 0.12


def test_a_frame_without_time_since_the_last_one_changes_nothing() -> None:
    state = LabelFilter(EvidenceLimits(), certain("happy"), 0)
    for _ in range(100):
        state.update(certain("sad", 0.99), 0)
    assert LABELS[state.label] == "happy"


def test_a_longer_smoothing_time_takes_longer_in_proportion() -> None:
    def lag(smoothing_s: float) -> float:
        limits = EvidenceLimits(smoothing_s=smoothing_s)
        return changes(shown(at_rate(100, 20), after(8.0, "neutral", "happy", 0.75), limits))[0][0] - 8.0

    assert lag(0.2) == pytest.approx(0.2, abs=0.06), "the meaning of the setting"
    assert lag(0.8) / lag(0.2) == pytest.approx(4, rel=0.15)


def test_without_smoothing_each_frame_decides_alone() -> None:
    labels = shown(at_rate(25, 2), pulses("neutral", "fear", length_s=0.04, period_s=0.2, share=0.3), EvidenceLimits(smoothing_s=0))
    assert len(changes(labels)) >= 15


def test_the_order_of_the_labels_decides_a_tie() -> None:
    assert most_probable([1 / 7] * 7) == 0


def test_equal_input_gives_equal_labels() -> None:
    face = pulses("sad", "angry", length_s=0.3, period_s=0.7)
    assert shown(at_rate(25, 10), face) == shown(at_rate(25, 10), face)
