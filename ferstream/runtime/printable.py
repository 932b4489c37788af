"""Text that may hold anything, such as the name of a file, as it is shown on one line. Any thread."""

from __future__ import annotations

_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF
"""Characters that Python puts in place of the bytes 0x80 to 0xFF of a file name that is not UTF-8."""


def printable(text: object) -> str:
    r"""Return the text of a value on one line: line ends, control characters and bytes that are not UTF-8 are written as escapes.

    The result can be printed, encoded as UTF-8 and put into JSON, whatever the name of a file was: ``caf\xe9.jpg``.
    """
    shown = str(text)
    return shown if shown.isprintable() else "".join(char if char.isprintable() else _escaped(char) for char in shown)


def _escaped(char: str) -> str:
    if _FIRST_BYTE <= ord(char) <= _LAST_BYTE:
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape", "replace").decode("ascii")
