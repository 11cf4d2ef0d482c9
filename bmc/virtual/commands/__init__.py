"""The commands of the virtual BMC, one module per chapter of the specification, and the one list of them all."""

from collections.abc import Mapping

from bmc.virtual.commands import application, chassis, inventory, lan, messaging, sol, users
from bmc.virtual.controller import Handler

COMMANDS: Mapping[tuple[int, int], tuple[int, Handler]] = {
    **application.COMMANDS,
    **chassis.COMMANDS,
    **inventory.COMMANDS,
    **lan.COMMANDS,
    **messaging.COMMANDS,
    **sol.COMMANDS,
    **users.COMMANDS,
}
