"""The redaction changes none of the program's own texts: it masks values, not advice such as ``needs a token; name a file``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ferstream
from ferstream.runtime.redaction import forget_secrets, redact

ROOM = Path(ferstream.__file__).parent
NOT_SHOWN = ("https://json-schema.org/draft/2020-12/schema", "Authorization: 1")
"""Texts that are data, never part of a message."""


def own_texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of every string but docstrings; a value that is filled in is written as 1."""
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            yield node.lineno, "".join(str(part.value) if isinstance(part, ast.Constant) else "1" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.lineno, node.value


@pytest.mark.parametrize("module", sorted(path.relative_to(ROOM).as_posix() for path in ROOM.rglob("*.py")))
def test_the_texts_of_a_module_are_not_changed(module: str) -> None:
    forget_secrets()  # another test of this process may have registered a word of these texts
    texts = own_texts(ast.parse((ROOM / module).read_text()))
    changed = {line: (text, redact(text)) for line, text in texts if redact(text) != text and text not in NOT_SHOWN}
    assert not changed
