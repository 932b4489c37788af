"""What the file of the outbox holds that it should not hold any more: rows to delete, and rows that fewer readers need.

Without threads, locks or files: ``OutboxState`` guards it.
"""

from __future__ import annotations

from collections.abc import Mapping, Set


class StoredRows:
    """The rows of the file, as the state of the outbox knows them.

    Attributes:
        count: Rows in the file.
        to_delete: Rows whose events are gone, in the order in which they went.
        to_update: Readers that are left, by row, for rows that some readers are done with.
    """

    def __init__(self) -> None:
        """Start with an empty file."""
        self.count = 0
        self.to_delete: list[int] = []
        self.to_update: dict[int, int] = {}

    @property
    def needed(self) -> int:
        """Rows whose events are still held."""
        return self.count - len(self.to_delete)

    def finish(self, row: int) -> None:
        """The event of a row is gone."""
        self.to_update.pop(row, None)
        self.to_delete.append(row)

    def deleted(self, count: int) -> None:
        """The first ``count`` rows of ``to_delete`` are deleted."""
        del self.to_delete[:count]
        self.count -= count

    def updated(self, rows: Mapping[int, int]) -> None:
        """These rows have these readers now; what changed meanwhile stays to be updated."""
        for row, readers in rows.items():
            if self.to_update.get(row) == readers:
                del self.to_update[row]

    def replace(self, rows: Set[int]) -> None:
        """The file holds these rows and no others."""
        self.to_delete = [row for row in self.to_delete if row in rows]
        self.to_update = {row: readers for row, readers in self.to_update.items() if row in rows}
        self.count = len(rows)
