"""Reads the plan of an archive from its store, and the settings in it."""

from __future__ import annotations

from ferstream.archive.plan import PLAN, Plan, decode_plan
from ferstream.archive.storage.store import Store
from ferstream.errors import ConfigError, first_line
from ferstream.settings import Settings


def read_plan(store: Store) -> Plan:
    """Read the plan of an archive.

    Raises:
        ConfigError: The archive has no plan, or the plan is damaged.
        OutputError: It cannot be read.
    """
    try:
        return decode_plan(store.read(PLAN))
    except FileNotFoundError:
        raise ConfigError(f"{store.where}: has no {PLAN}; make it with ferstream archive plan SOURCES --out {store.where}") from None


def settings_of(plan: Plan) -> Settings:
    """Return the settings of a plan.

    Raises:
        ConfigError: They are not those of this version.
    """
    try:
        return Settings.model_validate(dict(plan.settings))
    except ValueError as exc:
        raise ConfigError(f"plan.json: its settings are not those of this version of ferstream ({first_line(exc)})") from exc
