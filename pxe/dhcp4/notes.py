"""What the journal and the log are told of DHCP: every message of a boot, and of ordinary clients only what changes.

A running system renews for ever and a flood of strangers knows no end; neither may become a flood of events.
"""

import logging

from pxe.dhcp4.conversation import Answer
from pxe.dhcp4.options import MessageType
from pxe.needs import EventValue, Journal
from pxe.types import BootPlan, Client, Stage

log = logging.getLogger(__name__)

_REQUEST_EVENT = {MessageType.DISCOVER: "dhcp.discover", MessageType.REQUEST: "dhcp.request"}
_REPLY_EVENT = {MessageType.OFFER: "dhcp.offer", MessageType.ACK: "dhcp.ack", MessageType.NAK: "dhcp.nak"}


class Notes:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def request(self, client: Client, message: MessageType, *, subnet: str, interface: str) -> None:
        kind = _REQUEST_EVENT.get(message)
        if kind is None or client.stage is Stage.OTHER:
            return
        data: dict[str, EventValue] = {
            "stage": client.stage.value,
            "firmware": client.firmware.value,
            "architecture": client.architecture,
            "subnet": subnet,
            "interface": interface,
        }
        self._journal.record(kind, client.mac, f"{message.name} from {client.stage.value}", data)

    def reply(self, client: Client, found: Answer, *, plan: BootPlan | None, subnet: str) -> None:
        if found.kind is None:
            return
        kind = _REPLY_EVENT[found.kind]
        if client.stage is Stage.OTHER and not _is_news(found):
            log.debug("%s mac=%s address=%s", kind, client.mac, found.address)
            return
        log.info("%s mac=%s address=%s file=%s why=%s", kind, client.mac, found.address, found.boot_file, found.why)
        data: dict[str, EventValue] = {
            "stage": client.stage.value,
            "address": str(found.address) if found.address is not None else None,
            "boot_file": found.boot_file,
            "why": found.why,
            "subnet": subnet,
        }
        if plan is not None:
            data["action"] = plan.action.value
        message = f"{found.kind.name} {found.address or ''}: {found.why}"
        if found.boot_file is not None:
            message += f"; boots {found.boot_file}"
        self._journal.record(kind, client.mac, message, data)


def _is_news(found: Answer) -> bool:
    """A refusal, or an address that the machine did not have at that moment."""
    if found.kind is MessageType.NAK:
        return True
    return any(
        change.after is not None and (change.before is None or change.before.mac != change.after.mac)
        for change in found.changes
    )
