"""Log lines of the agent: to the console, and to the appliance through the loop. Nothing here knows a secret."""

import logging
from collections.abc import Callable


class Lines(logging.Handler):
    """Hands each line to a function; never raises and never logs itself."""

    def __init__(self, sink: Callable[[str], None]) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._sink(self.format(record))
        except (ValueError, TypeError, OSError):
            self.handleError(record)


def start(console: logging.Handler) -> None:
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    console.setFormatter(logging.Formatter("agent: %(message)s"))
    root.addHandler(console)
