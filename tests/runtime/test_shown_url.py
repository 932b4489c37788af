"""What of a URL is shown: scheme, host, port and the first part of the path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.runtime.redaction import redact
from ferstream.runtime.shown_url import mask_urls, shown_source


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://cam", "rtsp://cam"),
        ("rtsp://cam:554/", "rtsp://cam:554/"),
        ("rtsp://cam:554/live", "rtsp://cam:554/live"),
        ("rtsp://[::1]:554/live", "rtsp://[::1]:554/live"),
        ("rtsp://u:p@cam/live", "rtsp://***@cam/live"),
        ("rtsp://cam/admin/PASSWORD/ch1", "rtsp://cam/admin/***"),
        ("rtsp://cam//live/PASSWORD", "rtsp://cam//live/***"),
        ("http://cam/video.cgi?loginuse=a&loginpas=PASSWORD", "http://cam/video.cgi?***"),
        ("http://cam?p=PASSWORD", "http://cam?***"),
        ("http://cam/live#PASSWORD", "http://cam/live#***"),
        ("rtsp://cam/user=admin_password=PASSWORD_channel=1", "rtsp://cam/***"),
        ("rtsp://cam/live;pw=PASSWORD", "rtsp://cam/***"),
        ("rtsp://u:p@ss:PASSWORD@cam/live", "rtsp://***@cam/live"),
        ("rtsp://u:PASS/WORD@cam/live", "rtsp://***"),
        ("rtsp://u:p@PASS#WORD@cam/live", "rtsp://***"),
        ("rtsp://u:PASS WORD@cam/live", "rtsp://***@cam/live"),
        ("rtsp:u:PASSWORD@cam/live", "rtsp:***@cam/live"),
        (" rtsp ://u:PASSWORD@cam/live", "rtsp ://***@cam/live"),
        ("rtsp:///u:PASSWORD@cam", "rtsp://***"),
        ("rtps://u:PASSWORD@cam/a/b", "rtps://***@cam/a/***"),
        ("rtsp://u:PASSWORD", "rtsp://***"),
        ("admin:PASSWORD@192.168.1.5/a/PASSWORD", "***@192.168.1.5/a/***"),
        ("wss://broker/mqtt/PASSWORD", "wss://broker/mqtt/***"),
    ],
)
def test_a_source_shows_scheme_host_port_and_the_first_part_of_its_path(source: str, shown: str) -> None:
    assert shown_source(source) == shown
    assert shown_source(shown) == shown


@pytest.mark.parametrize(
    "path",
    ["/srv/a/b/clip.mp4", "clip.mp4", "a/b:c.mp4", "file:///srv/a/b.mp4", "file:/srv/a/b.mp4", "webcam:0", "demo:", "~/a b/c@d.mp4", ""],
)
def test_the_path_of_a_local_file_is_shown(path: str) -> None:
    assert shown_source(path) == path


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://cam/a/PASSWORD: no answer", "rtsp://cam/a/***: no answer"),
        ("(see http://cam/a/PASSWORD), or not", "(see http://cam/a/***), or not"),
        ("Invalid data: 'rtsp://u:p@cam/a/PASSWORD?x=1'", "Invalid data: 'rtsp://***@cam/a/***'"),
        ('{"url": "http://cam/a/PASSWORD", "n": 1}', '{"url": "http://cam/a/***", "n": 1}'),
        ("[rtsp @ 0x7f] rtsp://cam/a/PASS'WORD failed", "[rtsp @ 0x7f] rtsp://cam/a/*** failed"),
        ("<rtsp://cam/a/PASSWORD>", "<rtsp://cam/a/***>"),
        ("1rtsp://u:PASSWORD@cam", "1rtsp://***@cam"),
        ("from rtsp://h/a/PASSWORD,http://i/PASSWORD", "from rtsp://h/a/***"),
        ("file:///srv/a/b.mp4 and /srv/a/b.mp4", "file:///srv/a/b.mp4 and /srv/a/b.mp4"),
        ("file://u:PASSWORD@host/a/b.mp4", "file://***@host/a/b.mp4"),
        ("ferstream.toml:9: /srv/a/b", "ferstream.toml:9: /srv/a/b"),
        ("publishing to mqtt://broker:1883, topics a/b/#", "publishing to mqtt://broker:1883, topics a/b/#"),
    ],
)
def test_urls_in_a_text_are_masked_and_the_text_around_them_is_not(text: str, shown: str) -> None:
    assert mask_urls(text) == shown
    assert mask_urls(shown) == shown


urls = st.text("ab1/@:?#.&='\"<>()[]* %", max_size=40).map(lambda rest: "rtsp://" + rest)


@given(urls)
def test_masking_twice_changes_nothing_more(url: str) -> None:
    assert shown_source(shown_source(url)) == shown_source(url)
    assert redact(redact(f"a {url} b")) == redact(f"a {url} b")
