"""Reads the plan of an archive from its store."""

from __future__ import annotations

from ferstream.archive.plan import PLAN, Plan, decode_plan
from ferstream.archive.storage.store import Store
from ferstream.errors import ConfigError


def read_plan(store: Store) -> Plan:
    """Read the plan of an archive.

    Raises:
        ConfigError: There is none, or it is damaged.
        OutputError: It cannot be read.
    """
    try:
        return decode_plan(store.read(PLAN))
    except FileNotFoundError:
        raise ConfigError(f"{store.where}: has no {PLAN}; make it with ferstream archive plan SOURCES --out {store.where}") from None
