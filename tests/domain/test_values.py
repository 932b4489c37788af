"""What holds for every value: it cannot be changed, it has no dict, equal fields make it equal, and its fields are documented."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
from enum import StrEnum
from typing import Any

import pytest

import ferstream.domain
from ferstream.domain.event import Summary
from ferstream.domain.frame import EndOfStream
from ferstream.domain.message import Message
from ferstream.domain.ports import SinkStatus
from tests.support import builders

MODULES = [importlib.import_module(f"ferstream.domain.{module.name}") for module in pkgutil.iter_modules(ferstream.domain.__path__)]
CLASSES = {
    cls.__name__: cls for module in MODULES for _, cls in inspect.getmembers(module, inspect.isclass) if cls.__module__ == module.__name__
}
VALUES = {name: cls for name, cls in CLASSES.items() if dataclasses.is_dataclass(cls)}

tracked = builders.tracked_frame(ended=(builders.track(2),))
labelled = builders.labelled_frame(changes=(builders.track_event(),))
SAMPLES: dict[str, Any] = {
    type(value).__name__: value
    for value in (
        builders.verdict(),
        builders.emotion(),
        builders.face().box,
        builders.face(),
        builders.face_crop(),
        builders.detected_frame(),
        builders.frame_info(),
        builders.frame().luma,
        EndOfStream("door", final=True),
        builders.track(),
        tracked.faces[0],
        tracked,
        builders.face_event(),
        builders.track_event(),
        labelled,
        builders.camera_state(),
        Summary(camera="door", at_ns=0, interval_s=10.0, counts={"happy": 3}, faces_now=1),
        Message(schema="ferstream.face/1", camera="door", boot_id="boot", seq=0, payload=b"{}"),
        SinkStatus("mqtt"),
    )
}


def test_every_value_has_a_sample() -> None:
    assert set(VALUES) == set(SAMPLES), "add a sample of the new value above"


@pytest.mark.parametrize("name", sorted(VALUES))
def test_values_are_frozen_and_have_slots(name: str) -> None:
    cls: Any = VALUES[name]
    assert cls.__dataclass_params__.frozen
    assert "__slots__" in vars(cls)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_field_cannot_be_assigned(name: str) -> None:
    value = SAMPLES[name]
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, None)


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - {"Luma", "FaceCrop", "DetectedFrame", "TrackedFace", "TrackedFrame"}))
def test_values_without_pixels_are_equal_by_their_fields(name: str) -> None:
    value = SAMPLES[name]
    assert dataclasses.replace(value) == value


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_class_says_what_it_is(name: str) -> None:
    first = (CLASSES[name].__doc__ or "").strip().splitlines()[0]
    assert first.endswith((".", ";", ":")), f"{name}: {first}"


@pytest.mark.parametrize("name", sorted(VALUES))
def test_the_attributes_section_names_the_fields(name: str) -> None:
    doc = VALUES[name].__doc__ or ""
    if "Attributes:" in doc:
        section = inspect.cleandoc(doc).split("Attributes:\n", 1)[1]
        assert re.findall(r"^    (\w+):", section, re.MULTILINE) == [field.name for field in dataclasses.fields(VALUES[name])]
    else:
        assert len(dataclasses.fields(VALUES[name])) <= 4, "values with more fields document each one"


@pytest.mark.parametrize("name", sorted(name for name, cls in CLASSES.items() if issubclass(cls, StrEnum)))
def test_members_of_enums_are_lower_case_texts(name: str) -> None:
    members = [str(member) for member in CLASSES[name]]  # type: ignore[attr-defined]
    assert all(re.fullmatch(r"[a-z_]+", member) for member in members)
    assert len(set(members)) == len(members)


def test_the_domain_imports_nothing_of_ferstream_but_itself() -> None:
    for module in MODULES:
        imported = re.findall(r"^from (ferstream[\w.]*) import", inspect.getsource(module), re.MULTILINE)
        assert all(name.startswith("ferstream.domain") for name in imported), module.__name__
