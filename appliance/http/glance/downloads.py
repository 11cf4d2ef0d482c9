"""Places for downloads of images: each holds a worker for as long as its client takes to read, and readers may be slow.

All together have half of the door's workers, one project half of those; the others answer whoever else asks.
"""

import io
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from appliance.domain.errors import Unavailable


class Downloads:
    """Safe in threads. threads: the workers of the door."""

    def __init__(self, threads: int) -> None:
        self._most = max(1, threads // 2)
        self._most_of_one = max(1, self._most // 2)
        self._going: Counter[str] = Counter()
        self._lock = threading.Lock()

    def begin(self, path: Path, whose: str) -> "Download":
        """The file, as one that holds a place until it is closed. Raises Unavailable, FileNotFoundError."""
        with self._lock:
            self._refuse_crowd(whose)
            self._going[whose] += 1
        try:
            return Download(path, lambda: self._end(whose))
        except OSError:
            self._end(whose)
            raise

    def _refuse_crowd(self, whose: str) -> None:
        if self._going[whose] >= self._most_of_one:
            crowd = f"{self._most_of_one} downloads of this project"
        elif self._going.total() >= self._most:
            crowd = f"{self._most} downloads"
        else:
            return
        raise Unavailable(f"{crowd} go on already", next_step="try again when one has ended")

    def _end(self, whose: str) -> None:
        with self._lock:
            self._going[whose] -= 1
            if not self._going[whose]:
                del self._going[whose]


class Download(io.FileIO):
    """ended: called once, when it is closed; which happens at the latest when nobody has it any more."""

    def __init__(self, path: Path, ended: Callable[[], None]) -> None:
        super().__init__(path)
        self._ended = ended

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._ended()
