"""Networks that calls share: lent to one call at a time, kept for the next one, freed at the end."""

from __future__ import annotations

import pytest

from ferstream.api.pool import Pool
from tests.support.threads import Task, wait_until


class Loaded:
    """Counts what is loaded and freed."""

    def __init__(self, key: str) -> None:
        if key == "broken":
            raise ValueError(key)
        self.key, self.closed = key, False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def pool() -> Pool[str, Loaded]:
    return Pool(make=Loaded, most_in_use=2, keep=2)


def test_a_value_that_was_returned_is_lent_again(pool: Pool[str, Loaded]) -> None:
    with pool.borrowed("a") as first:
        pass
    with pool.borrowed("a") as second:
        assert second is first
        with pool.borrowed("a") as other:
            assert other is not first


def test_a_value_of_another_key_is_not_lent(pool: Pool[str, Loaded]) -> None:
    with pool.borrowed("a"):
        pass
    with pool.borrowed("b") as value:
        assert value.key == "b"


def test_a_value_whose_use_failed_is_freed(pool: Pool[str, Loaded]) -> None:
    with pytest.raises(ValueError, match="in use"), pool.borrowed("a") as value:
        raise ValueError("in use")
    assert value.closed
    assert pool.idle == 0


def test_the_oldest_value_is_freed_when_too_many_are_kept(pool: Pool[str, Loaded]) -> None:
    values = []
    for key in ("a", "b", "c"):
        with pool.borrowed(key) as value:
            values.append(value)
    assert [value.closed for value in values] == [True, False, False]
    pool.clear()
    assert all(value.closed for value in values)
    assert pool.idle == 0


def test_a_call_beyond_the_limit_waits_for_a_value(pool: Pool[str, Loaded]) -> None:
    first, second = pool.take("a"), pool.take("a")
    third = Task(lambda: pool.take("a"))
    wait_until(lambda: pool.waiting == 1)
    with pool.borrowed("b"):  # another key does not wait
        pool.give("a", second)
    assert third.result() is second
    pool.discard("a", first)
    assert first.closed


def test_a_value_that_cannot_be_loaded_takes_no_place(pool: Pool[str, Loaded]) -> None:
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"):
            pool.take("broken")
