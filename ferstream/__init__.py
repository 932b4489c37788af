"""ferstream: real-time facial expression events from cameras and recordings.

The commands are described by ``ferstream --help``. From Python::

    import ferstream

    for face in ferstream.analyze("photo.jpg"):
        print(face.box, face.label, face.confidence)

    for event in ferstream.replay("clip.mp4"):
        print(event.frame.media_time_s, event.track.id, event.emotion.smoothed.label)

    with ferstream.watch("webcam:0") as events:
        for event in events:
            print(event.camera, event.emotion.smoothed.label)

``docs/python.md`` describes the rest. Importing this package loads no other package: networks, OpenCV and the like
are imported by the first call that needs them. Errors are the classes of ``ferstream.errors``.
"""

__version__ = "0.1.0"

_MODULES = {
    "Event": "api.events",
    "Face": "api.values",
    "FaceEvent": "api.events",
    "Faces": "api.values",
    "Replay": "api.recordings",
    "StateEvent": "api.events",
    "SummaryEvent": "api.events",
    "TrackEvent": "api.events",
    "Watch": "api.live",
    "analyze": "api.pictures",
    "errors": "errors",
    "examples": "examples",
    "parse_event": "api.events",
    "replay": "api.recordings",
    "to_dataframe": "api.tables",
    "unload_models": "api.networks",
    "watch": "api.live",
}
"""The module of each public name; it is imported when the name is used for the first time. Type checkers read ``__init__.pyi``."""

__all__ = ["__version__", *_MODULES]  # noqa: PLE0604 (the keys are text)


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"{__name__}.{_MODULES[name]}")
    value = module if _MODULES[name] == name else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
