"""What somebody may have meant whose file does not exist. Pure functions."""

from __future__ import annotations

import re
from pathlib import Path

_CAMERA = re.compile(r"(?i)(?:web)?cam(?:era)?[ :_-]?(\d{0,3})|(?:video)?(\d{1,3})")
_ADDRESS = re.compile(r"(?i)(rtsps?|rtmps?|https?|srt|rtp|udp|tcp):/")


def camera_number(path: Path) -> int | None:
    """Return the number of the webcam that a name looks like: ``0``, ``video0``, ``webcam1``, ``camera``; None if it does not."""
    match = _CAMERA.fullmatch(path.name)
    return None if match is None else int(match[1] or match[2] or 0)


def what_was_meant(path: Path) -> str:
    """Return what to do about a path at which there is no file."""
    address = _ADDRESS.search(str(path))
    if address is not None:
        return f"an address of a camera begins with {address[1].lower()}:// and is for run, check and demo; replay reads files"
    number = camera_number(path)
    return "check the path" if number is None else f"for the webcam /dev/video{number} write webcam:{number}"


def device_meant(path: Path) -> str:
    """Return what is wrong with a device as a recording, and what to write instead."""
    number = camera_number(path)
    if number is not None:
        return f"is a webcam, not a file; write webcam:{number}"
    return "is a device or terminal, not a recording; a webcam is webcam:0, a pipe is - (stdin)"
