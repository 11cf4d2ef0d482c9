"""What to answer to each DHCP message: the decisions of RFC 2131 §4.3 for a server that is the only authority. Pure.

Packets in, an Answer out; the leases that an ACK promises are in `Answer.changes` and must be durable before it is
sent. Replies of other servers, relays that nobody configured, and clients that are not Ethernet are not for us.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from pxe.dhcp4 import options as opt
from pxe.dhcp4 import packet as frame
from pxe.dhcp4 import responder
from pxe.dhcp4.book import AddressBook, Grant, Refusal
from pxe.dhcp4.options import MessageType, Tag
from pxe.dhcp4.packet import Packet
from pxe.dhcp4.responder import Place
from pxe.types import BootPlan, Client, Lease, LeaseChange, Mac

CLIENT_PORT = 68
RELAY_PORT = 67
BROADCAST = IPv4Address("255.255.255.255")
_NOBODY = IPv4Address(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One subnet as served now. hostnames: machines that control knows; a known machine may use the kept share."""

    book: AddressBook
    place: Place
    hostnames: Mapping[Mac, str]

    def hostname_of(self, mac: Mac) -> str | None:
        kept = self.book.reservation_of(mac)
        return (kept.hostname if kept is not None else None) or self.hostnames.get(mac)

    def is_known(self, mac: Mac) -> bool:
        return mac in self.hostnames or self.book.reservation_of(mac) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """kind `None`: nothing is sent. `why` is for logs and the journal."""

    why: str
    kind: MessageType | None = None
    reply: bytes = b""
    to: tuple[IPv4Address, int] = (BROADCAST, CLIENT_PORT)
    address: IPv4Address | None = None
    boot_file: str | None = None
    lease: Lease | None = None
    changes: tuple[LeaseChange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request with all that is needed to decide it. durable False: the disk refuses new leases at present."""

    request: Packet
    client: Client
    plan: BootPlan | None
    net: Network
    now: float
    durable: bool = True


def silence(why: str) -> Answer:
    return Answer(why=why)


def locate(request: Packet, networks: Sequence[Network]) -> Network | None:
    """The network of a client, among those of the interface on which it spoke; `None`: not for us."""
    if request.giaddr != _NOBODY:
        return next((net for net in networks if request.giaddr in net.book.subnet.relays), None)
    mac = request.mac
    for net in networks:
        if net.book.reservation_of(mac) is not None:
            return net
    claimed = request.ciaddr
    if claimed == _NOBODY:
        value = request.options.get(Tag.REQUESTED_ADDRESS, b"")
        claimed = IPv4Address(value) if len(value) == 4 else _NOBODY
    for net in networks:
        if claimed in net.book.subnet.network or net.book.lease_of(mac) is not None:
            return net
    return networks[0] if networks else None


def answer(ask: Question) -> Answer:
    """Raises MalformedPacket."""
    kind = opt.message_type(ask.request.options)
    if kind is MessageType.DISCOVER:
        return _discover(ask)
    if kind is MessageType.REQUEST:
        return _request(ask)
    if kind is MessageType.RELEASE:
        return _release(ask)
    if kind is MessageType.DECLINE:
        return _decline(ask)
    if kind is MessageType.INFORM:
        return _inform(ask)
    return silence(f"{kind.name} is not for a server")


def _discover(ask: Question) -> Answer:
    net, mac = ask.net, ask.client.mac
    if not ask.durable and not _remaining_s(ask):
        return silence("the lease store is not writable")
    wanted = opt.address(ask.request.options, Tag.REQUESTED_ADDRESS)
    choice = net.book.offer(mac, wanted=wanted, known=net.is_known(mac), now=ask.now)
    if isinstance(choice, Refusal):
        return silence(choice.value)
    return _lend(ask, MessageType.OFFER, choice, net.book.subnet.lease_s)


def _request(ask: Question) -> Answer:
    options, net, mac = ask.request.options, ask.net, ask.client.mac
    chosen = opt.address(options, Tag.SERVER_ID)
    if chosen is not None and chosen != net.place.server:
        return silence(f"the client chose the server {chosen}")
    wanted = opt.address(options, Tag.REQUESTED_ADDRESS)
    if wanted is None or wanted == _NOBODY:
        wanted = ask.request.ciaddr
    if wanted == _NOBODY:
        return silence("a REQUEST for no address")
    if wanted not in net.book.subnet.network:
        return _nak(ask, f"{wanted} is not in {net.book.subnet.network}")
    if not ask.durable:
        return _renew_from_memory(ask, wanted)
    result = net.book.grant(
        mac,
        wanted,
        client_id=options.get(Tag.CLIENT_ID, b""),
        hostname=net.hostname_of(mac),
        known=net.is_known(mac),
        now=ask.now,
    )
    if isinstance(result, Refusal):
        return _nak(ask, result.value)
    return _lend(ask, MessageType.ACK, wanted, net.book.subnet.lease_s, grant=result)


def _renew_from_memory(ask: Question, wanted: IPv4Address) -> Answer:
    """Confirm what is left of a lease that is on the disk already; nothing new is promised."""
    lease = ask.net.book.lease_of(ask.client.mac)
    left_s = _remaining_s(ask)
    if lease is None or lease.address != wanted or not left_s:
        return silence("the lease store is not writable")
    return _lend(ask, MessageType.ACK, wanted, left_s)


def _remaining_s(ask: Question) -> int:
    lease = ask.net.book.lease_of(ask.client.mac)
    return 0 if lease is None else max(0, int(lease.expires_at - ask.now))


def _release(ask: Question) -> Answer:
    client_id = ask.request.options.get(Tag.CLIENT_ID, b"")
    address = ask.request.ciaddr
    change = ask.net.book.release(ask.client.mac, address, client_id=client_id, now=ask.now) if ask.durable else None
    if change is None:
        return silence(f"RELEASE of {address} does not match a lease of that machine")
    return Answer(why=f"{address} was given back", lease=change.after, changes=(change,))


def _decline(ask: Question) -> Answer:
    address = opt.address(ask.request.options, Tag.REQUESTED_ADDRESS)
    change = None
    if address is not None and ask.durable:
        change = ask.net.book.decline(ask.client.mac, address, ask.now)
    if change is None:
        return silence(f"DECLINE of {address} ends no lease")
    return Answer(why=f"{address} is used by somebody else; set aside", changes=(change,))


def _inform(ask: Question) -> Answer:
    if ask.request.ciaddr not in ask.net.book.subnet.network:
        return silence(f"INFORM from {ask.request.ciaddr}, which is not in {ask.net.book.subnet.network}")
    return _lend(ask, MessageType.ACK, None, 0)


def _lend(
    ask: Question, kind: MessageType, address: IPv4Address | None, lease_s: int, *, grant: Grant | None = None
) -> Answer:
    reply = responder.lend(
        ask.request,
        kind,
        client=ask.client,
        plan=ask.plan,
        place=ask.net.place,
        address=address,
        lease_s=lease_s,
        hostname=ask.net.hostname_of(ask.client.mac),
    )
    return Answer(
        why=ask.plan.why if ask.plan is not None else "an ordinary lease",
        kind=kind,
        reply=reply,
        to=_destination(ask.request),
        address=address or ask.request.ciaddr,
        boot_file=responder.boot_file(ask.client, ask.plan, ask.net.place),
        lease=grant.lease if grant is not None else None,
        changes=grant.changes if grant is not None else (),
    )


def _nak(ask: Question, why: str) -> Answer:
    giaddr = ask.request.giaddr
    to = (giaddr, RELAY_PORT) if giaddr != _NOBODY else (BROADCAST, CLIENT_PORT)
    reply = responder.refuse(ask.request, server=ask.net.place.server, why=why)
    return Answer(why=why, kind=MessageType.NAK, reply=reply, to=to)


def _destination(request: Packet) -> tuple[IPv4Address, int]:
    """RFC 2131 §4.1. A client without an address gets a broadcast: its ARP does not answer yet."""
    if request.giaddr != _NOBODY:
        return request.giaddr, RELAY_PORT
    if request.ciaddr != _NOBODY and not request.flags & frame.BROADCAST_FLAG:
        return request.ciaddr, CLIENT_PORT
    return BROADCAST, CLIENT_PORT
