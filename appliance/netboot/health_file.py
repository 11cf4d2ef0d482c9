"""How netboot is, as a small file for `doctor`: written when it changes, gone when netboot ends in order."""

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)


class HealthFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._told: str | None = None

    def tell(self, health: Mapping[str, object]) -> None:
        """Blocks for one small write, and only when there is news. A full disk is no reason not to serve."""
        text = json.dumps(health)
        if text == self._told:
            return
        try:
            beside = self._path.with_suffix(".new")
            beside.write_text(text + "\n", encoding="utf-8")
            beside.replace(self._path)
        except OSError as fault:
            log.debug("health not told file=%s fault=%s", self._path, fault)
            return
        self._told = text

    def remove(self) -> None:
        with suppress(OSError):
            self._path.unlink()
