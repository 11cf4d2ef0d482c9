"""The server on the loopback interface, asked by dig."""

import asyncio
import shutil
import socket
import subprocess
import threading
from ipaddress import IPv4Address

import pytest

from pxe.dns.responder import Responder
from pxe.dns.server import DnsServer
from pxe.errors import ListenFault
from tests.fakes import ports
from tests.fakes.zone_data import small_zone

HOST = IPv4Address("127.0.77.4")
PORT = ports.free(1)[0]


@pytest.fixture
def server():
    loop = asyncio.new_event_loop()
    server = DnsServer(Responder(small_zone()), port=PORT)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.open("lo", HOST), loop).result(30)
    yield server

    async def stop():
        server.stop()
        await asyncio.sleep(0)

    asyncio.run_coroutine_threadsafe(stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def dig(*words):
    argv = ["dig", f"@{HOST}", "-p", str(PORT), "+tries=1", "+time=25", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30).stdout


@pytest.mark.skipif(shutil.which("dig") is None, reason="needs dig of the package bind9-dnsutils")
@pytest.mark.usefixtures("server")
class TestDig:
    @pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
    def test_forward(self, transport):
        assert dig("n1.rack.internal", "A", "+short", transport) == "10.77.0.101\n"

    def test_reverse(self):
        assert dig("-x", "10.77.0.101", "+short") == "n1.rack.internal.\n"

    def test_missing_name(self):
        out = dig("nothing.rack.internal")
        assert "status: NXDOMAIN" in out
        assert "flags: qr aa rd;" in out
        assert "SOA" in out

    def test_foreign_name(self):
        out = dig("example.org")
        assert "status: REFUSED" in out
        assert "WARNING: recursion requested but not available" in out

    def test_edns_version(self):
        assert "BADVERS" in dig("n1.rack.internal", "+edns=1", "+noednsnegotiation")

    def test_cookie_and_client_subnet_are_ignored(self):
        out = dig("n1.rack.internal", "+cookie=0123456789abcdef", "+subnet=10.0.0.0/8")
        assert "status: NOERROR" in out

    def test_transfer(self):
        assert "Transfer failed" in dig("rack.internal", "AXFR")


@pytest.mark.usefixtures("server")
def test_two_queries_in_one_connection_and_junk_ends_it():
    with socket.create_connection((str(HOST), PORT), timeout=30) as connection:
        query = bytes.fromhex("0007010000010000000000000272310472616b6b0000010001")
        for _ in range(2):
            connection.sendall(len(query).to_bytes(2, "big") + query)
            size = int.from_bytes(connection.recv(2), "big")
            assert connection.recv(size)[:2] == b"\0\7"
        connection.sendall(b"\0\x03abc")
        assert connection.recv(100) == b""


@pytest.mark.usefixtures("server")
def test_port_in_use_is_named():
    async def main():
        with pytest.raises(ListenFault, match=rf"DNS: cannot listen on lo {HOST} udp port {PORT}: another program"):
            await DnsServer(Responder(small_zone()), port=PORT).open("lo", HOST)

    asyncio.run(main())
