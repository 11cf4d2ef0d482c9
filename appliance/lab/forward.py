"""`python -m appliance.lab.forward NAMESPACE ADDRESS:PORT [LISTEN_PORT]`: one door from the host into the rack.

Listens on 127.0.0.1 of the host's network, then moves itself into the namespace: the listening socket stays outside,
each connection it makes from then on is inside. Prints the port it listens on as its first line.
"""

import asyncio
import logging
import signal
import socket
import sys

from appliance.lab import netns

log = logging.getLogger(__name__)

_CONNECT_LIMIT_S = 10.0
_CHUNK = 65536


def listen(port: int) -> socket.socket:
    """A listening socket on loopback; port 0 lets the kernel choose. Raises OSError when it is taken."""
    door = socket.socket()
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(("127.0.0.1", port))
        door.listen(64)
    except OSError:
        door.close()
        raise
    door.setblocking(False)
    return door


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, address: str, port: int) -> None:
    """Both directions until both ends are done; a peer that is not there closes the caller's connection."""
    try:
        far_reader, far_writer = await asyncio.wait_for(asyncio.open_connection(address, port), _CONNECT_LIMIT_S)
    except (OSError, TimeoutError) as fault:
        log.info("nobody answers address=%s port=%d why=%s", address, port, fault)
        writer.close()
        return
    try:
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
    finally:
        writer.close()
        far_writer.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()
    except OSError as fault:
        log.debug("connection ended why=%s", fault)
        target.close()


async def serve(door: socket.socket, *, address: str, port: int, until: asyncio.Event) -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await relay(reader, writer, address=address, port=port)

    server = await asyncio.start_server(one, sock=door)
    async with server:
        await until.wait()


def parse_target(text: str) -> tuple[str, int]:
    """`10.77.0.1:8443` or `[fd77::1]:22`. Raises ValueError."""
    address, _, port = text.rpartition(":")
    number = int(port)
    if not address or not 0 < number < 65536:
        raise ValueError(f"{text!r} is not ADDRESS:PORT")
    return address.strip("[]"), number


async def _run(door: socket.socket, address: str, port: int) -> None:
    until = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, until.set)
    await serve(door, address=address, port=port, until=until)


def main(arguments: list[str]) -> int:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    try:
        namespace, target, *rest = arguments
        address, port = parse_target(target)
        door = listen(int(rest[0]) if rest else 0)
    except (ValueError, OSError) as fault:
        sys.stderr.write(f"forward: {fault}\n")
        return 2
    netns.enter(namespace)
    sys.stdout.write(f"{door.getsockname()[1]}\n")
    sys.stdout.flush()
    asyncio.run(_run(door, address, port))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
