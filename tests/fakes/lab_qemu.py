"""A program that stands in for QEMU: `lab_qemu.py QMP_FD SERIAL_FD [greet|die]`.

It speaks enough QMP to be switched, echoes its serial port in capitals, and appends to `boots.txt` the boot order that
its firmware would have read at each POST. As SeaBIOS does, it answers a reset by two more of its own.
"""

import json
import socket
import sys
import threading
from pathlib import Path

RESETS_OF_SEABIOS = 2


def main() -> None:
    qmp, serial = (socket.socket(fileno=int(word)) for word in sys.argv[1:3])
    if "die" in sys.argv:
        raise SystemExit(1)
    order = json.loads(sys.argv[3])
    threading.Thread(target=_echo, args=(serial,), daemon=True).start()
    _post(order)
    _send(qmp, {"QMP": {"version": {}}})
    with qmp.makefile("rb") as lines:
        for line in lines:
            asked = json.loads(line)
            arguments = asked["arguments"]
            if asked["execute"] == "qom-set":
                order[arguments["path"]] = arguments["value"]
            _send(qmp, {"return": {}, "id": asked["id"]})
            if asked["execute"] == "system_reset":
                _reset(qmp, order, guest=False)
                for _ in range(RESETS_OF_SEABIOS):
                    _reset(qmp, order, guest=True)
            if asked["execute"] == "inject-nmi":  # the tests' way to make the guest restart itself
                _reset(qmp, order, guest=True)
            if asked["execute"] in ("quit", "system_powerdown"):
                return


def _reset(qmp: socket.socket, order: dict[str, int], *, guest: bool) -> None:
    _post(order)
    _send(qmp, {"event": "RESET", "data": {"guest": guest}})


def _post(order: dict[str, int]) -> None:
    with Path("boots.txt").open("a") as out:
        out.write("nic\n" if order["/machine/peripheral/nic0"] < order["/machine/peripheral/disk0"] else "disk\n")


def _send(qmp: socket.socket, document: dict[str, object]) -> None:
    qmp.sendall(json.dumps(document).encode() + b"\r\n")


def _echo(serial: socket.socket) -> None:
    while data := serial.recv(4096):
        serial.sendall(data.upper())


if __name__ == "__main__":
    main()
