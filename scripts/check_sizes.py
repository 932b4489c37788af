"""Check that files, functions and signatures stay small; ``make lint`` runs it.

The limits and the exceptions, each with its reason, are in ``[tool.ferstream.sizes]`` of pyproject.toml.
An exception that is no longer needed is an error too, so that the list does not grow old.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits and where they hold; the fields have the names of the keys in pyproject.toml.

    Attributes:
        folders: Folders to look through, relative to the root of the repository.
        file_lines: Most lines of a file.
        function_lines: Most lines of a function, its docstring and decorators not counted.
        parameters: Most parameters of a function; ``self`` and ``cls`` are not counted.
        exceptions: Reason by name: ``path.py`` for a file, ``path.py:Class.function`` for a function.
    """

    folders: tuple[str, ...]
    file_lines: int
    function_lines: int
    parameters: int
    exceptions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A file or a function over a limit."""

    name: str
    line: int
    text: str


def read_limits(root: Path) -> Limits:
    """Read the limits from pyproject.toml."""
    table = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ferstream"]["sizes"]
    return Limits(**{**table, "folders": tuple(table["folders"])})


def problems(root: Path, limits: Limits) -> list[str]:
    """Return one line for each file or function over a limit, and for each exception without a use or a reason."""
    found = [item for path in python_files(root, limits) for item in measure_file(path, path.relative_to(root).as_posix(), limits)]
    lines = [f"{item.name.partition(':')[0]}:{item.line}: {item.text}" for item in found if item.name not in limits.exceptions]
    unused = limits.exceptions.keys() - {item.name for item in found}
    lines += [f"pyproject.toml: the exception {name} is not needed" for name in sorted(unused)]
    lines += [f"pyproject.toml: the exception {name} has no reason" for name, reason in limits.exceptions.items() if not reason.strip()]
    return lines


def python_files(root: Path, limits: Limits) -> list[Path]:
    """Return the Python files of the folders, in order."""
    return sorted(path for folder in limits.folders for path in (root / folder).rglob("*.py"))


def measure_file(path: Path, name: str, limits: Limits) -> Iterator[TooLarge]:
    """Yield the file itself and the functions in it that are over a limit."""
    text = path.read_text(encoding="utf-8")
    count = len(text.splitlines())
    if count > limits.file_lines:
        yield TooLarge(name, 1, f"{count} lines, the limit of a file is {limits.file_lines}")
    for qualified, function in functions(ast.parse(text)):
        whole = f"{name}:{qualified}"
        if (lines := function_lines(function)) > limits.function_lines:
            yield TooLarge(whole, function.lineno, f"{qualified} has {lines} lines, the limit is {limits.function_lines}")
        if (number := parameters(function)) > limits.parameters:
            yield TooLarge(whole, function.lineno, f"{qualified} has {number} parameters, the limit is {limits.parameters}")


def functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Yield every function below a node with its qualified name, ``Class.function``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield f"{prefix}{child.name}", child
        inner = f"{prefix}{child.name}." if isinstance(child, Function | ast.ClassDef) else prefix
        yield from functions(child, inner)


def function_lines(function: Function) -> int:
    """Return the lines from ``def`` to the end, without those of the docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def parameters(function: Function) -> int:
    """Return the number of parameters without ``self``, ``cls``, ``*args`` and ``**kwargs``."""
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(names[1:] if names[:1] in (["self"], ["cls"]) else names)


def main() -> int:
    """Print what is too large; the exit status is 1 if anything is."""
    root = Path(__file__).resolve().parents[1]
    lines = problems(root, read_limits(root))
    for line in lines:
        print(line)
    print(f"sizes: {len(lines)} problems" if lines else "sizes: no problems")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
