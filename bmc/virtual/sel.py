"""System event log of the virtual BMC (§31, records of §32.1)."""

import struct
import threading
from dataclasses import dataclass

from bmc.rmcp.message import Code
from bmc.virtual.errors import Refused

CAPACITY = 512
FIRST, LAST = 0x0000, 0xFFFF
SYSTEM_EVENT = 0x02
GENERATOR_BMC = 0x0020
EVENT_VERSION = 0x04


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """sensor_type, event_type and offset as in tables 42-1 to 42-3, e.g. power unit 09h, sensor-specific 6Fh, off 0."""

    sensor_type: int
    sensor_number: int
    event_type: int = 0x6F
    offset: int = 0
    is_deassertion: bool = False
    details: tuple[int, int] = (0xFF, 0xFF)


class EventLog:
    """When it is full the oldest entry goes, so that the newest is always there. Any thread may add."""

    def __init__(self) -> None:
        self._entries: dict[int, bytes] = {}
        self._next_id = 1
        self._reservation = 0
        self._lock = threading.Lock()
        self.added_at = self.erased_at = 0xFFFFFFFF

    def __len__(self) -> int:
        return len(self._entries)

    def add_event(self, event: Event, at_s: int) -> int:
        direction = 0x80 if event.is_deassertion else 0
        return self._append(
            struct.pack(
                "<BIHBBBBBBB",
                SYSTEM_EVENT,
                at_s & 0xFFFFFFFF,
                GENERATOR_BMC,
                EVENT_VERSION,
                event.sensor_type,
                event.sensor_number,
                direction | event.event_type,
                event.offset,
                *event.details,
            ),
            at_s,
        )

    def add_record(self, record: bytes, at_s: int) -> int:
        """A record from outside (Add SEL Entry); its id and, below type E0h, its time are ours."""
        if len(record) != 16:
            raise Refused(Code.DATA_LENGTH_INVALID)
        body = record[2:]
        if body[0] < 0xE0:
            body = body[:1] + struct.pack("<I", at_s & 0xFFFFFFFF) + body[5:]
        return self._append(body, at_s)

    def _append(self, body: bytes, at_s: int) -> int:
        with self._lock:
            number, self._next_id = self._next_id, self._next_id % 0xFFFE + 1
            self._entries[number] = struct.pack("<H", number) + body
            if len(self._entries) > CAPACITY:
                del self._entries[next(iter(self._entries))]
            self.added_at = at_s
        return number

    def entry(self, number: int) -> tuple[int, bytes]:
        """(number of the next entry or FFFFh, record)."""
        with self._lock:
            entries = dict(self._entries)
        numbers = list(entries)
        if not numbers:
            raise Refused(Code.NOT_PRESENT)
        wanted = {FIRST: numbers[0], LAST: numbers[-1]}.get(number, number)
        if wanted not in entries:
            raise Refused(Code.NOT_PRESENT)
        place = numbers.index(wanted)
        following = numbers[place + 1] if place + 1 < len(numbers) else LAST
        return following, entries[wanted]

    def delete(self, number: int, at_s: int) -> int:
        _, record = self.entry(number)
        found = int.from_bytes(record[:2], "little")
        with self._lock:
            self._entries.pop(found, None)
        self.erased_at = at_s
        return found

    def reserve(self) -> int:
        self._reservation = self._reservation % 0xFFFF + 1
        return self._reservation

    def clear(self, reservation: int, at_s: int) -> None:
        if reservation != self._reservation or reservation == 0:
            raise Refused(Code.RESERVATION_LOST)
        with self._lock:
            self._entries.clear()
        self.erased_at = at_s
