"""Virtual BMCs on loopback for tests."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from bmc.types import BmcTarget, LanInfo
from bmc.virtual.faults import Faults
from bmc.virtual.server import BmcLoop, VirtualBmc
from tests.fakes.machine import PretendMachine

GUID = UUID("12345678-1234-4234-8234-123456789abc")
LAN = LanInfo(address="10.0.0.5", netmask="255.255.255.0", gateway="10.0.0.1", mac="52:54:00:12:34:56", source="static")
SECRET = "s3cret-pass"


@dataclass(frozen=True)
class Rig:
    bmc: VirtualBmc
    machine: PretendMachine
    target: BmcTarget

    def ipmitool(self, *words: str, suite: int = 17, password: str = SECRET) -> list[str]:
        head = ["ipmitool", "-I", "lanplus", "-N", "5", "-R", "4", "-C", str(suite), "-H", self.bmc.address]
        return [*head, "-p", str(self.bmc.udp_port), "-U", "admin", "-P", password, *words]


def make_bmc(
    machine: PretendMachine,
    *,
    address: str = "127.0.0.1",
    udp_port: int = 0,
    faults: Faults | None = None,
    loop: BmcLoop | None = None,
    users: Mapping[str, str] | None = None,
) -> VirtualBmc:
    return VirtualBmc(
        machine,
        address=address,
        udp_port=udp_port,
        users=users or {"admin": SECRET},
        guid=GUID,
        lan=LAN,
        serial="SN-0001",
        product="vnode",
        faults=faults,
        loop=loop,
    )


def target_of(bmc: VirtualBmc, *, password: str = SECRET, username: str = "admin") -> BmcTarget:
    return BmcTarget(driver="ipmi", address=bmc.address, udp_port=bmc.udp_port, username=username, password=password)


@contextmanager
def rig(*, faults: Faults | None = None, is_on: bool = False) -> Iterator[Rig]:
    machine = PretendMachine(is_on=is_on)
    bmc = make_bmc(machine, faults=faults)
    with bmc:
        yield Rig(bmc=bmc, machine=machine, target=target_of(bmc))
