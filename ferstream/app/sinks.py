"""Where events go, opened and closed together."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ferstream.domain.ports import Sink
from ferstream.events.encode import Encoder, ModelRef
from ferstream.inference.classifier import Classifier
from ferstream.runtime.clock import SystemClock


def encoder(classifier: Classifier, *, node: str, boot_id: str) -> Encoder:
    """Make what numbers and encodes the events of one run."""
    return Encoder(node=node, boot_id=boot_id, model=ModelRef(classifier.name, classifier.version), clock=SystemClock())


@contextmanager
def opened(sink: Sink) -> Iterator[Sink]:
    """Open a sink, and close it whatever happens."""
    sink.open()
    try:
        yield sink
    finally:
        sink.close()


def flush_all(sinks: Sequence[Sink], *, timeout_s: float) -> int:
    """Flush within one deadline; how many events are neither delivered nor safely stored."""
    deadline = time.monotonic() + timeout_s
    return sum(sink.flush(max(0.0, deadline - time.monotonic())) for sink in sinks)
