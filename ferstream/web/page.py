"""The live page of a running daemon, as its main thread holds it: the feed, the history, and what every stream begins with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ferstream.domain.event import CameraState
from ferstream.web.feed import LiveFeed
from ferstream.web.history import History
from ferstream.web.messages import LiveMessage, camera_message, hello_message, summary_message


class LivePage:
    """What people see of a daemon.

    Attributes:
        feed: Takes frames from the pipeline while somebody looks.
        history: The last minutes.
    """

    def __init__(self, *, node: str, version: str, feed: LiveFeed, history: History) -> None:
        """Keep the parts.

        Args:
            node: Name of the node.
            version: Version of ferstream.
            feed: Takes frames from the pipeline while somebody looks.
            history: The last minutes.
        """
        self.feed, self.history = feed, history
        self._node, self._version = node, version
        self._cameras: frozenset[str] = frozenset()

    @property
    def viewers(self) -> int:
        """Open streams."""
        return self.feed.hub.viewers

    def cameras_changed(self, names: Iterable[str]) -> None:
        """Tell the viewers which cameras there are now, and forget the others; main thread."""
        present = list(names)
        self.feed.forget(self._cameras.difference(present))
        self._cameras = frozenset(present)
        self.feed.hub.send(self._hello(present))

    def greeting(self, names: Iterable[str], states: Iterable[CameraState], asked: Iterable[str]) -> Iterator[LiveMessage]:
        """Return the first messages of a stream: who this is, the states of its cameras, and their last summaries.

        Args:
            names: Names of all cameras.
            states: Their states.
            asked: Names of the cameras that the viewer looks at.
        """
        wanted = list(asked)
        yield self._hello(names)
        yield from (camera_message(state) for state in states if state.camera in wanted)
        summaries = (self.feed.view(name).summary for name in wanted)
        yield from (summary_message(summary) for summary in summaries if summary is not None)

    def _hello(self, names: Iterable[str]) -> LiveMessage:
        feed = self.feed
        return hello_message(node=self._node, version=self._version, pixels=feed.pixels, aggregate_only=feed.aggregate_only, cameras=names)
