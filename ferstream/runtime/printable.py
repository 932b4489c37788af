"""Text that may hold anything, such as the name of a file, as it is shown on one line. Any thread."""

from __future__ import annotations

import math

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


def plain_number(value: float, digits: int = 4) -> str:
    """Return a number without an exponent: ``48000``, ``29.97``, ``0.0033``.

    Args:
        value: The number.
        digits: Significant digits; digits before the point are never cut.
    """
    if not math.isfinite(value):
        return str(value)
    places = 0 if value == 0 else max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
