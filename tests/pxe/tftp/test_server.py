"""The server on the loopback interface against tftpy, and a client of a few lines for what tftpy will not do."""

import asyncio
import random
import socket
import threading
import time
import warnings
from ipaddress import IPv4Address

import pytest

from pxe.errors import ListenFault
from pxe.tftp import packet
from pxe.tftp.files import Tree
from pxe.tftp.packet import ReadRequest
from pxe.tftp.server import Caps, TftpServer
from tests.fakes import ports
from tests.fakes.pxe_needs import ListJournal

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tftpy

HOST = IPv4Address("127.0.77.3")
CONTENT = random.Random(1).randbytes(300_000)


class Served:
    """The server in a thread with its own loop."""

    def __init__(self, root, caps=None):
        self.port = ports.free(1)[0]
        self.journal = ListJournal()
        self.server = TftpServer(
            files=Tree(root), journal=self.journal, mac_of=lambda _: None, port=self.port, caps=caps
        )
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.call(lambda: self.server.open("lo", HOST))

    def call(self, function):
        async def run():
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)

    def close(self):
        self.call(self.server.stop)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def ask(self, data):
        """One datagram to the port; the first answer and the socket."""
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own.settimeout(30)
        own.sendto(data, (str(HOST), self.port))
        return own

    def idle(self):
        deadline = time.monotonic() + 30
        while self.call(lambda: self.server.active):
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    (tmp_path / "empty").write_bytes(b"")
    return tmp_path


@pytest.fixture
def served(root):
    served = Served(root)
    yield served
    served.close()


def rrq(name, mode="octet", **options):
    return packet.read_request(ReadRequest(name=name, mode=mode, options=options))


@pytest.mark.parametrize("options", [{}, {"blksize": 1408}, {"blksize": 1408, "tsize": 0}])
@pytest.mark.parametrize(("name", "content"), [("file", CONTENT), ("empty", b"")])
def test_tftpy_downloads(served, tmp_path, options, name, content):
    client = tftpy.TftpClient(str(HOST), served.port, options)
    client.download(name, str(tmp_path / "out"), timeout=3)
    assert (tmp_path / "out").read_bytes() == content
    served.idle()
    kinds = served.journal.kinds()
    assert kinds == ["tftp.start", "tftp.done"]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (rrq("nothing"), 1),
        (rrq("../file"), 2),
        (rrq("/etc/shadow"), 1),
        (rrq("file", mode="netascii"), 4),
        (rrq("file", mode="mail"), 4),
        (b"\0\2file\0octet\0", 2),
        (b"\0\1file", 4),
        (b"\0\1\0octet\0", 4),
    ],
)
def test_refusals(served, request_, code):
    with served.ask(request_) as own:
        answer = own.recv(1000)
    assert answer[:4] == bytes((0, 5, 0, code))
    if code in (1, 2) and request_[1] == 1:
        assert answer[4:] == b"no such file\0"


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\3\0\1x", b"\0\4\0\0", b"\0\6x\0", b"\xaf" * 40])
def test_other_packets_get_no_answer(served, data):
    with served.ask(data) as own:
        own.settimeout(0.1)
        with pytest.raises(TimeoutError):
            own.recv(1000)


def test_stranger_is_told_off_and_the_transfer_goes_on(served):
    with served.ask(rrq("file")) as own, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        first, server = own.recvfrom(2000)
        stranger.settimeout(30)
        stranger.sendto(packet.ack(1), server)
        assert stranger.recv(100)[:4] == b"\0\5\0\5"
        own.sendto(packet.ack(1), server)
        while (then := own.recv(2000)[:4]) == b"\0\3\0\1":
            pass  # sent again to a slow machine
        assert then == b"\0\3\0\2"
        own.sendto(packet.error(packet.ErrorCode.UNDEFINED, "enough"), server)
        served.idle()
    assert first[4:] == CONTENT[:512]
    kind, _, message, data = served.journal.entries[-1]
    assert (kind, message, data["sent"]) == ("tftp.failed", "file stopped at 0%: the client gave up: enough", 512)


def test_asking_for_the_size_only_is_no_failure(served):
    with served.ask(rrq("file", tsize="0")) as own:
        answer, server = own.recvfrom(1000)
        assert answer == b"\0\6tsize\x00300000\0"
        own.sendto(packet.error(packet.ErrorCode.OPTIONS, "User aborted the transfer"), server)
        served.idle()
    assert served.journal.kinds() == ["tftp.start"]


def test_repeated_request_begins_one_transfer(served):
    with served.ask(rrq("file")) as own:
        own.recv(2000)
        own.sendto(rrq("file"), (str(HOST), served.port))
        own.sendto(rrq("file"), (str(HOST), served.port))
        assert served.call(lambda: served.server.active) == 1


def test_silent_requests_of_one_address_are_capped(root):
    served = Served(root, Caps(transfers=8, per_client=6, silent_per_client=2))
    try:
        sockets = [served.ask(rrq("file")) for _ in range(5)]
        for own in sockets[:2]:
            assert own.recv(2000)[1] == 3
        sockets[2].settimeout(0.1)
        with pytest.raises(TimeoutError):
            sockets[2].recv(2000)
        assert served.call(lambda: served.server.active) == 2
        for own in sockets:
            own.close()
    finally:
        served.close()


def test_port_in_use_is_named(served):
    with pytest.raises(ListenFault, match=rf"TFTP: cannot listen on lo {HOST} udp port .*another program listens"):
        served.call(lambda: served.server.open("lo", HOST))
