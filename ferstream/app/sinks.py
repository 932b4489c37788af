"""The sinks of a run, made from the settings: one row of ``SINKS`` per kind of sink."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ferstream.app.broker import broker_address
from ferstream.domain.ports import Sink
from ferstream.events.encode import Encoder
from ferstream.outbox.outbox import Outbox
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.observer import Observer
from ferstream.settings import Settings
from ferstream.sinks.mqtt.publisher import OnCommand, OnFatal
from ferstream.sinks.mqtt.sink import MqttSink
from ferstream.sinks.mqtt.topics import Topics


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkHooks:
    """What the threads of the sinks call.

    Attributes:
        on_command: Takes (camera, payload) of each MQTT command; None if commands are not wanted.
        on_fatal: Called with the thread's name and the error when a sink's thread dies.
    """

    on_command: OnCommand | None = None
    on_fatal: OnFatal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkContext:
    """What a sink is made from.

    Attributes:
        settings: The settings.
        outbox: Holds the events for sinks that need a network.
        observer: Counts what the sinks do.
        broker_url: Address of the embedded broker; None if the settings name a broker.
        hooks: What the sinks call.
    """

    settings: Settings
    outbox: Outbox
    observer: Observer
    broker_url: str | None = None
    hooks: SinkHooks = SinkHooks()


def mqtt_sink(context: SinkContext) -> Sink:
    """Make the MQTT sink."""
    settings = context.settings
    return MqttSink(
        address=broker_address(settings, url=context.broker_url),
        topics=Topics(prefix=settings.mqtt.prefix, node=settings.node),
        outbox=context.outbox,
        observer=context.observer,
        on_command=context.hooks.on_command if settings.mqtt.commands else None,
        on_fatal=context.hooks.on_fatal,
    )


SINKS: tuple[Callable[[SinkContext], Sink | None], ...] = (mqtt_sink,)
"""Makes each kind of sink; None when the settings do not ask for it."""


def network_sinks(
    settings: Settings,
    *,
    encoder: Encoder,
    observer: Observer,
    durable: bool,
    broker_url: str | None = None,
    hooks: SinkHooks | None = None,
    extra: Sequence[Sink] = (),
) -> SinkSet:
    """Make every sink that the settings ask for, over one outbox; nothing is opened yet.

    Args:
        settings: The settings.
        encoder: Numbers and encodes the events of the run.
        observer: Counts what the sinks and the outbox do.
        durable: Keep the outbox on disk, if the settings name a place.
        broker_url: Address of the embedded broker, if there is one.
        hooks: What the sinks call.
        extra: More sinks that take the same messages.
    """
    outbox = Outbox(
        directory=settings.outbox.directory if durable else None,
        max_events=settings.outbox.max_events,
        max_bytes=settings.outbox.max_bytes,
        observer=observer,
        per_face=not settings.privacy.aggregate_only,
    )
    context = SinkContext(settings=settings, outbox=outbox, observer=observer, broker_url=broker_url, hooks=hooks or SinkHooks())
    sinks = [sink for make in SINKS if (sink := make(context)) is not None]
    return SinkSet(encoder=encoder, sinks=(*sinks, *extra), outbox=outbox, observer=observer)
