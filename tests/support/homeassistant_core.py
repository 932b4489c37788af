"""A Home Assistant core with its MQTT integration, run by the Python it is installed for: ``core.py BROKER_PORT FOLDER PAGE_PORT``.

It writes a JSON line for each state that changes, and reads JSON lines: ``{"do": "devices"}``, ``{"do": "call", ...}``,
``{"do": "automate", ...}``, ``{"do": "stop"}``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

from homeassistant import bootstrap, loader
from homeassistant.auth import auth_manager_from_config
from homeassistant.config_entries import ConfigEntries, ConfigEntry
from homeassistant.core import Event, HomeAssistant, ServiceCall, State
from homeassistant.helpers import device_registry, entity_registry
from homeassistant.setup import async_setup_component


def write(line: dict[str, Any]) -> None:
    """Write one line to the test."""
    print(json.dumps(line, default=str), flush=True)


async def start(port: int, folder: Path, page: int) -> HomeAssistant:
    """Start the core, and its MQTT integration as a user adds it."""
    folder.mkdir(exist_ok=True)
    (folder / "configuration.yaml").write_text("homeassistant:\n")
    hass = HomeAssistant(str(folder))
    hass.config.skip_pip = True
    loader.async_setup(hass)
    hass.config_entries = ConfigEntries(hass, {})
    await bootstrap.async_load_base_functionality(hass)
    hass.auth = await auth_manager_from_config(hass, [{"type": "homeassistant"}], [])
    settings = {"homeassistant": {}, "http": {"server_host": "127.0.0.1", "server_port": page}}
    for name in settings:
        assert await async_setup_component(hass, name, settings), name
    hass.bus.async_listen("state_changed", lambda event: changed(event))
    if known := hass.config_entries.async_entries("mqtt"):
        assert await async_setup_component(hass, "mqtt", settings), known
    await hass.async_start()
    if not known:
        await hass.config_entries.async_add(entry(port))
    return hass


def entry(port: int) -> ConfigEntry:
    """The MQTT integration with its defaults."""
    return ConfigEntry(
        domain="mqtt",
        title="broker",
        data={"broker": "127.0.0.1", "port": port, "protocol": "5"},
        options={},
        source="user",
        unique_id=None,
        version=1,
        minor_version=2,
        discovery_keys={},
        subentries_data=None,
    )


def changed(event: Event) -> None:
    """Write a state that changed; None for an entity that is gone."""
    new: State | None = event.data["new_state"]
    write(
        {
            "entity": event.data["entity_id"],
            "state": None if new is None else new.state,
            "attributes": {} if new is None else dict(new.attributes),
        }
    )


def devices(hass: HomeAssistant) -> list[dict[str, Any]]:
    """The devices, and the entities of each."""
    entities, known = entity_registry.async_get(hass), device_registry.async_get(hass)
    return [
        {
            "name": device.name,
            "model": device.model,
            "version": device.sw_version,
            "via": None if device.via_device_id is None else known.devices[device.via_device_id].name,
            "entities": {
                entity.entity_id: {"unique_id": entity.unique_id, "category": entity.entity_category}
                for entity in entity_registry.async_entries_for_device(entities, device.id, include_disabled_entities=True)
            },
        }
        for device in known.devices.values()
    ]


def called(call: ServiceCall) -> None:
    """Write a call of a service of a lamp that is not there."""
    write({"called": f"{call.domain}.{call.service}", "entities": call.data.get("entity_id")})


async def obey(hass: HomeAssistant, command: dict[str, Any]) -> None:
    """Carry out one command."""
    if command["do"] == "devices":
        write({"devices": devices(hass)})
    elif command["do"] == "automate":
        for service in ("turn_on", "turn_off"):
            hass.services.async_register("light", service, called)
        assert await async_setup_component(hass, "automation", {"automation": command["automations"]})
    else:
        await hass.services.async_call(command["domain"], command["service"], command["data"], blocking=True)


async def main() -> None:
    """Run until the test says stop or goes away."""
    hass = await start(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    write({"ready": True})
    while line := await hass.loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        if command["do"] == "stop":
            break
        await obey(hass, command)
    await hass.async_stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    asyncio.run(main())
