"""Announcing the node and its cameras: what is published when, and what is removed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ferstream.app.homeassistant import Births, HomeAssistant, messages_of, published_topics
from ferstream.events.schemas import NODE
from ferstream.homeassistant.ids import device_id
from ferstream.homeassistant.published import PublishedTopics
from ferstream.settings import Settings
from ferstream.sinks.mqtt.retained_messages import OnRemoved
from tests.support.builders import node_state
from tests.support.clock import FakeClock
from tests.support.discovery_schema import check_all

MakeSettings = Callable[..., Settings]


class Broker:
    """Takes what is announced, as a broker keeps it; removals are acknowledged at once or never."""

    def __init__(self, *, answers: bool = True) -> None:
        self.retained: dict[str, bytes] = {}
        self.log: list[str] = []
        self._answers = answers

    def announce(self, topic: str, payload: bytes) -> None:
        """Keep a message."""
        self.retained[topic] = payload
        self.log.append(topic)

    def set_value(self, topic: str, schema: str, payload: bytes) -> None:
        """Keep a value."""
        assert schema == NODE
        self.announce(topic, payload)

    def remove(self, topic: str, on_removed: OnRemoved | None = None) -> None:
        """Remove a message."""
        self.retained.pop(topic, None)
        self.log.append(f"-{topic}")
        if self._answers and on_removed is not None:
            on_removed(topic)


def with_cameras(*names: str, **tables: Any) -> dict[str, Any]:
    return {
        "node": "edge-1",
        "cameras": [{"name": name, "source": "demo:"} for name in names],
        "homeassistant": {"discovery": True},
    } | tables


def topic_of(*names: str) -> str:
    return f"homeassistant/device/{device_id('ferstream', 'edge-1', *names)}/config"


NODE_TOPIC, DOOR, YARD = topic_of(), topic_of("door"), topic_of("yard")
VALUES = "ferstream/edge-1/node"


class Rig:
    """An announcer over a broker."""

    def __init__(self, settings: Settings, *, path: Path | None = None, answers: bool = True) -> None:
        self.broker, self.births, self.clock = Broker(answers=answers), Births(), FakeClock()
        self.published = PublishedTopics(path)
        self.made = HomeAssistant(
            self.broker, settings, published=self.published, births=self.births, node_state=node_state, clock=self.clock
        )
        self.made.apply(settings.cameras)

    def after(self, seconds: float) -> list[str]:
        """Let time pass and tick; the topics published meanwhile."""
        self.broker.log.clear()
        self.clock.advance(seconds)
        self.made.tick()
        return self.broker.log


def test_the_node_and_each_camera_are_announced(make_settings: MakeSettings) -> None:
    rig = Rig(make_settings(**with_cameras("door", "yard")))
    assert rig.broker.log == [NODE_TOPIC, DOOR, YARD]
    assert len(check_all(rig.broker.retained, "homeassistant")) == 9 + 6 + 6
    names = {json.loads(payload)["device"]["name"] for payload in rig.broker.retained.values()}
    assert names == {"ferstream edge-1", "edge-1 door", "edge-1 yard"}


def test_without_discovery_nothing_is_published(make_settings: MakeSettings) -> None:
    rig = Rig(make_settings(**with_cameras("door", homeassistant={})))
    rig.births.put(b"online")
    assert rig.after(60) == []
    assert rig.broker.retained == {}


def test_a_reload_announces_new_cameras_and_removes_those_that_are_gone(make_settings: MakeSettings) -> None:
    rig = Rig(make_settings(**with_cameras("door")))
    rig.broker.log.clear()
    rig.made.apply(make_settings(**with_cameras("yard")).cameras)
    assert rig.broker.log == [f"-{DOOR}", YARD]
    assert rig.published.topics == {NODE_TOPIC, YARD, VALUES}


def test_a_reload_without_a_change_publishes_nothing(make_settings: MakeSettings) -> None:
    rig = Rig(make_settings(**with_cameras("door")))
    rig.broker.log.clear()
    rig.made.apply(make_settings(**with_cameras("door")).cameras)
    assert rig.broker.log == []


def test_other_settings_stay_those_of_the_start(make_settings: MakeSettings) -> None:
    rig = Rig(make_settings(**with_cameras("door")))
    rig.made.apply(make_settings(**with_cameras("door", "yard", homeassistant={"discovery": False})).cameras)
    assert rig.broker.retained.keys() == {NODE_TOPIC, DOOR, YARD}


def test_a_later_run_removes_what_is_no_longer_wanted(make_settings: MakeSettings, tmp_path: Path) -> None:
    path = tmp_path / "published.json"
    Rig(make_settings(**with_cameras("door", "yard")), path=path)
    second = Rig(make_settings(**with_cameras("yard")), path=path, answers=False)
    assert second.broker.log == [f"-{DOOR}", NODE_TOPIC, YARD]
    third = Rig(make_settings(**with_cameras("yard", homeassistant={})), path=path)  # the broker never answered the second run
    assert third.broker.log == [f"-{topic}" for topic in (*sorted((NODE_TOPIC, DOOR, YARD)), VALUES)]
    third.after(1)
    assert PublishedTopics(path).topics == frozenset()


def test_another_form_replaces_the_first(make_settings: MakeSettings, tmp_path: Path) -> None:
    path = tmp_path / "published.json"
    Rig(make_settings(**with_cameras("door")), path=path)
    rig = Rig(make_settings(**with_cameras("door", homeassistant={"discovery": True, "per_entity": True, "prefix": "ha"})), path=path)
    assert rig.broker.log[:2] == [f"-{topic}" for topic in sorted([NODE_TOPIC, DOOR])]
    assert len(check_all(rig.broker.retained, "ha")) == len(rig.broker.retained) == 15


def test_what_will_be_published_is_remembered_first(make_settings: MakeSettings, tmp_path: Path) -> None:
    path, known = tmp_path / "published.json", []

    class Watching(Broker):
        def announce(self, topic: str, payload: bytes) -> None:
            known.append(topic in PublishedTopics(path).topics)

    settings = make_settings(**with_cameras("door"))
    made = HomeAssistant(Watching(), settings, published=PublishedTopics(path), births=Births(), node_state=node_state, clock=FakeClock())
    made.apply(settings.cameras)
    assert known == [True, True]


def test_a_removal_that_is_acknowledged_while_its_camera_returns_is_not_forgotten(make_settings: MakeSettings) -> None:
    class Late(Broker):
        """Acknowledges a removal when its topic is announced again."""

        def __init__(self) -> None:
            super().__init__()
            self.waiting: dict[str, OnRemoved] = {}

        def remove(self, topic: str, on_removed: OnRemoved | None = None) -> None:
            assert on_removed is not None
            self.waiting[topic] = on_removed

        def announce(self, topic: str, payload: bytes) -> None:
            if topic in self.waiting:
                self.waiting.pop(topic)(topic)

    settings, published = make_settings(**with_cameras("door")), PublishedTopics(None)
    made = HomeAssistant(Late(), settings, published=published, births=Births(), node_state=node_state, clock=FakeClock())
    for cameras in (settings.cameras, (), settings.cameras):
        made.apply(cameras)
    assert published.topics == {NODE_TOPIC, DOOR, VALUES}


def test_a_start_of_home_assistant_publishes_again_but_not_more_often_than_every_five_seconds(make_settings: MakeSettings) -> None:
    rig = Rig(make_settings(**with_cameras("door")))
    rig.after(30)  # the state of the node, once
    both = [NODE_TOPIC, DOOR]
    rig.births.put(b"online")
    assert rig.after(1) == both
    rig.births.put(b"online")
    assert rig.after(1) == []
    rig.births.put(b"online")
    assert rig.after(4) == both
    assert rig.after(10) == []


@pytest.mark.parametrize("payload", [b"offline", b"", b"\xff", b"onlines"])
def test_other_words_of_home_assistant_are_ignored(make_settings: MakeSettings, payload: bytes) -> None:
    rig = Rig(make_settings(**with_cameras("door")))
    rig.after(30)
    rig.births.put(payload)
    assert rig.after(10) == []


def test_the_state_of_the_node_is_published_at_once_and_every_thirty_seconds(make_settings: MakeSettings) -> None:
    rig = Rig(make_settings(**with_cameras("door")))
    assert rig.after(0) == [VALUES]
    assert rig.after(29) == []
    assert rig.after(1) == [VALUES]


def test_with_aggregate_only_no_message_names_events_of_single_faces(make_settings: MakeSettings) -> None:
    private = make_settings(**with_cameras("door", privacy={"aggregate_only": True}))
    for payload in messages_of(private, node_s=30.0).values():
        assert b"/track" not in payload
        assert b"/face" not in payload
    assert any(b"/track" in payload for payload in messages_of(make_settings(**with_cameras("door")), node_s=30.0).values())


@pytest.mark.parametrize(
    ("http", "page"),
    [
        ({}, None),
        ({"listen": "0.0.0.0:9108", "token": "t" * 32}, None),
        ({"listen": "192.0.2.7:9108", "token": "t" * 32}, "http://192.0.2.7:9108"),
        ({"listen": "[2001:db8::7]:9108", "token": "t" * 32}, "http://[2001:db8::7]:9108"),
        ({"listen": "192.0.2.7:0", "token": "t" * 32}, None),
        ({"listen": "192.0.2.7:9108", "token": "t" * 32, "enabled": False}, None),
    ],
)
def test_the_page_is_named_where_others_can_reach_it(make_settings: MakeSettings, http: dict[str, Any], page: str | None) -> None:
    made = messages_of(make_settings(**with_cameras("door", http=http)), node_s=30.0)
    assert json.loads(made[NODE_TOPIC])["device"].get("configuration_url") == page


def test_only_a_durable_daemon_writes_into_the_state_folder(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    for durable, files in ((False, 0), (True, 1)):
        published = published_topics(make_settings(**with_cameras("door")), durable=durable)
        published.add({DOOR})
        published.save()
        assert len(list(tmp_path.glob("state/homeassistant-*.json"))) == files
