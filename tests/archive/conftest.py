"""Real clips, analysed once: by replay, and frame by frame as workers would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ferstream.app.replay import NO_FILE, ReplayOptions, replay_all
from ferstream.settings import Settings, load_settings
from tests.support.archives import Analysed, analyse

CLIPS = ("people_walking_1080p.mp4", "no_face.mp4", "face_then_none.mov", "sad_to_happy.mp4", "sister.mkv")


@dataclass(frozen=True)
class Replayed:
    """What replay makes of the clips, and what workers would find in them.

    Attributes:
        settings: The settings of both.
        model: Name and version of the model.
        events: The JSON lines of replay.
        table: Its table of faces; that of the tracks is beside it.
        analysed: The frames of each clip.
    """

    settings: Settings
    model: str
    events: Path
    table: Path
    analysed: Sequence[Analysed]


@pytest.fixture(scope="session")
def replayed(videos_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    """The clips, replayed and analysed."""
    folder = tmp_path_factory.mktemp("replayed")
    videos = [videos_dir / name for name in CLIPS]
    events, table = folder / "events.jsonl", folder / "faces.parquet"
    replay_all(ReplayOptions(videos=tuple(videos), events=str(events), table=table))
    settings = load_settings(NO_FILE, environ={})
    first = events.read_text().splitlines()[0]
    name, version = first.partition('"model":{"name":"')[2].split('"')[0], first.partition('"version":"')[2].split('"')[0]
    return Replayed(settings, f"{name}/{version}", events, table, analyse(videos, settings))
