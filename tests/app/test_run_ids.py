"""Track numbers of two starts cannot be told to belong to the same face."""

from __future__ import annotations

from ferstream.app.assembly import random_run_id


def test_every_start_draws_a_new_run_id() -> None:
    drawn = {random_run_id() for _ in range(50)}
    assert len(drawn) > 45
    assert all(len(run) >= 4 for run in drawn)
