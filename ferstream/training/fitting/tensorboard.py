"""Scalars of each epoch as TensorBoard event files, without any backend's own writer."""

from __future__ import annotations

import time
from pathlib import Path

from ferstream.training.fitting.history import EpochRecord

FOLDER = "tensorboard"


def log_epoch(folder: Path, record: EpochRecord) -> bool:
    """Append one epoch's numbers under ``folder``/tensorboard; False when tensorboard is not installed."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
        from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
        from tensorboard.summary.writer.event_file_writer import EventFileWriter  # type: ignore[import-untyped]
    except ImportError:
        return False
    values = {
        "loss/training": record.loss,
        "loss/validation": record.val_loss,
        "accuracy/training": record.accuracy,
        "accuracy/validation": record.val_accuracy,
        "accuracy/validation_majority": record.val_majority_accuracy,
        "learning_rate": record.learning_rate,
    }
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items() if value is not None])
    # A file an epoch: nothing stays open over a kill, and the epoch in the name keeps two epochs of one second apart.
    writer = EventFileWriter(str(folder / FOLDER), filename_suffix=f".{record.epoch:04d}")
    writer.add_event(Event(wall_time=time.time(), step=record.epoch, summary=summary))
    writer.close()
    return True
