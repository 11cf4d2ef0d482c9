from ipaddress import IPv4Address

import pytest

from pxe.dhcp4 import conversation
from pxe.dhcp4 import packet as frame
from pxe.dhcp4.classify import classify
from pxe.dhcp4.conversation import BROADCAST, Question, locate
from pxe.dhcp4.options import MessageType, Tag
from pxe.errors import MalformedPacket
from pxe.types import Action, BootPlan, Reservation
from tests.fakes.dhcp_client import BIOS, IPXE, NOBODY, SERVER, SYSTEM, kind_of, mac, network, request

ACK, NAK, OFFER = MessageType.ACK, MessageType.NAK, MessageType.OFFER
DISCOVER, REQUEST, RELEASE = MessageType.DISCOVER, MessageType.REQUEST, MessageType.RELEASE
DECLINE, INFORM = MessageType.DECLINE, MessageType.INFORM
BOOT = BootPlan(action=Action.BOOT, why="test")
FIRST = IPv4Address("10.0.0.100")


def ask(net, packet, *, now=0.0, durable=True):
    client = classify(packet)
    return conversation.answer(Question(request=packet, client=client, plan=BOOT, net=net, now=now, durable=durable))


def bind(net, number=1, *, now=0.0, options=None):
    offered = ask(net, request(DISCOVER, number, options=options), now=now)
    assert offered.kind is OFFER
    found = ask(net, request(REQUEST, number, wanted=str(offered.address), server=SERVER, options=options), now=now)
    assert found.kind is ACK
    return found.address


def test_one_address_through_firmware_ipxe_ramdisk_and_system():
    """Their client ids differ, and firmware often sends none."""
    net = network()
    stages = [
        BIOS,
        {**IPXE, Tag.CLIENT_ID: b"\1\2\0\0\0\0\1"},
        {**SYSTEM, Tag.CLIENT_ID: b"\xff" + b"duid-of-ramdisk"},
        {**SYSTEM, Tag.CLIENT_ID: b"\xff" + b"duid-of-system"},
    ]
    assert {bind(net, options=options, now=now) for now, options in enumerate(stages)} == {FIRST}


def test_offer_promises_nothing_durable_and_ack_does():
    net = network()
    offered = ask(net, request(DISCOVER))
    assert offered.changes == ()
    found = ask(net, request(REQUEST, wanted="10.0.0.100", server=SERVER))
    assert [change.after.address for change in found.changes] == [FIRST]
    assert found.lease.expires_at == 3600
    assert found.boot_file is None


def test_choosing_another_server_is_left_alone():
    assert ask(network(), request(REQUEST, wanted="10.0.0.100", server=IPv4Address("10.0.0.9"))).kind is None


@pytest.mark.parametrize("wanted", ["192.168.7.7", "10.0.0.99", "10.0.0.1", "10.0.0.0", "10.0.0.255"])
def test_init_reboot_with_a_wrong_address_is_refused(wanted):
    found = ask(network(), request(REQUEST, wanted=wanted))
    assert (found.kind, kind_of(found.reply), found.to) == (NAK, NAK, (BROADCAST, 68))


def test_init_reboot_with_a_free_address_is_confirmed():
    """Our book may have been lost; the machine's memory is as good."""
    found = ask(network(), request(REQUEST, wanted="10.0.0.120"))
    assert (found.kind, found.address) == (ACK, IPv4Address("10.0.0.120"))


def test_request_for_nothing():
    assert ask(network(), request(REQUEST)).kind is None


def test_renewal_goes_to_the_machine_and_rebinding_too():
    net = network()
    bind(net)
    found = ask(net, request(REQUEST, ciaddr=FIRST), now=1800)
    assert (found.kind, found.to, found.lease.expires_at) == (ACK, (FIRST, 68), 5400)
    assert frame.parse(found.reply).ciaddr == FIRST


def test_renewal_of_the_lease_of_another_machine_is_refused():
    net = network()
    bind(net, 1)
    assert ask(net, request(REQUEST, 2, ciaddr=FIRST)).kind is NAK
    assert net.book.owner(FIRST, 1).mac == mac(1)


def test_duplicate_client_id_does_not_hurt_the_live_lease():
    net = network()
    same = {Tag.CLIENT_ID: b"\xffsame"}
    assert bind(net, 1, options=same) != bind(net, 2, options=same)
    assert net.book.owner(FIRST, 1).mac == mac(1)


def test_release():
    net = network()
    bind(net)
    stolen = ask(net, request(RELEASE, 2, ciaddr=FIRST))
    assert (stolen.kind, stolen.changes) == (None, ())
    other_id = ask(net, request(RELEASE, ciaddr=FIRST, options={Tag.CLIENT_ID: b"x"}))
    assert other_id.changes == ()
    found = ask(net, request(RELEASE, ciaddr=FIRST), now=5)
    assert found.kind is None
    assert found.lease.expires_at == 5


def test_decline():
    net = network()
    bind(net)
    assert ask(net, request(DECLINE, 2, wanted="10.0.0.100")).changes == ()
    found = ask(net, request(DECLINE, wanted="10.0.0.100", server=SERVER))
    assert found.kind is None
    assert found.changes[0].after is None
    assert bind(net) == IPv4Address("10.0.0.101")
    assert ask(net, request(DECLINE)).changes == ()


def test_inform_lends_nothing():
    net = network()
    address = IPv4Address("10.0.0.50")
    found = ask(net, request(INFORM, ciaddr=address))
    reply = frame.parse(found.reply)
    assert (found.kind, found.to, reply.yiaddr) == (ACK, (address, 68), NOBODY)
    assert not {Tag.LEASE_TIME, Tag.RENEWAL_TIME} & set(reply.options)
    assert net.book.leases() == []
    assert ask(net, request(INFORM, ciaddr=IPv4Address("172.16.0.1"))).kind is None


@pytest.mark.parametrize("kind", [OFFER, ACK, NAK])
def test_messages_of_servers_are_not_answered(kind):
    assert ask(network(), request(kind)).kind is None


def test_broadcast_flag_is_obeyed():
    net = network()
    bind(net)
    assert ask(net, request(REQUEST, ciaddr=FIRST, flags=0x8000)).to == (BROADCAST, 68)


def test_while_the_disk_refuses_only_old_promises_are_repeated():
    net = network()
    bind(net, 1)
    renewed = ask(net, request(REQUEST, 1, ciaddr=FIRST), now=1000, durable=False)
    assert renewed.kind is ACK
    assert renewed.changes == ()
    assert int.from_bytes(frame.parse(renewed.reply).options[Tag.LEASE_TIME], "big") == 2600
    assert ask(net, request(DISCOVER, 1), now=1000, durable=False).kind is OFFER
    assert ask(net, request(DISCOVER, 2), durable=False).kind is None
    assert ask(net, request(REQUEST, 2, wanted="10.0.0.101"), durable=False).kind is None
    assert ask(net, request(REQUEST, 1, ciaddr=FIRST), now=3600, durable=False).kind is None
    assert ask(net, request(RELEASE, 1, ciaddr=FIRST), now=5, durable=False).changes == ()
    assert ask(net, request(DECLINE, 1, wanted="10.0.0.100"), now=5, durable=False).changes == ()


def test_known_machine_gets_its_name():
    net = network(hostnames={mac(1): "n1"}, reservations=(Reservation(mac=mac(2), address=FIRST, hostname="n2"),))
    names = [frame.parse(ask(net, request(DISCOVER, number)).reply).options.get(Tag.HOST_NAME) for number in (1, 2, 3)]
    assert names == [b"n1", b"n2", None]


@pytest.mark.parametrize("giaddr", ["127.0.0.1", "10.0.0.1", "255.255.255.255", "192.0.2.1", "10.0.0.77"])
def test_relay_that_nobody_configured_is_not_served(giaddr):
    assert locate(request(DISCOVER, giaddr=IPv4Address(giaddr)), [network(relays=("10.0.0.2",))]) is None


def test_configured_relay_gets_the_answer():
    net = network(relays=("10.0.0.2",))
    packet = request(DISCOVER, giaddr=IPv4Address("10.0.0.2"))
    assert locate(packet, [net]) is net
    assert ask(net, packet).to == (IPv4Address("10.0.0.2"), 67)
    nak = ask(net, request(REQUEST, wanted="192.0.2.1", giaddr=IPv4Address("10.0.0.2")))
    assert nak.to == (IPv4Address("10.0.0.2"), 67)
    assert frame.parse(nak.reply).wants_broadcast


def test_two_subnets_on_one_interface():
    first = network()
    second = network(
        name="two",
        cidr="10.9.0.0/24",
        server=IPv4Address("10.9.0.1"),
        reservations=(Reservation(mac=mac(5), address=IPv4Address("10.9.0.7")),),
    )
    nets = [first, second]
    assert locate(request(DISCOVER, 5), nets) is second
    assert locate(request(DISCOVER, 6), nets) is first
    assert locate(request(REQUEST, 6, ciaddr=IPv4Address("10.9.0.100")), nets) is second
    assert locate(request(REQUEST, 6, wanted="10.9.0.100"), nets) is second
    assert locate(request(DISCOVER, 6), []) is None


@pytest.mark.parametrize("options", [{Tag.REQUESTED_ADDRESS: b"\x0a\0"}, {Tag.SERVER_ID: b""}])
def test_malformed_addresses(options):
    with pytest.raises(MalformedPacket):
        ask(network(), request(REQUEST, options=options))
