"""The package as a library: what importing it costs, what it is for type checkers, and what ``help`` says."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, assert_type

import pytest

import ferstream

HEAVY = ("numpy", "cv2", "openvino", "av", "pydantic", "tensorflow", "keras", "matplotlib", "PIL", "structlog", "typer", "pandas", "polars")
NEW_MODULES = 2
"""Modules that ``import ferstream`` may add to those of the bare interpreter: itself, and one to spare."""


def modules_after(code: str) -> set[str]:
    """Names of the modules that a fresh interpreter has after some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split())


def test_importing_the_package_imports_almost_nothing() -> None:
    assert len(modules_after("import ferstream") - modules_after("pass")) <= NEW_MODULES


def test_the_calls_can_be_imported_without_what_they_use() -> None:
    code = "from ferstream import analyze, replay, watch, Face, Faces, Replay, Watch, to_dataframe, errors, examples"
    assert not {name.partition(".")[0] for name in modules_after(code)} & set(HEAVY)


def test_the_stub_for_type_checkers_has_every_public_name() -> None:
    stub = Path(ferstream.__file__).with_suffix(".pyi")
    names = {alias.asname for node in ast.parse(stub.read_text()).body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert names | {"__version__"} == set(ferstream.__all__)
    assert stub.with_name("py.typed").is_file()


def test_every_public_name_exists_where_the_stub_says() -> None:
    for node in ast.parse(Path(ferstream.__file__).with_suffix(".pyi").read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module != "ferstream":
            module = __import__(str(node.module), fromlist=["_"])
            for alias in node.names:
                assert getattr(ferstream, alias.name) is getattr(module, alias.name)


def test_public_names_are_listed_and_others_are_errors() -> None:
    assert set(ferstream.__all__) <= set(dir(ferstream))
    with pytest.raises(AttributeError, match="'ferstream' has no attribute 'analyse'"):
        ferstream.analyse  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", ["analyze", "replay", "watch", "to_dataframe"])
def test_the_help_of_a_call_describes_every_option_the_result_and_the_errors(name: str) -> None:
    call = getattr(ferstream, name)
    text = inspect.getdoc(call) or ""
    for option in inspect.signature(call).parameters:
        assert f"\n    {option}: " in text, option
    for part in ("Returns:", "Raises:", "Example:", "ferstream.errors.ConfigError"):
        assert part in text


def test_the_help_of_analyze_tells_shapes_orders_and_ranges() -> None:
    text = inspect.getdoc(ferstream.analyze) or ""
    for word in ("(height, width, 3)", "uint8", "0..255", '"bgr"', '"rgb"', "PIL image", "bytes"):
        assert word in text


def test_the_types_are_those_of_the_values(portrait: Path) -> None:
    """``make types`` checks ``assert_type``; here the values are looked at."""
    faces = ferstream.analyze(portrait)
    assert_type(faces, ferstream.Faces)
    assert_type(faces[0], ferstream.Face)
    assert_type(faces[:1], tuple[ferstream.Face, ...])
    assert_type(faces[0].probabilities, Mapping[str, float] | None)
    assert isinstance(faces, ferstream.Faces)
    several = ferstream.analyze([portrait, portrait.read_bytes()])
    assert_type(several, list[ferstream.Faces])
    assert [isinstance(one, ferstream.Faces) for one in several] == [True, True]
    with ferstream.watch("demo:") as events:
        assert_type(events, ferstream.Watch[ferstream.FaceEvent])
        assert isinstance(events.get(), ferstream.FaceEvent)


if TYPE_CHECKING:
    for face_event in ferstream.replay(Path("a.mp4")):
        assert_type(face_event, ferstream.FaceEvent)
        assert_type(face_event.emotion.smoothed.confidence, float)
    for event in ferstream.replay(["a.mp4", "b.mp4"], kinds=("face", "track"), fps=5):
        assert_type(event, ferstream.FaceEvent | ferstream.TrackEvent | ferstream.SummaryEvent | ferstream.StateEvent)
    ferstream.analyze("a.jpg", colour="bgr")  # type: ignore[call-overload]
    ferstream.watch("webcam:0", kinds=("faces",))  # type: ignore[arg-type]
