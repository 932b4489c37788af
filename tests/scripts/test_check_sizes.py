"""The size rule finds what is too large, and exceptions that are not needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.check_sizes import Limits, problems, read_limits

LIMITS = Limits(folders=("src",), file_lines=10, function_lines=3, parameters=2)


def found(root: Path, text: str, limits: Limits = LIMITS) -> list[str]:
    (root / "src").mkdir()
    (root / "src" / "a.py").write_text(text)
    return problems(root, limits)


def test_small_files_and_functions_are_accepted(tmp_path: Path) -> None:
    assert found(tmp_path, "def f(a, b):\n    a()\n    b()\n") == []


def test_a_long_file_is_a_problem(tmp_path: Path) -> None:
    assert found(tmp_path, "x = 1\n" * 11) == ["src/a.py:1: 11 lines, the limit of a file is 10"]


def test_a_long_function_is_a_problem(tmp_path: Path) -> None:
    assert found(tmp_path, "\nasync def f():\n" + "    x = 1\n" * 3) == ["src/a.py:2: f has 4 lines, the limit is 3"]


def test_methods_and_inner_functions_are_measured_under_their_full_name(tmp_path: Path) -> None:
    body = "      x = 1\n" * 3
    lines = found(tmp_path, f"class A:\n  def f(self):\n    def g():\n{body}")
    assert [line.split(" ")[1] for line in lines] == ["A.f", "A.f.g"]


def test_docstring_and_decorators_are_not_counted(tmp_path: Path) -> None:
    assert found(tmp_path, '@d\n@d\ndef f():\n    """One.\n\n    Two.\n    """\n    x = 1\n    return x\n') == []


def test_a_string_that_is_no_docstring_is_counted(tmp_path: Path) -> None:
    assert found(tmp_path, 'def f():\n    return """One.\n\n    Two.\n    """\n') == ["src/a.py:1: f has 5 lines, the limit is 3"]


@pytest.mark.parametrize("signature", ["a, b, c", "a, /, b, *, c", "self, a, b, c", "cls, a, b, *, c=1"])
def test_many_parameters_are_a_problem(tmp_path: Path, signature: str) -> None:
    assert found(tmp_path, f"def f({signature}): ...\n") == ["src/a.py:1: f has 3 parameters, the limit is 2"]


@pytest.mark.parametrize("signature", ["self, a, b", "cls, a, *, b", "a, b, *rest, **more"])
def test_self_and_variable_parameters_are_not_counted(tmp_path: Path, signature: str) -> None:
    assert found(tmp_path, f"def f({signature}): ...\n") == []


def test_an_exception_covers_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    limits = replace(LIMITS, exceptions={"src/a.py:A.f": "the options of a command"})
    lines = found(tmp_path, "class A:\n    def f(self, a, b, c): ...\n    def g(self, a, b, c): ...\n", limits)
    assert lines == ["src/a.py:3: A.g has 3 parameters, the limit is 2"]


def test_an_exception_without_use_is_a_problem(tmp_path: Path) -> None:
    limits = replace(LIMITS, exceptions={"src/a.py": "a table"})
    assert found(tmp_path, "x = 1\n", limits) == ["pyproject.toml: the exception src/a.py is not needed"]


def test_an_exception_without_reason_is_a_problem(tmp_path: Path) -> None:
    limits = replace(LIMITS, exceptions={"src/a.py": " "})
    assert found(tmp_path, "x = 1\n" * 11, limits) == ["pyproject.toml: the exception src/a.py has no reason"]


def test_the_limits_of_this_repository_can_be_read(root_dir: Path) -> None:
    limits = read_limits(root_dir)
    assert (limits.file_lines, limits.function_lines, limits.parameters) == (350, 40, 8)
    assert all((root_dir / folder).is_dir() for folder in limits.folders)
