"""Runs a stage as the pipeline does, with a channel as input and a list as output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ferstream.runtime.channel import Channel
from ferstream.runtime.counters import Counters
from ferstream.runtime.stage import Stage, StageHooks
from tests.support.runners import PATIENCE_S

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(slots=True)
class StageRun(Generic[In, Out]):
    """What a stage reported.

    Attributes:
        results: The results, in the order in which they were emitted.
        failed: Items whose handler raised, with the error.
        ends: Number of calls of ``on_end``.
        fatal: Fatal errors, with the name of the stage.
        counters: The counters of the stage.
    """

    results: list[Out] = field(default_factory=list)
    failed: list[tuple[In, BaseException]] = field(default_factory=list)
    ends: int = 0
    fatal: list[tuple[str, BaseException]] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)

    def hooks(
        self,
        take: Callable[[float], In],
        *,
        emit: Callable[[In, Out], None] | None = None,
        on_failed: Callable[[In], None] = lambda item: None,
        on_idle: Callable[[], None] | None = None,
    ) -> StageHooks[In, Out]:
        """Return hooks that record here; ``on_failed`` is called too."""

        def failed(item: In, exc: BaseException) -> None:
            self.failed.append((item, exc))
            on_failed(item)

        return StageHooks(
            take=take,
            emit=emit or (lambda item, result: self.results.append(result)),
            on_failed=failed,
            on_end=self._on_end,
            on_fatal=lambda name, exc: self.fatal.append((name, exc)),
            on_idle=on_idle,
        )

    def _on_end(self) -> None:
        self.ends += 1


def run_stage(handlers: Sequence[Callable[[In], Out]], items: Iterable[In], *, name: str = "work") -> StageRun[In, Out]:
    """Pass ``items`` to a stage, close its input and wait until it has ended."""
    waiting = list(items)
    channel: Channel[In] = Channel(capacity=max(1, len(waiting)))
    run: StageRun[In, Out] = StageRun()
    stage = Stage(name=name, handlers=handlers, hooks=run.hooks(channel.get), observer=run.counters)
    stage.start()
    for item in waiting:
        channel.put(item)
    channel.close()
    assert stage.join(PATIENCE_S), f"{name} did not end"
    return run
