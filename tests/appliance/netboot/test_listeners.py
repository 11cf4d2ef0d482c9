import asyncio
from ipaddress import IPv4Address

from appliance.netboot.listeners import Listener, Listeners, Opener
from pxe.errors import ListenFault


class Service:
    def __init__(self, name, log):
        self.name, self.log = name, log
        self.is_broken = False

    async def open(self, at):
        if self.is_broken:
            raise ListenFault(f"{self.name}: cannot listen on {at.interface}: another program listens there")
        self.log.append(("open", self.name, at.index))

    async def close(self, at):
        self.log.append(("close", self.name, at.index))


def scene():
    log = []
    services = {name: Service(name, log) for name in ("dhcp", "tftp")}
    return log, services, Listeners({name: Opener(open=one.open, close=one.close) for name, one in services.items()})


def at(service, index=3):
    return Listener(service=service, interface="br0", index=index, address=IPv4Address("10.0.0.1"))


def test_one_failure_does_not_stop_the_others_and_is_told_once(caplog):
    log, services, listeners = scene()
    services["dhcp"].is_broken = True
    for _ in range(3):
        asyncio.run(listeners.arrange([at("dhcp"), at("tftp")]))
    assert log == [("open", "tftp", 3)]
    assert list(listeners.faults.values()) == ["dhcp: cannot listen on br0: another program listens there"]
    assert caplog.text.count("another program listens there") == 1
    services["dhcp"].is_broken = False
    asyncio.run(listeners.arrange([at("dhcp"), at("tftp")]))
    assert listeners.faults == {}
    assert log[-1] == ("open", "dhcp", 3)


def test_interface_made_anew_is_opened_anew():
    log, _, listeners = scene()
    asyncio.run(listeners.arrange([at("tftp", 3)]))
    asyncio.run(listeners.arrange([]))
    asyncio.run(listeners.arrange([at("tftp", 9)]))
    assert log == [("open", "tftp", 3), ("close", "tftp", 3), ("open", "tftp", 9)]
    assert listeners.opened == {at("tftp", 9)}


def test_change_of_index_in_one_step_closes_first():
    log, _, listeners = scene()
    asyncio.run(listeners.arrange([at("tftp", 3)]))
    asyncio.run(listeners.arrange([at("tftp", 9)]))
    assert log == [("open", "tftp", 3), ("close", "tftp", 3), ("open", "tftp", 9)]
