"""The process that analyses uploads: ``python -m ferstream.app.upload_worker DESCRIPTOR``.

DESCRIPTOR is a socket to the daemon. The first message sets it up; each other one is a picture or a recording, as a
descriptor of a file without a name. The process ends when the daemon closes its end, and when the daemon ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ferstream.app.confinement import confine
from ferstream.errors import FerstreamError, SourceError
from ferstream.web.worker_protocol import Json, PeerGoneError, close_files, receive_message, send_message

if TYPE_CHECKING:
    from ferstream.settings import Settings
    from ferstream.stills.analysis import PictureAnalyzer

DETECTOR_SIZES = 4
"""Picture sizes whose networks the detector keeps."""
Reply = Callable[[Json], None]


class UploadWorker:
    """Analyses what the daemon sends, one after the other; main thread.

    Args:
        settings: How faces are found, followed and classified; nothing else of the daemon's settings is known here.
        reply: Sends a message to the daemon.
    """

    def __init__(self, settings: Settings, reply: Reply) -> None:
        self._settings, self._reply = settings, reply
        self._analyzer: PictureAnalyzer | None = None

    def handle(self, message: Json, files: list[int]) -> None:
        """Analyse one upload and reply; what cannot be analysed is replied too.

        Args:
            message: What to do, and the name of the file.
            files: Descriptors: the upload, and the files for the results.
        """
        do = {"still": self._still, "recording": self._recording}[message["do"]]
        try:
            do(message, [Path(f"/proc/self/fd/{file}") for file in files])
        except (FerstreamError, MemoryError, OSError) as exc:
            self._reply({"error": _shown(exc, message["name"], files), "is_input": isinstance(exc, SourceError)})

    def _still(self, _: Json, files: list[Path]) -> None:
        from ferstream.stills.report import picture_json

        if self._analyzer is None:
            self._analyzer = _picture_analyzer(self._settings)
        found = picture_json(self._analyzer.analyze(files[0]))
        del found["file"]
        self._reply({"still": found})

    def _recording(self, message: Json, files: list[Path]) -> None:
        from ferstream.app.uploaded_recording import analyse_recording

        video, events, timeline, *tables = files
        named = dict(zip(message["tables"], tables, strict=True))
        report = analyse_recording(video, events, timeline, tables=named, name=message["name"], settings=self._settings, report=self._reply)
        self._reply(report | {"done": True})


def _picture_analyzer(settings: Settings) -> PictureAnalyzer:
    """Make what analyses pictures, as ``ferstream predict`` does, with the model of the daemon."""
    from ferstream.detection.detector import DetectorLimits
    from ferstream.detection.factory import load_detector
    from ferstream.inference.backends import open_classifier
    from ferstream.inference.model_choice import open_bundle
    from ferstream.stills.analysis import PictureAnalyzer

    inference = settings.inference
    classifier = open_classifier(open_bundle(inference.model, backend=inference.backend)[0], backend=inference.backend)
    detector = load_detector(keep_sizes=DETECTOR_SIZES).new_detector(DetectorLimits(min_face_px=PREDICT_MIN_FACE_PX))
    return PictureAnalyzer(detector=detector, classifier=classifier)


PREDICT_MIN_FACE_PX = 16.0
"""Default of ``ferstream predict --min-face``."""


def _shown(error: BaseException, name: str, files: list[int]) -> str:
    """Return the text of an error with the name of the upload in place of that of its file here."""
    if isinstance(error, MemoryError):
        return f"{name}: more memory is needed than an upload may use"
    text = str(error)
    for file in files:
        text = text.replace(f"/proc/self/fd/{file}", name)
    return text


def _end_with_daemon(sock: socket.socket) -> None:
    """Wait until the daemon has closed its end, then end the process, whatever it does."""
    poller = select.poll()
    poller.register(sock, select.POLLRDHUP | select.POLLHUP)
    while not any(events & (select.POLLRDHUP | select.POLLHUP) for _, events in poller.poll()):
        pass
    os._exit(0)


def _requests(sock: socket.socket) -> Iterator[tuple[Json, list[int]]]:
    with contextlib.suppress(PeerGoneError):
        while True:
            yield receive_message(sock)


def main() -> None:
    """Analyse uploads until the daemon wants no more."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    setup, _ = receive_message(sock)
    confine(memory_bytes=setup["memory_bytes"])
    threading.Thread(target=_end_with_daemon, args=(sock,), name="daemon-watch", daemon=True).start()
    from ferstream.runtime.memory import tune_allocator
    from ferstream.settings import Settings

    tune_allocator()
    worker = UploadWorker(Settings.model_validate_json(json.dumps(setup["settings"])), lambda message: send_message(sock, message))
    for message, files in _requests(sock):
        worker.handle(message, files)
        close_files(files)


if __name__ == "__main__":
    main()
