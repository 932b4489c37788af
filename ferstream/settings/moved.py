"""Keys that have moved: the old place of each still works, with a note about the new one."""

from __future__ import annotations

from ferstream.settings.keys import MOVED
from ferstream.settings.problems import Problem, dotted, value_at
from ferstream.settings.raw_values import Tree


def move_old_keys(tree: Tree) -> tuple[str, ...]:
    """Put each value that stands at an old place where it belongs now.

    Returns:
        A note for each key that was moved.
    """
    return tuple(_move(tree, old, new) for old, new in MOVED.items() if value_at(tree.data, old) is not None)


def _move(tree: Tree, old: tuple[str, ...], new: tuple[str, ...]) -> str:
    value, origin = tree.data[old[0]].pop(old[1]), tree.origin(old)
    table = tree.data.setdefault(new[0], {})
    if isinstance(table, dict) and table.get(new[1], value) != value:
        text = f"is now {dotted(new)}, which has another value ({tree.origin(new)}); take {dotted(old)} out"
        tree.problems.append(Problem(origin, dotted(old), text))
    elif isinstance(table, dict):
        table[new[1]] = value
        tree.origins.setdefault(new, origin)
    return f"{dotted(old)} is now {dotted(new)} ({origin})"
