import asyncio
import os
import subprocess
from ipaddress import IPv4Address

import pytest

from appliance.netboot import interfaces


def test_loopback_is_there():
    found = interfaces.present()["lo"]
    assert IPv4Address("127.0.0.1") in found.addresses
    assert found.index == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to add an address")
def test_change_is_noticed():
    def change(verb):
        subprocess.run(["ip", "addr", verb, f"{address}/32", "dev", "lo"], check=True)

    address = f"127.77.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"

    async def main():
        noticed = asyncio.Event()
        watch = interfaces.Watch(noticed.set)
        try:
            change("add")
            async with asyncio.timeout(3):
                await noticed.wait()
            assert IPv4Address(address) in interfaces.present()["lo"].addresses
        finally:
            change("del")
            watch.close()

    asyncio.run(main())
