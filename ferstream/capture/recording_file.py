"""Opens a recording for libav: a file, or a pipe that is read once. Errors name the cause, where libav would report invalid data."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import nullcontext
from pathlib import Path

import av
from av.container import InputContainer

from ferstream.capture.file_bytes import STDIN, FileBytes, PipeReader, RegularFile, is_pipe, stdin_fd
from ferstream.capture.formats import allowed_formats
from ferstream.capture.libav_memory import limit_libav_memory
from ferstream.capture.source_hints import device_meant, what_was_meant
from ferstream.errors import SourceError, SourceFormatError

_STDIN_FILE = Path("/dev/stdin")
_FOR_ERRORS = 4096
_EMPTY = "is empty; record or copy it again"
_CUT_OFF = "was cut off before its index was written; record or copy it again, or repair it"
_MP4_IN_A_PIPE = (
    "is an MP4 whose index is at its end, which cannot be read from a pipe; make it with -movflags faststart or frag_keyframe, or as mkv"
)


class RecordingFile:
    """A recording that libav reads. The thread that decodes uses it; any thread may call ``close``."""

    def __init__(self, path: Path, *, name: str, max_pixels: int) -> None:
        """Open the file; a pipe is not read yet.

        Args:
            path: The recording; ``-`` is the standard input.
            name: Its name for messages.
            max_pixels: Width times height of the largest picture.

        Raises:
            SourceError: It is missing, unreadable or empty.
        """
        self._name, self._max_pixels = name, max_pixels
        self._path = _STDIN_FILE if path == STDIN and not is_pipe(path) else path
        _check_file(self._path, name)
        self._pipe = _open_pipe(path, name) if is_pipe(path) else None

    @property
    def can_be_read_again(self) -> bool:
        """Whether the recording can be opened a second time; a pipe cannot."""
        return self._pipe is None

    @property
    def is_waiting(self) -> bool:
        """Whether a pipe has no data at present."""
        return self._pipe is not None and self._pipe.waiting

    def open_container(self) -> InputContainer:
        """Let libav open the recording; for a pipe this waits for its first data.

        Raises:
            SourceFormatError: It is no recording that libav can read.
        """
        limit_libav_memory(self._max_pixels)
        options = {"format_whitelist": allowed_formats(), "protocol_whitelist": "file"}
        try:
            return self._open(options)
        except av.FFmpegError as exc:
            reason = self._why_unreadable()
            self.release()
            if self._pipe is None and reason is _CUT_OFF:
                return self._open_fragments(options, exc)
            raise SourceFormatError(f"{self._name}: {reason}") from exc

    def content(self) -> RegularFile | nullcontext[FileBytes | None]:
        """Return a context with the bytes of the recording; with None if the file has been removed."""
        try:
            return RegularFile(self._path) if self._pipe is None else nullcontext(self._pipe)
        except OSError:
            return nullcontext(None)

    def no_picture(self) -> SourceFormatError:
        """Return the error of a recording that libav opens, and in which no picture can be decoded."""
        if self._pipe is not None and self._head()[4:8] == b"ftyp":
            return SourceFormatError(f"{self._name}: {_MP4_IN_A_PIPE}")
        return SourceFormatError(f"{self._name}: no picture in it can be decoded; record or copy it again")

    def close(self) -> None:
        """End a wait for data; any thread, more than once."""
        if self._pipe is not None:
            self._pipe.close()

    def release(self) -> None:
        """Close a pipe for good, after libav has closed the recording."""
        if self._pipe is not None:
            self._pipe.release()

    def _open(self, options: dict[str, str]) -> InputContainer:
        file = os.fspath(self._path.absolute()) if self._pipe is None else self._pipe
        return av.open(file, "r", options=options, metadata_errors="replace")

    def _open_fragments(self, options: dict[str, str], error: av.FFmpegError) -> InputContainer:
        """Open an MP4 of fragments that ends within one: libav reads it when it does not look for all fragments first."""
        try:
            return self._open({**options, "fflags": "+ignidx"})
        except av.FFmpegError:
            raise SourceFormatError(f"{self._name}: {_CUT_OFF}") from error

    def _head(self) -> bytes:
        with self.content() as data:
            return b"" if data is None else data.read_at(0, _FOR_ERRORS)

    def _why_unreadable(self) -> str:
        """Return why libav cannot open the recording, from its first bytes."""
        head = self._head()
        if not head:
            return _EMPTY
        if head[4:8] == b"ftyp":
            return _CUT_OFF if self._pipe is None else _MP4_IN_A_PIPE
        if b"\0" not in head and head.isascii():
            return "is text, not a video; name a recording (mp4, mov, mkv, avi, webm, gif)"
        return "is not a video that can be decoded, or is damaged at its beginning; convert it to mp4 or mkv"


def _open_pipe(path: Path, name: str) -> PipeReader:
    try:
        return PipeReader(path)
    except OSError as exc:
        raise SourceError(f"{name}: cannot be opened ({os.strerror(exc.errno or errno.EIO)})") from None


def _check_file(path: Path, name: str) -> None:
    """Raise a SourceError that names the cause."""
    try:
        found = os.fstat(stdin_fd()) if path == STDIN else path.stat()
    except PermissionError:
        raise SourceError(f"{name}: no permission to read its directory; allow this user to read it") from None
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(f"{name}: no such file; {what_was_meant(path)}") from None
    except (OSError, ValueError) as exc:
        raise SourceError(f"{name}: is not a valid file name ({type(exc).__name__}); check the path") from None
    if stat.S_ISDIR(found.st_mode):
        raise SourceError(f"{name}: is a directory; name a video file in it")
    if stat.S_ISCHR(found.st_mode):
        raise SourceError(f"{name}: {device_meant(path)}")
    if path != STDIN and not os.access(path, os.R_OK):
        raise SourceError(f"{name}: no permission to read it; make it readable for this user")
    if stat.S_ISREG(found.st_mode) and found.st_size == 0:
        raise SourceFormatError(f"{name}: {_EMPTY}")
