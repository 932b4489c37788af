"""MQTT 3.1.1 clients on a broker of MQTT 5: packets as the standards print them, and rubbish."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.broker.translate import MalformedPacketError, protocol_level, read_packet, to_v5, to_v311

CONNECT = bytes.fromhex("100d 0004 4d515454 04 02 003c 0001 78")


@pytest.mark.parametrize(
    ("v311", "v5"),
    [
        ("100d 0004 4d515454 04 02 003c 0001 78", "100e 0004 4d515454 05 02 003c 00 0001 78"),
        ("100d 0004 4d515454 04 00 003c 0001 78", "1013 0004 4d515454 05 00 003c 0511ffffffff 0001 78"),
        (
            "1015 0004 4d515454 04 06 003c 0001 78 0001 77 0003 627965",
            "1017 0004 4d515454 05 06 003c 00 0001 78 00 0001 77 0003 627965",
        ),
        ("3005 0001 61 6869", "3006 0001 61 00 6869"),
        ("3207 0001 61 0007 6869", "3208 0001 61 0007 00 6869"),
        ("8206 0001 0001 61 01", "8207 0001 00 0001 61 01"),
        ("a205 0001 0001 61", "a206 0001 00 0001 61"),
        ("4002 0007", "4002 0007"),
        ("c000", "c000"),
        ("e000", "e000"),
    ],
)
def test_from_a_client(v311: str, v5: str) -> None:
    assert to_v5(bytes.fromhex(v311)).hex() == bytes.fromhex(v5).hex()


@pytest.mark.parametrize(
    ("v5", "v311"),
    [
        ("2006 01 00 03 210014", "2002 01 00"),
        ("2003 00 86 00", "2002 00 04"),
        ("2003 00 87 00", "2002 00 05"),
        ("2003 00 99 00", "2002 00 03"),
        ("300c 0001 61 06 0101 02 000000 6869".replace("02 000000", "0101 0101"), "3005 0001 61 6869"),
        ("320a 0001 61 0007 02 0101 686921", "3208 0001 61 0007 686921"),
        ("4004 0007 10 00", "4002 0007"),
        ("9005 0001 00 01 87", "9004 0001 01 80"),
        ("b004 0001 00 11", "b002 0001"),
        ("d000", "d000"),
    ],
)
def test_from_the_broker(v5: str, v311: str) -> None:
    translated = to_v311(bytes.fromhex(v5))
    assert translated is not None
    assert translated.hex() == bytes.fromhex(v311).hex()


def test_a_disconnect_of_mqtt_5_has_no_counterpart() -> None:
    assert to_v311(bytes.fromhex("e001 8b")) is None


@given(st.binary(max_size=300), st.text(min_size=1, max_size=20), st.sampled_from([0, 1]))
def test_a_publish_comes_through_whole(payload: bytes, topic: str, qos: int) -> None:
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name + (b"\x00\x07" if qos else b"") + payload
    size = len(body)
    length = bytes((size,)) if size < 128 else bytes((size & 0x7F | 0x80, size >> 7))
    packet = bytes((0x30 | qos << 1,)) + length + body
    assert to_v311(to_v5(packet)) == packet


@given(st.binary(min_size=2, max_size=60))
def test_rubbish_is_refused_not_crashed_on(data: bytes) -> None:
    for translate in (to_v5, to_v311, protocol_level):
        try:
            translate(data)
        except (MalformedPacketError, IndexError) as exc:
            assert isinstance(exc, MalformedPacketError), translate


@pytest.mark.parametrize(("data", "level"), [(CONNECT, 4), (CONNECT[:8] + b"\x05" + CONNECT[9:], 5)])
def test_which_version_a_client_speaks(data: bytes, level: int) -> None:
    assert protocol_level(data) == level


def read(data: bytes) -> bytes:
    async def run() -> bytes:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await read_packet(reader)

    return asyncio.run(run())


def test_reading_takes_one_packet_and_no_more() -> None:
    assert read(CONNECT + b"\xc0\x00") == CONNECT
    long = b"\x30\x80\x01" + bytes(128)
    assert read(long + b"rest") == long


@pytest.mark.parametrize("data", [b"\x30\xff\xff\xff\xff\x01", b"\x30\xff\xff\xff\x7f"])
def test_lengths_that_are_none_or_too_much(data: bytes) -> None:
    with pytest.raises(MalformedPacketError):
        read(data)
