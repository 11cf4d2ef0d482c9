"""From completion codes and log-in refusals to typed faults."""

from collections.abc import Mapping

from bmc.errors import BmcError, Busy, Denied, Nonsense, Unreachable, Unsupported
from bmc.ipmi.session import Refusal
from bmc.rmcp.message import Code

COMPLETION: Mapping[int, tuple[type[BmcError], str]] = {
    Code.BUSY: (Busy, "The BMC is busy."),
    Code.INVALID_COMMAND: (Unsupported, "The BMC does not know this command."),
    Code.INVALID_FOR_LUN: (Unsupported, "The BMC does not know this command."),
    Code.TIMEOUT: (Busy, "The BMC needed too long for this command."),
    Code.OUT_OF_SPACE: (Busy, "The BMC has no room left for this command."),
    Code.RESERVATION_LOST: (Busy, "Somebody else used the BMC at the same time."),
    Code.NOT_PRESENT: (Unsupported, "The BMC has no such sensor, record or part."),
    Code.INVALID_FIELD: (Unsupported, "The BMC does not accept this value."),
    Code.PARAMETER_OUT_OF_RANGE: (Unsupported, "The BMC does not accept this value."),
    Code.ILLEGAL: (Unsupported, "The BMC refuses this command for this sensor or record."),
    Code.NO_RESPONSE: (Busy, "The BMC could not give an answer."),
    0xCF: (Busy, "The BMC is still at the same request."),
    0xD0: (Busy, "The BMC is updating its sensor records."),
    0xD1: (Busy, "The BMC is updating its firmware."),
    0xD2: (Busy, "The BMC is starting."),
    0xD3: (Unsupported, "The BMC cannot reach the part that is asked for."),
    Code.INSUFFICIENT_PRIVILEGE: (Denied, "The BMC user may not do this."),
    Code.NOT_IN_THIS_STATE: (Unsupported, "The BMC cannot do this in the machine's present state."),
    Code.DISABLED: (Unsupported, "The BMC has this function turned off."),
    0x80: (Unsupported, "The BMC does not know this parameter."),
    0x81: (Busy, "The BMC is being configured by somebody else."),
}
# Status codes of table 13-15 and our own reasons.
LOGIN: Mapping[int | Refusal, tuple[type[BmcError], str]] = {
    **dict.fromkeys((0x01, 0x0B), (Busy, "The BMC has no free session.")),
    **dict.fromkeys(
        (0x09, 0x0A, 0x0C, 0x0D, 0x0E, Refusal.NO_PRIVILEGE), (Denied, "The BMC does not let this user in.")
    ),
    **dict.fromkeys((0x0F, Refusal.WRONG_PASSWORD), (Denied, "The BMC refuses the password.")),
    **dict.fromkeys(
        (0x03, 0x04, 0x05, 0x06, 0x07, 0x10, 0x11, Refusal.NOT_IPMI_2),
        (Unsupported, "The BMC offers no IPMI 2.0 with cipher suite 3 or 17."),
    ),
    Refusal.OTHER_SUITE: (Nonsense, "The BMC chose another cipher suite than it was asked for."),
}


def fault_of_code(code: int) -> BmcError:
    kind, sentence = COMPLETION.get(code, (Nonsense, "The BMC failed without saying why."))
    return kind(f"{sentence} (completion code {code:#04x})")


def fault_of_login(refusal: int | Refusal | None, *, was_heard: bool) -> BmcError:
    if refusal is not None and refusal in LOGIN:
        kind, sentence = LOGIN[refusal]
        return kind(sentence)
    if was_heard:
        return Nonsense("The BMC answers, but nothing that makes a log-in.")
    return Unreachable()
