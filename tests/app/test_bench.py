"""The benchmark: its report adds up, and its medians are right."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from ferstream.app.assembly import engine, replay_mode
from ferstream.app.bench import Bare, Passes, Piped, Run, bench_video, report_of
from ferstream.app.replay import Outcome, probe
from ferstream.errors import SourceError
from ferstream.pipeline.models import Models
from ferstream.runtime.counters import Counters
from ferstream.settings import Settings
from tests.support.classifiers import ScriptedClassifier
from tests.support.clips import write_clip

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]


def test_the_report_of_a_recording_adds_up(make_settings: MakeSettings, portrait_clip: Path) -> None:
    turns: list[tuple[int, str]] = []
    report = bench_video(portrait_clip, settings=make_settings(), turns=2, cores=4, on_turn=lambda *turn: turns.append(turn))
    assert turns == [(0, "kernels"), (0, "pipeline"), (1, "kernels"), (1, "pipeline")]
    assert (report.video, report.frames, report.faces, report.turns, report.cores) == ("portrait.mp4", 10, 10, 2, 4)
    assert (report.backend, report.model) == ("openvino:CPU", "tiny/1.0.0")
    assert report.fps == pytest.approx(report.frames / report.wall_s, rel=0.01)
    assert report.cpu_ms_per_frame == pytest.approx(1000 * report.cpu_s / report.frames, rel=0.01)
    assert report.efficiency == pytest.approx(report.kernel_cpu_ms_per_frame / report.cpu_ms_per_frame, rel=0.01)
    assert report.speedup == pytest.approx(report.fps / report.kernel_fps, rel=0.01)
    assert set(report.kernels_ms) == {"capture", "detect_and_crop", "classify"}
    assert min(report.kernels_ms.values()) > 0
    assert {"capture", "detection", "tracking", "inference", "publishing"} <= set(report.stages_ms)
    assert 0 < report.latency_ms["p50"] <= report.latency_ms["p90"] <= report.latency_ms["p99"]
    assert report.as_dict() == dataclasses.asdict(report)


def test_kernels_and_pipeline_see_the_same_frames_and_faces(make_settings: MakeSettings, models: Models, portrait_clip: Path) -> None:
    settings = make_settings()
    bare = Bare(portrait_clip, settings=settings, models=models, fps=5.0)
    alone = bare.run()
    with engine(settings, mode=replay_mode(settings), make_outputs=lambda _: []) as made:
        piped = Piped(portrait_clip, engine=made, fps=5.0)
        through = piped.run()
    assert (alone.frames, alone.faces) == (through.frames, through.faces) == (5, 5)
    assert [(outcome.frames, outcome.camera) for outcome in piped.outcomes] == [(5, "portrait")]


def test_kernels_of_a_recording_without_faces(make_settings: MakeSettings, models: Models, tmp_path: Path) -> None:
    bare = Bare(write_clip(tmp_path / "cards.mp4", frames=3), settings=make_settings(), models=models, fps=0.0)
    run = bare.run()
    assert (run.frames, run.faces) == (3, 0)
    assert 0 < 3 * sum(bare.milliseconds().values()) <= 1000 * run.wall_s
    both_s = run.wall_s + bare.run().wall_s
    assert 0 < 6 * sum(bare.milliseconds().values()) <= 1000 * both_s


def test_kernels_that_did_not_run_took_no_time(make_settings: MakeSettings, models: Models, portrait_clip: Path) -> None:
    bare = Bare(portrait_clip, settings=make_settings(), models=models, fps=0.0)
    assert set(bare.milliseconds().values()) == {0.0}


def test_a_file_that_is_not_a_recording_is_an_error(make_settings: MakeSettings, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        bench_video(tmp_path / "missing.mp4", settings=make_settings(), turns=1, cores=1)


def test_times_are_medians_over_the_turns(tmp_path: Path) -> None:
    counters = Counters()
    for seconds in (0.002, 0.004):
        counters.duration("detection", seconds)
    counters.latency("cards", 0.018)
    clip = write_clip(tmp_path / "cards.mp4", frames=3)
    passes = Passes(
        kernels=[Run(100, 50, 4.0, 3.0), Run(100, 50, 2.0, 1.5), Run(100, 50, 9.0, 9.0)],
        pipelines=[Run(100, 50, 1.0, 4.0), Run(100, 50, 7.0, 8.0), Run(100, 50, 2.0, 6.0)],
        kernels_ms={"capture": 1.23456},
        last=Outcome(clip, probe(clip), counters.snapshot(), "cards"),
    )
    report = report_of(passes, classifier=ScriptedClassifier(), cores=8)
    assert (report.wall_s, report.cpu_s, report.fps, report.cpu_ms_per_frame) == (2.0, 6.0, 50.0, 60.0)
    assert (report.kernel_fps, report.kernel_cpu_ms_per_frame) == (25.0, 30.0)
    assert (report.efficiency, report.speedup) == (0.5, 2.0)
    assert (report.frames, report.faces, report.turns, report.cores) == (100, 50, 3, 8)
    assert (report.kernels_ms, report.stages_ms) == ({"capture": 1.2346}, {"detection": 3.0})
    assert report.latency_ms == {"p50": 17.5, "p90": 19.5, "p99": 19.95}
    assert (report.backend, report.model) == ("scripted", "scripted/0.0.1")
