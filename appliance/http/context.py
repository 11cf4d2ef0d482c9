"""What every face is given by the composition root: no globals, no look-ups by name."""

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy.orm import Session

from appliance.config import Config
from appliance.domain.clock import Clock
from appliance.domain.image_imports import Import
from appliance.models.database import Database
from appliance.models.node import Node
from appliance.services.discovery import Policy
from appliance.services.identity import Tokens
from appliance.services.image_store import ImageStore
from appliance.services.vault import Vault
from bmc.api import Bmc


class Imports(Protocol):
    """Where imports of images wait for their turn: worker.imports."""

    def place(self, one: Import, /) -> AbstractContextManager[Callable[[Callable[[], object]], None]]:
        """Raises Unavailable when too many wait; else to be called with the work once the database knows of it."""

    def waits_for(self, uuid: str) -> str: ...

    def cancel(self, uuid: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """connect: the kept connection to a node's BMC; it does no I/O by itself and needs no transaction.

    background: for work that outlives a request and that a reconciler would finish if this process died; imports: for
    work on the bytes of images, which takes hours where somebody else's server is slow.
    doctor: checks of the whole appliance, each {name, ok, detail, next}.
    """

    state: Path
    config: Config
    database: Database
    vault: Vault
    clock: Clock
    connect: Callable[[Node], Bmc]
    background: Executor
    imports: Imports
    discovery: Policy
    images: ImageStore
    doctor: Callable[[Session], list[dict[str, object]]]
    ca_fingerprint: str
    tokens: Tokens
