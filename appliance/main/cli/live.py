"""Progress on stderr while a command waits: a live block on a terminal, numbered plain lines anywhere else."""

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from appliance.main.cli.progress import Track, aggregate
from appliance.main.cli.text import inert

if TYPE_CHECKING:
    from rich.live import Live

SEPARATE = 10
"""Up to so many nodes have a line each; more are counted."""


def is_animated(environment: Mapping[str, str]) -> bool:
    """Whether stderr can redraw lines. A screen reader's user sets TERM=dumb or NO_COLOR's cousin RACKWRIGHT_PLAIN."""
    return sys.stderr.isatty() and environment.get("TERM") != "dumb" and not environment.get("RACKWRIGHT_PLAIN")


class Display:
    """A context; `draw` is called at each look at the appliance."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._live: Live | None = None
        self._animated = is_animated(environment)
        self._last = -1e9

    def __enter__(self) -> Self:
        if self._animated:
            from rich.live import Live

            from appliance.main.cli.table import console_for

            self._live = Live(console=console_for(sys.stderr), auto_refresh=False, transient=False)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def draw(self, tracks: Sequence[Track], failed: int, now: float) -> None:
        """Show the present state."""
        if self._live is not None:
            from rich.text import Text

            lines = (
                [track.line(now) for track in tracks] if len(tracks) <= SEPARATE else [aggregate(tracks, failed, now)]
            )
            width = self._live.console.width
            self._live.update(Text("\n".join(inert(line)[:width] for line in lines)), refresh=True)
        elif len(tracks) <= SEPARATE:
            for track in tracks:
                if line := track.news(now):
                    self.say(line)
        elif now - self._last >= 5.0 or all(track.ended is not None for track in tracks):
            self._last = now
            self.say(aggregate(tracks, failed, now))

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._live is not None:
            self._live.console.print(inert(text), soft_wrap=True)
        else:
            print(inert(text), file=sys.stderr, flush=True)
