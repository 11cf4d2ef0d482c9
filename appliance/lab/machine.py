"""`python -m appliance.lab.machine NODE.json`: the supervisor of one machine, run inside the rack's namespace.

It owns the QEMU process, the BMC on the machine's own address, the KCS socket by which the machine's operating system
reaches the same BMC, and the control socket. It works in the directory of NODE.json. SIGTERM powers the machine off and
ends; after SIGKILL the kernel ends QEMU, too.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from appliance.lab import qemu, spec
from appliance.lab.control import Action, ControlServer
from appliance.lab.hardware import Hardware, PowerEvent
from appliance.lab.management import Management

log = logging.getLogger(__name__)


class Machine:
    """Hardware and BMC on one power cord."""

    def __init__(self, node: spec.NodeSpec, directory: Path) -> None:
        self._node = node
        self._hardware = Hardware(node, directory, has_kcs=True, on_event=self._on_power)
        self._management = Management(node, self._hardware, kcs_path=directory / qemu.KCS_SOCKET)

    def start(self) -> None:
        self._management.start()

    def stop(self) -> None:
        self._hardware.close()
        self._management.stop()

    def do(self, action: Action) -> Mapping[str, object]:
        match action:
            case Action.STATUS:
                pass
            case Action.PRESS_BUTTON:
                self._hardware.press_button()
            case Action.POWER_CUT:
                self._hardware.pull_plug()
            case Action.PULL_PLUG:
                self._management.stop()
                self._hardware.pull_plug()
            case Action.PLUG_IN:
                self._management.start()
        return self._status()

    def _status(self) -> Mapping[str, object]:
        return {
            "name": self._node.name,
            "power": "on" if self._hardware.is_on() else "off",
            "qemu_pid": self._hardware.process_id(),
            "has_bmc": self._management.is_running(),
        }

    def _on_power(self, event: PowerEvent) -> None:
        log.info("power node=%s event=%s", self._node.name, event.value)
        self._management.record(event)


def main(arguments: list[str]) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    if len(arguments) != 1:
        sys.stderr.write("use: python -m appliance.lab.machine NODE.json\n")
        return 2
    path = Path(arguments[0]).resolve()
    node = spec.read_node(path)
    # Sockets are named relative to here, see control.ask.
    os.chdir(path.parent)
    asked_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked_to_end.set())
    machine = Machine(node, Path())
    machine.start()
    control = ControlServer(machine.do)
    control.start()
    log.info("machine ready node=%s bmc=%s", node.name, node.bmc_address)
    asked_to_end.wait()
    control.stop()
    machine.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
