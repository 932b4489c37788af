"""The Python in README.md and docs/python.md runs, and prints what the pages say."""

from __future__ import annotations

import doctest
import re
from importlib import import_module

import pytest

from tests.support.portraits import write_portrait_clip
from tests.support.python_process import ROOT, run_python

PAGES = ("README.md", "docs/python.md")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^\s*print\(.*\)  # prints: (.*)$", re.MULTILINE)
END = "-- end of the example --"

EXAMPLES = [(page, code) for page in PAGES for code in BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each example prints. One process runs all of them, so that networks are loaded once."""
    folder = tmp_path_factory.mktemp("examples")
    write_portrait_clip(folder / "clip.mp4", frames=20)
    program = f"for code in {[code for _, code in EXAMPLES]!r}:\n    exec(code, {{}})\n    print({END!r})"
    return run_python(program, cwd=folder).stdout.split(END)


def test_there_are_examples_on_both_pages() -> None:
    assert {page for page, _ in EXAMPLES} == set(PAGES)


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=[f"{page}-{number}" for number, (page, _) in enumerate(EXAMPLES)])
def test_an_example_prints_what_its_page_says(outputs: list[str], number: int) -> None:
    assert outputs[number].strip()
    for printed in PRINTED.findall(EXAMPLES[number][1]):
        assert printed in outputs[number]


@pytest.mark.parametrize("module", ["api.pictures", "examples"])
def test_the_examples_in_the_help_are_true(module: str) -> None:
    """Those of the other calls need a file or a camera."""
    found = import_module(f"ferstream.{module}")
    failures, tried = doctest.testmod(found)
    assert failures == 0
    assert tried > 0


def test_some_example_says_what_it_prints() -> None:
    assert any(PRINTED.search(code) for _, code in EXAMPLES)
