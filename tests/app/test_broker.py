"""The broker of the settings: the embedded one, and the address of any other."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ferstream.app.broker import broker_address, broker_for
from ferstream.broker.embedded import EmbeddedBroker
from ferstream.settings import Settings

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]


def test_the_embedded_broker_runs_inside_the_block_only(make_settings: MakeSettings) -> None:
    with broker_for(make_settings(mqtt={"url": "embedded"}), durable=False) as broker:
        assert broker is not None
        assert broker.running
        with socket.create_connection(("127.0.0.1", broker.port), timeout=10):
            pass
    assert not broker.running


def test_the_embedded_broker_ends_after_an_error_too(make_settings: MakeSettings) -> None:
    settings = make_settings(mqtt={"url": "embedded"})
    with pytest.raises(RuntimeError, match="stage"), broker_for(settings, durable=False) as broker:
        raise RuntimeError("stage")
    assert broker is not None
    assert not broker.running


@pytest.mark.parametrize("durable", [True, False])
def test_the_log_names_the_file_of_the_password_and_never_the_password(
    make_settings: MakeSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture, durable: bool
) -> None:
    caplog.set_level(logging.INFO, "ferstream")
    settings = make_settings(mqtt={"url": "embedded"}, outbox={"path": str(tmp_path / "outbox")})
    with broker_for(settings, durable=durable) as broker:
        assert broker is not None
        path = broker.password_path
        assert path is not None
        assert (path.parent == tmp_path / "outbox") == durable
        assert path.read_text() == f"{broker.login.password}\n"
        assert str(path) in caplog.text
        assert broker.login.password not in caplog.text
    assert not path.exists()


def test_any_other_broker_is_not_started(make_settings: MakeSettings) -> None:
    with broker_for(make_settings(mqtt={"url": "mqtt://broker.lan"}), durable=True) as broker:
        assert broker is None


def test_the_address_holds_everything_that_is_needed_to_connect(make_settings: MakeSettings, tmp_path: Path) -> None:
    files = {key: tmp_path / f"{key}.pem" for key in ("ca_file", "cert_file", "key_file")}
    mqtt = {
        "url": "mqtts://joe:zirkel@broker.lan:8884",
        "client_id": "box-7",
        "protocol": "3.1.1",
        "keepalive_s": 55,
        "insecure": True,
        **files,
    }
    address = broker_address(make_settings(mqtt=mqtt))
    assert (address.url, address.client_id, address.protocol, address.keepalive_s) == ("mqtts://broker.lan:8884", "box-7", 4, 55)
    assert (address.username, address.password, address.insecure) == ("joe", "zirkel", True)
    assert {"ca_file": address.ca_file, "cert_file": address.cert_file, "key_file": address.key_file} == files


def test_the_defaults_of_an_address(make_settings: MakeSettings) -> None:
    address = broker_address(make_settings(mqtt={"url": "mqtt://broker.lan"}))
    assert (address.client_id, address.protocol, address.keepalive_s) == ("ferstream-edge-1", 5, 30)
    assert (address.username, address.password, address.insecure) == (None, None, False)
    assert (address.ca_file, address.cert_file, address.key_file) == (None, None, None)


@pytest.mark.parametrize("protocol", [5, "3.1.1"])
def test_address_and_login_of_the_embedded_broker_replace_those_of_the_settings(make_settings: MakeSettings, protocol: object) -> None:
    settings = make_settings(mqtt={"url": "embedded", "client_id": "box-7", "protocol": protocol})
    broker = EmbeddedBroker()
    address = broker_address(settings, broker)
    assert (address.url, address.client_id) == (broker.url, "box-7")
    assert (address.username, address.password) == ("ferstream", broker.login.password)
