from ipaddress import IPv4Address

from pxe.dhcp4 import conversation
from pxe.dhcp4.classify import classify
from pxe.dhcp4.conversation import Question
from pxe.dhcp4.notes import Notes
from pxe.dhcp4.options import MessageType
from pxe.types import Action, BootPlan
from tests.fakes.dhcp_client import BIOS, SERVER, SYSTEM, network, request
from tests.fakes.pxe_needs import ListJournal

PLAN = BootPlan(action=Action.BOOT, why="deploying")


def talk(options):
    journal, net = ListJournal(), network()
    notes = Notes(journal)
    messages = [
        request(MessageType.DISCOVER, options=options),
        request(MessageType.REQUEST, wanted="10.0.0.100", server=SERVER, options=options),
        request(MessageType.REQUEST, ciaddr=IPv4Address("10.0.0.100"), options=options),
        request(MessageType.REQUEST, wanted="192.0.2.1", options=options),
    ]
    for packet in messages:
        client = classify(packet)
        notes.request(client, MessageType(packet.options[53][0]), subnet="lab", interface="br0")
        found = conversation.answer(Question(request=packet, client=client, plan=PLAN, net=net, now=0.0))
        notes.reply(client, found, plan=PLAN, subnet="lab")
    return journal


def test_a_boot_is_told_in_full():
    journal = talk(BIOS)
    words = ["discover", "offer", "request", "ack", "request", "ack", "request", "nak"]
    assert journal.kinds() == [f"dhcp.{word}" for word in words]
    _, mac, message, data = journal.entries[3]
    assert mac == "02:00:00:00:00:01"
    assert message == "ACK 10.0.0.100: deploying; boots undionly.kpxe"
    assert (data["action"], data["stage"], data["boot_file"]) == ("boot", "firmware", "undionly.kpxe")


def test_a_running_system_is_told_when_something_changes():
    assert talk(SYSTEM).kinds() == ["dhcp.ack", "dhcp.nak"]
