"""Virtual Redfish services on loopback for tests, with a certificate of an authority that nobody knows."""

import hashlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance.domain.clock import system_clock
from appliance.services import tls
from bmc.types import BmcTarget
from bmc.virtual.redfish import VirtualRedfish
from bmc.virtual.redfish_state import Manners
from tests.fakes.bmcs import SECRET
from tests.fakes.machine import PretendMachine


@dataclass(frozen=True)
class Certificate:
    context: ssl.SSLContext
    fingerprint: str


@dataclass(frozen=True)
class RedfishRig:
    bmc: VirtualRedfish
    machine: PretendMachine
    target: BmcTarget


def certificate(state: Path) -> Certificate:
    """Of an authority made in `state`."""
    (state / "tls").mkdir(parents=True, exist_ok=True)
    tls.create_ca(state, "test", system_clock())
    context = tls.ServerContexts(state, {"127.0.0.1"}, clock=system_clock).context_for("127.0.0.1")
    pem = (state / "tls" / "server.pem").read_text()
    first = pem[: pem.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"
    return Certificate(context=context, fingerprint=hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest())


@contextmanager
def redfish_rig(made: Certificate, *, is_on: bool = False, manners: Manners | None = None) -> Iterator[RedfishRig]:
    machine = PretendMachine(is_on=is_on)
    users = {"admin": SECRET}
    with VirtualRedfish(machine, address="127.0.0.1", users=users, tls=made.context, manners=manners) as bmc:
        target = BmcTarget(
            driver="redfish", address="127.0.0.1", udp_port=bmc.tcp_port, username="admin", password=SECRET,
            options={"fingerprint": made.fingerprint},
        )  # fmt: skip
        yield RedfishRig(bmc=bmc, machine=machine, target=target)
