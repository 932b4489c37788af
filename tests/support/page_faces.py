"""Messages of ``/api/1/`` for tests of the page: states, frames with faces that move, a timeline. Plain values."""

from __future__ import annotations

import math
from typing import Any

from ferstream.domain.emotion import LABELS

Json = dict[str, Any]
WIDTH, HEIGHT = 1280, 720
NOW = "2026-11-28T03:00:00.000Z"


def camera(name: str, **changes: Any) -> Json:
    """Return a camera of the state that is online."""
    return {
        "name": name,
        "enabled": True,
        "status": "online",
        "reason": "",
        "since": NOW,
        "fps": 25.0,
        "width": WIDTH,
        "height": HEIGHT,
        "frames": {"captured": 15234, "analysed": 15230, "published": 15229},
        "dropped": [{"stage": "detection", "reason": "stale", "count": 4}],
        "faces_now": 2,
    } | changes


def state(*cameras: Json, **changes: Any) -> Json:
    """Return a state in which everything is in order; keys can be changed."""
    return {
        "api": 1,
        "node": "edge-1",
        "version": "0.1.0",
        "time": NOW,
        "uptime_s": 3723.4,
        "pixels": False,
        "aggregate_only": False,
        "commands": True,
        "login": False,
        "uploads": {"stills": True, "recordings": True, "max_bytes": 2_147_483_648, "tables": ["csv", "parquet"]},
        "labels": list(LABELS),
        "model": {"name": "emotion-edge", "version": "1.1.0", "backend": "openvino:CPU"},
        "ready": {
            "ok": True,
            "checks": [{"name": name, "ok": True, "detail": "in order"} for name in ("model", "cameras", "mqtt", "outbox")],
        },
        "cameras": list(cameras) or [camera("door")],
        "latency_ms": {"p50": 21.0, "p90": 26.0, "p99": 32.0},
        "queues": [{"stage": stage, "items": 0, "capacity": 4} for stage in ("tracking", "inference", "publishing")],
        "outbox": {"events": 0, "bytes": 0, "oldest_s": 0.0, "on_disk": True},
        "sinks": [{"name": "mqtt", "connected": True, "reason": "", "waiting": 0, "acknowledged": 30412, "dropped": 0}],
        "history": {"interval_s": 2, "points": history(120)},
    } | changes


def history(count: int) -> list[Json]:
    """Return the last points of the history: smooth, with one stretch in which nothing is known."""
    points = []
    for number in range(count):
        wave = math.sin(number / 9)
        p50 = None if 40 <= number < 44 else 21 + 2 * wave
        points.append(
            {
                "at": 1764298800.0 + 2 * number,
                "fps": 24.9 + 0.4 * wave,
                "faces_per_s": 32 + 12 * math.sin(number / 23),
                "p50_ms": p50,
                "p99_ms": None if p50 is None else 31 + 5 * math.sin(number / 4),
                "dropped_per_s": max(0.0, wave - 0.9) * 10,
                "outbox": max(0, round(20 * math.sin(number / 13) - 14)),
            }
        )
    return points


def probabilities(label: str, share: float = 0.82) -> Json:
    """Return probabilities with one label ahead."""
    rest = (1 - share) / (len(LABELS) - 1)
    return {name: round(share if name == label else rest, 4) for name in LABELS}


def face(track: str, label: str, box: tuple[float, float, float, float], *, abstained: str | None = None) -> Json:
    """Return the face of a frame, as in ``ferstream.face/1``."""
    x, y, w, h = box
    places = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.34, 0.78), (0.66, 0.78))
    verdict = {"label": label, "confidence": 0.82}
    emotion = verdict | {"probabilities": None if abstained else probabilities(label), "smoothed": verdict}
    return {
        "track": {"id": track, "state": "present", "age_s": 4.0},
        "face": {"box": list(box), "score": 0.93, "landmarks": [[x + px * w, y + py * h] for px, py in places]},
        "emotion": emotion | ({"abstained": abstained} if abstained else {}),
    }


def frame(camera_name: str, index: int, *faces: Json, picture: str | None = None) -> Json:
    """Return an ``event: frame``."""
    body: Json = {
        "camera": camera_name,
        "index": index,
        "captured_at": NOW,
        "media_time_ms": index * 40.0,
        "width": WIDTH,
        "height": HEIGHT,
        "faces": list(faces),
        "changes": [],
    }
    return body if picture is None else body | {"picture": picture}


def scene(camera_name: str, index: int) -> Json:
    """Return a frame of a scene with two faces that move and change, and one that is too small."""
    sway = 60 * math.sin(index / 20)
    first = LABELS[index // 40 % 7]
    second = LABELS[(index // 65 + 3) % 7]
    return frame(
        camera_name,
        index,
        face("k3f9-1", first, (230 + sway, 210, 210, 270)),
        face("k3f9-2", second, (760 - sway, 170 + 20 * math.sin(index / 9), 220, 280)),
        face("k3f9-4", "unknown", (1120, 90, 60, 76), abstained="small"),
    )


def summary(camera_name: str, faces_now: int = 6, **counts: int) -> Json:
    """Return an ``event: summary``."""
    every = dict.fromkeys((*LABELS, "unknown"), 0) | counts
    return {"camera": camera_name, "at": NOW, "interval_s": 10.0, "counts": every, "faces_now": faces_now}


def timeline() -> Json:
    """Return the timeline of a recording of twelve seconds with two tracks."""
    return {"duration_s": 12.0, "width": WIDTH, "height": HEIGHT, "tracks": [_track("r-1", 0.0, 12.0, 300), _track("r-2", 3.0, 9.0, 800)]}


def _track(name: str, start: float, end: float, x: float) -> Json:
    names = ("neutral", "happy", "surprise", "sad")
    step = (end - start) / len(names)
    spans = [{"label": label, "from_s": start + n * step, "to_s": start + (n + 1) * step} for n, label in enumerate(names)]
    points = []
    for number in range(round((end - start) * 25)):
        at = start + number / 25
        label = names[min(3, int((at - start) / step))]
        points.append([round(at, 3), x + 20 * at, 200, 200, 260, label, *probabilities(label).values()])
    return {"id": name, "from_s": start, "to_s": end, "spans": spans, "points": points}


def still(width: int = 640, height: int = 480) -> Json:
    """Return the answer to a picture."""
    found = face("", "happy", (200, 120, 160, 200))
    flat = found["face"] | {
        "label": "happy",
        "best": "happy",
        "confidence": 0.82,
        "probabilities": probabilities("happy"),
        "abstained": None,
    }
    return {"width": width, "height": height, "faces": [flat]}
