"""The stock `openstack` and `baremetal` commands without their start-up: imported once, forked for each command line.

Runs inside the clients' environment, so it imports nothing of ours. Each command has a process, arguments, environment,
directory, standard streams and exit code of its own, as if it had been started from a shell; only the second of CPU
that Python needs to import the clients is spent once, and a command that asks again (`--wait`, a 409) does so after a
quarter of a second instead of two or ten. `warm_command.py` is what is called instead of them.

    python warm_openstack.py SOCKET     serves until its standard input ends
"""

import array
import importlib
import importlib.metadata
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import sys
import threading
import time

LENGTH = struct.Struct("!I")
STREAMS = 3
LONGEST_DOZE_S = 0.25
SHELLS = {"openstack": "openstackclient.shell", "baremetal": "ironicclient.shell"}
PACKAGES = ("openstackclient.common", "openstackclient.identity.v3", "openstackclient.image.v2", "ironicclient.osc",
            "openstack.identity.v3", "openstack.image.v2", "openstack.baremetal.v1", "openstack.config")  # fmt: skip
GROUPS = ("keystoneauth1.plugin", "cliff.formatter.list", "cliff.formatter.show", "openstack.")


def serve(path: str) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    if threading.active_count() != 1:
        raise SystemExit("a process with threads may not fork")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in readable:
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            os._exit(answer(connection))
        connection.close()


def answer(connection: socket.socket) -> int:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, ancillary, _flags, _address = connection.recvmsg(LENGTH.size, socket.CMSG_LEN(STREAMS * 4))
    streams = array.array("i")
    for _level, _kind, data in ancillary:
        streams.frombytes(data[: STREAMS * 4])
    body = b""
    while len(body) < LENGTH.unpack(head)[0]:
        body += connection.recv(65536)
    asked = json.loads(body)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["directory"])
    hurry()
    code = command(asked["program"], asked["words"])
    connection.sendall(LENGTH.pack(code))
    return code


def hurry() -> None:
    doze = time.sleep
    time.sleep = lambda seconds: doze(min(seconds, LONGEST_DOZE_S))


def command(program: str, words: list[str]) -> int:
    shell = importlib.import_module(SHELLS[program])
    sys.argv = [program, *words]
    importlib.import_module("cliff.app").App.NAME = program
    importlib.reload(importlib.import_module("openstack.config.loader"))  # it looks at HOME and directory when imported
    try:
        code = shell.main(words)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001  (as the interpreter does for a command of its own)
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return (code or 0) & 0xFF


def warm() -> None:
    for name in SHELLS.values():
        importlib.import_module(name)
    for name in PACKAGES:
        package = importlib.import_module(name)
        for found in pkgutil.walk_packages(getattr(package, "__path__", ()), prefix=f"{name}."):
            if ".tests" not in found.name:
                importlib.import_module(found.name)
    found = importlib.metadata.entry_points()
    for group in found.groups:
        for entry in found.select(group=group) if group.startswith(GROUPS) else ():  # a command loads all commands
            try:
                entry.load()
            except (ImportError, AttributeError):  # a plugin whose optional library is not installed
                continue
    # Which package each command is from, read anew by each command: half of its time.
    importlib.import_module("cliff.command")._get_distributions_by_modules()


if __name__ == "__main__":
    warm()
    serve(sys.argv[1])
