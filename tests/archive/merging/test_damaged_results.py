"""Files of results that are damaged anywhere: always one error that names the file."""

from __future__ import annotations

import random

import pytest

from ferstream.archive.chunk_file import decode_result, encode_result, result_name
from ferstream.errors import DataError
from tests.support.archives import empty_result

RESULT = empty_result(3, frames=40)
NAME, DATA = result_name(RESULT), encode_result(RESULT)


def test_a_whole_file_is_read() -> None:
    assert result_name(decode_result(DATA, NAME)) == NAME


@pytest.mark.parametrize("seed", range(8))
def test_a_flipped_byte_is_an_error_or_changes_nothing(seed: int) -> None:
    """Some bytes of a ZIP file mean nothing, such as its dates."""
    chance = random.Random(seed)
    for _ in range(60):
        data = bytearray(DATA)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        try:
            assert result_name(decode_result(bytes(data), NAME)) == NAME
        except DataError as exc:
            assert str(exc).startswith(f"{NAME}: ")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_a_file_that_is_cut_off_is_an_error(share: float) -> None:
    with pytest.raises(DataError, match=f"^{NAME}: "):
        decode_result(DATA[: int(len(DATA) * share)], NAME)


def test_the_file_of_another_result_is_an_error() -> None:
    other = empty_result(3, frames=41)

    with pytest.raises(DataError, match="not that of its name"):
        decode_result(encode_result(other), NAME)
