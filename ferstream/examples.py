"""Pictures for trying ferstream out: the portraits of the built-in demo clip, which installed packages bring along.

Grace Hopper (from matplotlib, always installed) and Eileen Collins (from scikit-image, with ``ferstream[faces]``): pictures of US
agencies in the public domain.
"""

from __future__ import annotations

from pathlib import Path


def portraits() -> list[Path]:
    """Return the files of all portraits that are installed.

    Example:
        >>> [path.name for path in portraits()][0]
        'grace_hopper.jpg'
    """
    from ferstream.capture.demo_clip import installed_portraits

    return list(installed_portraits())


def portrait() -> Path:
    """Return the file of the first portrait, Grace Hopper's: a JPEG of one face.

    Raises:
        ferstream.errors.SourceError: No portrait is installed.
    """
    found = portraits()
    if not found:
        from ferstream.errors import SourceError

        raise SourceError("no portrait is installed; pip install matplotlib")
    return found[0]
