import asyncio
import socket

import pytest

from appliance.lab import forward


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10.77.0.1:8443", ("10.77.0.1", 8443)), ("[fd77::1]:22", ("fd77::1", 22)), ("host:1", ("host", 1))],
)
def test_targets(text, expected):
    assert forward.parse_target(text) == expected


@pytest.mark.parametrize("text", ["", "10.77.0.1", ":22", "a:0", "a:65536", "a:b"])
def test_what_is_no_target(text):
    with pytest.raises(ValueError):
        forward.parse_target(text)


def test_the_door_is_on_loopback_only():
    with forward.listen(0) as door:
        assert door.getsockname()[0] == "127.0.0.1"
        with pytest.raises(OSError):
            forward.listen(door.getsockname()[1])


async def _through(far, talk):
    """Run `talk` through a relay to a server that runs `far`."""
    server = await asyncio.start_server(far, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    door, until = forward.listen(0), asyncio.Event()
    entrance = door.getsockname()[1]
    serving = asyncio.create_task(forward.serve(door, address="127.0.0.1", port=port, until=until))
    try:
        return await asyncio.wait_for(talk(entrance), 30)
    finally:
        until.set()
        await serving
        server.close()
        await server.wait_closed()


async def _echo(reader, writer):
    writer.write(await reader.read())
    await writer.drain()
    writer.close()


def test_bytes_go_both_ways_and_half_close_is_kept():
    sent = bytes(range(256)) * 4096

    async def talk(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        writer.write_eof()
        got = await reader.read()
        writer.close()
        return got

    assert asyncio.run(_through(_echo, talk)) == sent


def test_a_target_that_is_not_there_closes_the_connection():
    async def talk(dead):
        door, until = forward.listen(0), asyncio.Event()
        serving = asyncio.create_task(forward.serve(door, address="127.0.0.1", port=dead, until=until))
        reader, writer = await asyncio.open_connection("127.0.0.1", door.getsockname()[1])
        got = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        until.set()
        await serving
        return got

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # held, so that nobody else listens there
        assert asyncio.run(talk(unused.getsockname()[1])) == b""
