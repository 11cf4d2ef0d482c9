"""What flows need from outside, wired by appliance.main; and how patient they are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from appliance.domain.inspection_rules import Rule
from appliance.models.database import JsonObject
from appliance.models.flow import Flow
from appliance.models.node import Node
from appliance.services.image_address import Checksum
from appliance.services.image_sources import Order
from bmc.api import Bmc


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowPolicy:
    """Limits in seconds, and how many at once over all machines.

    agent_silence_s: an agent that sent nothing for so long, in the middle of a command, is lost.
    hearing_since: when this process began to listen; what an agent said before was heard by nobody.
    automated_clean: how provide and undeploy erase, `metadata` or `shred`; `none`: not at all.
    fake_delays: how long things take on hardware that is not there (appliance.domain.fake_hardware), by kind.
    fetch_image_s: an image that lies elsewhere is here by then, counted over all tries.
    hoped_home_s: so long is waited for the call of a system that need not make it.
    add_ports, keep_ports: what an inspection makes of a machine's interfaces (appliance.services.inspection).
    kexec_home_s: a kexec that did not call home by then gets a reset; call_home_s counts from a full boot.
    """

    agent_boot_s: float = 900.0
    agent_boots: int = 2
    agent_silence_s: float = 120.0
    hearing_since: datetime | None = None
    power_s: float = 60.0
    power_poll_s: float = 2.0
    inspect_s: float = 300.0
    erase_s: float = 3600.0
    fetch_image_s: float = 3600.0
    write_image_s: float = 3600.0
    leave_agent_s: float = 120.0
    kexec: bool = True
    automated_clean: str = "metadata"
    add_ports: str = "pxe"
    keep_ports: str = "all"
    kexec_home_s: float = 300.0
    call_home_s: float = 1200.0
    hoped_home_s: float = 300.0
    fake_delays: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    at_once: Mapping[str, int] = field(
        default_factory=lambda: {"bmc": 32, "image_write": 50, "fetch": 8, "image_fetch": 3}
    )


class ImageFetcher(Protocol):
    """services.image_sources.ImageSources."""

    def checksum(self, node: Node, within_s: float) -> Checksum: ...

    def bring(self, node: Node, order: Order) -> None: ...

    def give_up(self, uuid: str, problem: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """connect: the BMC of a node (opens its sealed password); each call of it has its own deadline.

    make_write_params: parameters of `write_image` and its secret ones, sealed (appliance.models.agent_command).
    make_rescue_params: secret parameters of `rescue`, sealed. forget_rescue: drop the password of a rescue.
    fetch_config_drive: bring the node's config-drive from its URL into the database; may take a minute.
    inspection_rules: those that are kept, opened, in the order in which they run.
    image_sources: fetches images that lie elsewhere; without it such a deploy fails.
    agent_alive_within_s: an agent heard of within this time needs no boot (fast track).
    """

    connect: Callable[[Node], Bmc]
    make_write_params: Callable[[Session, Node, Flow], tuple[JsonObject, bytes | None]]
    make_rescue_params: Callable[[Session, Node], bytes | None] = lambda _session, _node: None
    forget_rescue: Callable[[Session, Node], None] = lambda _session, _node: None
    inspection_rules: Callable[[Session], Sequence[Rule]] = lambda _session: ()
    fetch_config_drive: Callable[[Node], None] = lambda _node: None
    image_sources: ImageFetcher | None = None
    agent_alive_within_s: float = 90.0
    policy: FlowPolicy = field(default_factory=FlowPolicy)
