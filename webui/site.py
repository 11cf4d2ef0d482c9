"""What the console is given by the composition root."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from appliance.models.database import Database
from appliance.models.node import Node
from appliance.services.identity import Tokens
from appliance.services.image_store import ImageStore
from appliance.services.vault import Vault
from bmc.api import Bmc


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """doctor: checks of the whole appliance, each {name, ok, detail, next}. connect: the kept connection to a BMC.

    background: for power actions, which outlive the request. import_waits_for: what has to end before the import of an
    image begins. power_fresh_s: an older reading of a power state is stale.
    """

    database: Database
    vault: Vault
    images: ImageStore
    clock: Callable[[], datetime]
    tokens: Tokens
    doctor: Callable[[Session], list[dict[str, object]]]
    connect: Callable[[Node], Bmc]
    background: Executor
    import_waits_for: Callable[[str], str]
    power_fresh_s: float
