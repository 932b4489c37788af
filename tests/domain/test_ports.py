"""The shipped adapters have the methods of the Protocols, with the same parameters; mypy checks their types."""

from __future__ import annotations

import inspect
from typing import Any, Protocol

import pytest

from ferstream.detection.detector import Detector, DetectorModel
from ferstream.detection.yunet import YuNet, YuNetModel
from ferstream.domain.ports import Align, Labeller, Sink, SinkStatus
from ferstream.inference.alignment import ALIGNMENTS, align_with_matrix
from ferstream.inference.classifier import Classifier
from ferstream.inference.keras import KerasClassifier
from ferstream.inference.openvino import OpenVinoClassifier
from ferstream.labelling.smoothing import SmoothingLabeller
from ferstream.sinks.jsonl import JsonlSink
from ferstream.sinks.mqtt.sink import MqttSink
from ferstream.tracking.bytetrack import ByteTracker
from ferstream.tracking.tracker import Tracker

labeller: type[Labeller] = SmoothingLabeller
tracker: type[Tracker] = ByteTracker
detector: type[Detector] = YuNet
detector_model: type[DetectorModel] = YuNetModel
classifiers: tuple[type[Classifier], ...] = (OpenVinoClassifier, KerasClassifier)
sinks: tuple[type[Sink], ...] = (JsonlSink, MqttSink)
align: Align = align_with_matrix


def members(protocol: type[Any]) -> dict[str, Any]:
    """Methods and properties of a Protocol."""
    assert Protocol in protocol.__mro__
    return {
        name: member
        for name, member in vars(protocol).items()
        if not name.startswith("_") and (callable(member) or isinstance(member, property))
    }


@pytest.mark.parametrize(
    ("adapter", "protocol"),
    [
        (SmoothingLabeller, Labeller),
        (ByteTracker, Tracker),
        (YuNet, Detector),
        (YuNetModel, DetectorModel),
        (OpenVinoClassifier, Classifier),
        (KerasClassifier, Classifier),
        (JsonlSink, Sink),
        (MqttSink, Sink),
    ],
    ids=lambda cls: cls.__name__,
)
def test_an_adapter_has_the_members_of_its_protocol(adapter: type[Any], protocol: type[Any]) -> None:
    for name, member in members(protocol).items():
        own = getattr(adapter, name)
        if isinstance(member, property):
            assert isinstance(own, property | str), name
        else:
            assert list(inspect.signature(own).parameters) == list(inspect.signature(member).parameters), name


def test_the_alignments_take_what_align_takes() -> None:
    wanted = list(inspect.signature(Align.__call__).parameters)[1:]
    assert all(list(inspect.signature(alignment).parameters) == wanted for alignment in ALIGNMENTS.values())


def test_a_sink_without_a_connection_is_neither_connected_nor_disconnected() -> None:
    status = SinkStatus("jsonl")
    assert (status.connected, status.reason) == (None, "")
