"""Sensors of the virtual BMC: their data records (§43.1, §43.2) and their readings."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bmc.rmcp.message import Code
from bmc.virtual.errors import Refused

VERSION = 0x51
LAST = 0xFFFF
FULL, COMPACT = 0x01, 0x02
UNIT_DEGREES_C, UNIT_RPM = 1, 18
KIND_TEMPERATURE, KIND_FAN, KIND_POWER_SUPPLY = 0x01, 0x04, 0x08
SCANNING = 0xC0  # event messages and scanning enabled
UNREADABLE = 0x20


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdSensor:
    """A number: raw reading x multiplier in the unit. upper: raw (non-critical, critical, non-recoverable)."""

    number: int
    name: str
    kind: int
    unit: int
    entity: int
    multiplier: int
    upper: tuple[int, int, int]
    read: Callable[[], int | None]

    def record(self) -> bytes:
        name = self.name.encode("ascii")[:16]
        key = struct.pack("<BBB", 0x20, 0, self.number)
        body = struct.pack(
            "<6B3H28B",
            self.entity,
            1,
            0x7F,  # initialised: scanning, events, thresholds, type
            0x44,  # thresholds readable, automatic re-arm, no hysteresis
            self.kind,
            0x01,  # threshold event type
            0x0A80,  # assertion events: upper thresholds going high
            0x7A80,  # the same going low; readings compare with the upper ones
            0x0038,  # readable upper thresholds
            0x00,  # unsigned, no rate
            self.unit,
            0,
            0,  # linear
            self.multiplier & 0xFF,
            self.multiplier >> 2 & 0xC0,
            0,
            0,
            0,
            0,
            0x07,  # nominal, normal maximum and minimum given
            self.upper[0] // 2,
            self.upper[0] - 1,
            0,
            255,
            0,
            self.upper[2],
            self.upper[1],
            self.upper[0],
            0,
            0,
            0,
            2,  # hysteresis
            2,
            0,
            0,
            0,
            0xC0 | len(name),
        )
        return key + body + name

    @property
    def record_type(self) -> int:
        return FULL

    def reading(self) -> bytes:
        value = self.read()
        if value is None:
            return bytes([0, SCANNING | UNREADABLE, 0])
        crossed = sum(1 << bit for bit, limit in zip((3, 4, 5), self.upper, strict=True) if value >= limit)
        return bytes([value & 0xFF, SCANNING, 0xC0 | crossed])

    def thresholds(self) -> bytes:
        return bytes([0x38, 0, 0, 0, *self.upper])


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscreteSensor:
    """States of table 42-3 as bits; event type 6Fh."""

    number: int
    name: str
    kind: int
    entity: int
    read: Callable[[], int]

    def record(self) -> bytes:
        name = self.name.encode("ascii")[:16]
        return (
            struct.pack("<BBB", 0x20, 0, self.number)
            + struct.pack("<BBBBBB", self.entity, 1, 0x67, 0x40, self.kind, 0x6F)
            + struct.pack("<HHH", 0x000F, 0x000F, 0x000F)
            + struct.pack("<BBB", 0xC0, 0, 0)
            + struct.pack("<HBBBBBB", 1, 0, 0, 0, 0, 0, 0)
            + bytes([0xC0 | len(name)])
            + name
        )

    @property
    def record_type(self) -> int:
        return COMPACT

    def reading(self) -> bytes:
        states = self.read()
        return bytes([0, SCANNING, states & 0xFF, 0x80 | states >> 8 & 0x7F])

    def thresholds(self) -> bytes:
        raise Refused(Code.ILLEGAL)


AnySensor = ThresholdSensor | DiscreteSensor


def standard_sensors(is_on: Callable[[], bool]) -> list[AnySensor]:
    """What the simplest server has: inlet and processor temperature, two fans, two power supplies."""
    return [
        _temperature(1, "Inlet Temp", entity=0x40, warns_at=42, read=lambda: 23 if is_on() else 21),
        _temperature(2, "CPU Temp", entity=0x03, warns_at=90, read=lambda: 48 if is_on() else None),
        _fan(3, "Fan 1", read=lambda: 54 if is_on() else 0),
        _fan(4, "Fan 2", read=lambda: 52 if is_on() else 0),
        _power_supply(5, "PSU 1"),
        _power_supply(6, "PSU 2"),
    ]


def _temperature(
    number: int, name: str, *, entity: int, warns_at: int, read: Callable[[], int | None]
) -> ThresholdSensor:
    return ThresholdSensor(
        number=number,
        name=name,
        kind=KIND_TEMPERATURE,
        unit=UNIT_DEGREES_C,
        entity=entity,
        multiplier=1,
        upper=(warns_at, warns_at + 5, warns_at + 10),
        read=read,
    )


def _fan(number: int, name: str, *, read: Callable[[], int | None]) -> ThresholdSensor:
    return ThresholdSensor(
        number=number,
        name=name,
        kind=KIND_FAN,
        unit=UNIT_RPM,
        entity=0x1D,
        multiplier=100,
        upper=(240, 245, 250),
        read=read,
    )


def _power_supply(number: int, name: str) -> DiscreteSensor:
    present = 0x01
    return DiscreteSensor(number=number, name=name, kind=KIND_POWER_SUPPLY, entity=0x0A, read=lambda: present)


class SensorRepository:
    """Records in order; record n has id n, counted from 1."""

    def __init__(self, sensors: Sequence[AnySensor]) -> None:
        self._sensors = {sensor.number: sensor for sensor in sensors}
        self._records = [
            struct.pack("<HBBB", number, VERSION, sensor.record_type, len(sensor.record())) + sensor.record()
            for number, sensor in enumerate(sensors, start=1)
        ]
        self._reservation = 0

    def __len__(self) -> int:
        return len(self._records)

    def reserve(self) -> int:
        self._reservation = self._reservation % 0xFFFF + 1
        return self._reservation

    def record(self, number: int, offset: int, size: int, reservation: int) -> tuple[int, bytes]:
        """(id of the next record, bytes). A partial read needs the current reservation (§33.12)."""
        if offset and reservation != self._reservation:
            raise Refused(Code.RESERVATION_LOST)
        place = {0: 0, LAST: len(self._records) - 1}.get(number, number - 1)
        if not 0 <= place < len(self._records):
            raise Refused(Code.NOT_PRESENT)
        record = self._records[place]
        if offset >= len(record):
            raise Refused(Code.PARAMETER_OUT_OF_RANGE)
        following = place + 2 if place + 1 < len(self._records) else LAST
        return following, record[offset:] if size == 0xFF else record[offset : offset + size]

    def sensor(self, number: int) -> AnySensor:
        try:
            return self._sensors[number]
        except KeyError as error:
            raise Refused(Code.NOT_PRESENT) from error
