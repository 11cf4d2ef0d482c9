"""pyghmi's commands and decoders over our channel: boot device, LAN settings, sensors, event log, FRU, identify.

They run on the caller's thread and see one blocking call, `raw_command`, that keeps the deadline of the operation. So
a decoder that loops for ever on a lying BMC ends there too.
"""

import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from pyghmi.exceptions import IpmiException, PyghmiException
from pyghmi.ipmi import sdr
from pyghmi.ipmi.command import Command
from pyghmi.ipmi.events import EventHandler
from pyghmi.ipmi.fru import FRU
from pyghmi.ipmi.oem import generic
from pyghmi.ipmi.private.util import get_ipmi_error

from bmc.errors import BmcError, Busy, Nonsense, Unreachable
from bmc.ipmi.channel import Channel
from bmc.ipmi.codes import fault_of_code
from bmc.rmcp.message import Code, Request, Response

# What pyghmi's decoders raise when a BMC's answer is not what the specification says.
STUMBLES = (
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    NotImplementedError,
    TypeError,
    ValueError,
    struct.error,
    PyghmiException,
)
SLACK_S = 1.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0
LAST_RECORD = 0xFFFF
Answer = TypeVar("Answer")


def _tlv_decode(_entry: object, tlv: int, data: bytearray) -> str:
    """Names in sensor records. pyghmi's own never ends for packed 6-bit ASCII (§43.15), so this stands in for it."""
    kind = tlv >> 6
    if kind == 2:
        bits = int.from_bytes(bytes(data), "little")
        return "".join(chr(0x20 + (bits >> 6 * place & 0x3F)) for place in range(len(data) * 8 // 6)).rstrip()
    if kind == 1:
        return "".join("0123456789 -.:,_"[digit] for octet in data for digit in (octet >> 4, octet & 0x0F)).rstrip()
    return bytes(data).decode("utf-8", "replace").rstrip("\0 ")


sdr.SDREntry.tlv_decode = _tlv_decode


class Client(Command):  # type: ignore[misc]  # pyghmi publishes no types
    """One operation at a time: take `operation`, then call. `ask` is for commands that pyghmi has no method for."""

    def __init__(self, channel: Channel) -> None:
        # Not calling pyghmi's: it would open a session of its own. These are the attributes that its methods read.
        self.bmc = "remote"
        self.kwargs: dict[str, Any] = {}
        self.ipmi_session = None
        self.certverify = None
        self._sdrcachedir = None
        self._sdr = None
        self._netchannel = None
        self._ipv6support = None
        # Vendor modules of pyghmi may speak HTTPS to the BMC; the generic one does not.
        self._oem = generic.OEMHandler(None, None)
        self._oemknown = True
        self._channel = channel
        self._lock = threading.Lock()
        self._deadline = 0.0
        self._last_code = 0

    @contextmanager
    def operation(self, deadline_s: float) -> Iterator[float]:
        """Hold the BMC for one operation of several commands; yields its deadline. Its faults are `BmcError`s."""
        deadline = time.monotonic() + deadline_s
        if not self._lock.acquire(timeout=deadline_s):
            raise Busy("Other requests to this BMC took until the deadline.")
        try:
            self._deadline, self._last_code = deadline, 0
            yield deadline
        except IpmiException as error:
            raise fault_of_code(self._last_code) if self._last_code else Nonsense() from error
        except STUMBLES as error:
            raise Nonsense(f"The BMC's answer cannot be decoded ({type(error).__name__}).") from error
        finally:
            self._lock.release()

    def ask(self, request: Request, *, may_repeat: bool = True, least: int = 0) -> bytes:
        """The answer's data, at least so many octets; a busy BMC is asked again until the deadline."""
        pause_s = FIRST_PAUSE_S
        while True:
            response = self._exchange(request, may_repeat=may_repeat)
            if response.code == Code.OK:
                break
            fault = fault_of_code(response.code)
            if not isinstance(fault, Busy) or time.monotonic() + pause_s >= self._deadline:
                raise fault
            threading.Event().wait(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        if len(response.data) < least:
            raise Nonsense("The BMC's answer is too short.")
        return response.data

    def _exchange(self, request: Request, *, may_repeat: bool) -> Response:
        future = self._channel.submit(request, deadline=self._deadline, may_repeat=may_repeat)
        return wait(future, self._deadline)

    def raw_command(  # noqa: PLR0917  pyghmi's signature
        self,
        netfn: int,
        command: int,
        bridge_request: object = (),
        data: Any = (),
        delay_xmit: object = None,
        retry: object = None,
        timeout: object = None,
        rslun: int = 0,
    ) -> dict[str, Any]:
        del bridge_request, delay_xmit, retry, timeout
        request = Request(netfn=netfn, command=command, data=bytes(bytearray(data)), lun=rslun)
        response = self._exchange(request, may_repeat=True)
        self._last_code = response.code
        answer = {
            "netfn": netfn | 1,
            "command": command,
            "code": response.code,
            "data": bytearray(response.data),
        }
        error = get_ipmi_error(answer)
        if error:
            answer["error"] = error
        return answer

    def xraw_command(self, netfn: int, command: int, **others: Any) -> dict[str, Any]:
        answer = self.raw_command(netfn, command, **others)
        if "error" in answer:
            raise IpmiException(answer["error"], answer["code"])
        return {**answer, "data": memoryview(answer["data"])}

    # ---- what pyghmi's own methods wrap in too much else

    def fru_fields(self) -> dict[str, Any]:
        """Fields of FRU 0 by pyghmi's names; empty when the BMC has none."""
        return FRU(ipmicmd=self).info or {}

    def events(self) -> Iterator[dict[str, Any]]:
        """Pyghmi's decoding of each event log entry; `timecode` is the BMC's clock."""
        handler = EventHandler(self.init_sdr(), self)
        record = 0
        while record != LAST_RECORD:
            answer = self.raw_command(0x0A, 0x43, data=struct.pack("<HHBB", 0, record, 0, 0xFF))
            if answer["code"] == Code.NOT_PRESENT:
                return
            if answer["code"]:
                raise fault_of_code(answer["code"])
            following = int.from_bytes(answer["data"][:2], "little")
            yield handler._sel_decode(answer["data"][2:])  # noqa: SLF001  pyghmi has no public decoder
            if following == record:
                raise Nonsense("The BMC's event log points to itself.")
            record = following


def wait(future: "Future[Answer]", deadline: float) -> Answer:
    """The result; the channel keeps the deadline, the slack is for the day when it does not."""
    try:
        return future.result(max(0.0, deadline - time.monotonic()) + SLACK_S)
    except TimeoutError as error:
        raise Unreachable from error
    except BmcError as error:
        # Raised on another thread; without this every waiter would add to one traceback.
        raise error.with_traceback(None) from None
