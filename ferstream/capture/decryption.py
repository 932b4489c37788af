"""Decrypts segments of HLS (AES-128 in CBC mode with PKCS #7 padding) by the AES of libav, while they are read."""

from __future__ import annotations

import ctypes
from typing import Protocol

from ferstream.capture.libav_memory import loaded_library

BLOCK_BYTES = 16
_DECRYPT = 1


class Body(Protocol):
    """A file that is read from its beginning to its end."""

    def read(self, size: int) -> bytes:
        """Return the next bytes, empty at the end."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class DecryptedBody:
    """The plain bytes of an encrypted body. One thread."""

    def __init__(self, body: Body, *, key: bytes, iv: bytes) -> None:
        """Set up; nothing is read yet.

        Args:
            body: The encrypted bytes.
            key: 16 bytes.
            iv: Initialisation vector, 16 bytes.

        Raises:
            ValueError: The key or the vector has another length.
            OSError: libav's library was not found.
        """
        if len(key) != BLOCK_BYTES or len(iv) != BLOCK_BYTES:
            raise ValueError("want a key and a vector of 16 bytes")
        self._body = body
        self._library = loaded_library()
        if self._library is None:
            raise OSError("libavutil was not found")
        self._library.av_aes_alloc.restype = ctypes.c_void_p
        self._aes = ctypes.c_void_p(self._library.av_aes_alloc())
        self._library.av_aes_init(self._aes, key, 8 * BLOCK_BYTES, _DECRYPT)
        self._iv = ctypes.create_string_buffer(iv, BLOCK_BYTES)
        self._encrypted = b""
        self._last = b""  # the last plain block so far: at the end, it has the padding

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most ``size``; empty at the end."""
        while True:
            data = self._body.read(max(BLOCK_BYTES, size - size % BLOCK_BYTES - BLOCK_BYTES))
            if not data:
                plain, self._last = self._last, b""
                return plain[: -plain[-1]] if plain and 0 < plain[-1] <= BLOCK_BYTES else plain
            plain = self._last + self._decrypted(self._encrypted + data)
            plain, self._last = plain[:-BLOCK_BYTES], plain[-BLOCK_BYTES:]
            if plain:
                return plain

    def close(self) -> None:
        """Close the encrypted body and free the key. More than once."""
        self._body.close()
        if self._aes and self._library is not None:
            self._library.av_free(self._aes)
            self._aes = ctypes.c_void_p(None)

    def _decrypted(self, data: bytes) -> bytes:
        """Decrypt whole blocks; keep the rest for later."""
        blocks = len(data) // BLOCK_BYTES
        whole, self._encrypted = data[: blocks * BLOCK_BYTES], data[blocks * BLOCK_BYTES :]
        if not blocks or not self._aes or self._library is None:
            return b""
        plain = ctypes.create_string_buffer(len(whole))
        self._library.av_aes_crypt(self._aes, plain, whole, blocks, self._iv, _DECRYPT)
        return plain.raw
