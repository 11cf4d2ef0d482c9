"""Sensors, sensor data records, event log and FRU storage (§31, §33, §34, §35)."""

import struct
from collections.abc import Mapping

from bmc.rmcp.message import Code, NetFn, Request
from bmc.virtual.commands.privilege import OPERATOR, USER
from bmc.virtual.controller import Controller, Handler, Origin
from bmc.virtual.errors import Refused
from bmc.virtual.sel import CAPACITY

VERSION = 0x51
RECORD_BYTES = 16
ERASURE_DONE = 0x01
UNSPECIFIED_OFFSET = 0x07FF


def sensor_reading(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    return bmc.sensors.sensor(request.data[0]).reading()


def sensor_thresholds(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    return bmc.sensors.sensor(request.data[0]).thresholds()


def sdr_info(bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    return struct.pack("<BHHIIB", VERSION, len(bmc.sensors), 0xFFFF, 0, 0, 0x22)


def sdr_reserve(bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    return struct.pack("<H", bmc.sensors.reserve())


def sdr_get(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    if len(request.data) != 6:
        raise Refused(Code.DATA_LENGTH_INVALID)
    reservation, number, offset, size = struct.unpack("<HHBB", request.data)
    following, data = bmc.sensors.record(number, offset, size, reservation)
    return struct.pack("<H", following) + data


def sel_info(bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    used = len(bmc.events)
    free = min((CAPACITY - used) * RECORD_BYTES, 0xFFFE)
    may_delete_reserve = 0x0A
    return struct.pack("<BHHIIB", VERSION, used, free, bmc.events.added_at, bmc.events.erased_at, may_delete_reserve)


def sel_allocation(bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    free = CAPACITY - len(bmc.events)
    return struct.pack("<HHHHB", CAPACITY, RECORD_BYTES, free, free, 1)


def sel_reserve(bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    return struct.pack("<H", bmc.events.reserve())


def sel_get(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    if len(request.data) != 6:
        raise Refused(Code.DATA_LENGTH_INVALID)
    _, number, offset, size = struct.unpack("<HHBB", request.data)
    following, record = bmc.events.entry(number)
    if offset >= RECORD_BYTES:
        raise Refused(Code.PARAMETER_OUT_OF_RANGE)
    part = record[offset:] if size == 0xFF else record[offset : offset + size]
    return struct.pack("<H", following) + part


def sel_add(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    return struct.pack("<H", bmc.events.add_record(request.data, bmc.now_s()))


def sel_delete(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    number = struct.unpack_from("<H", request.data.ljust(4, b"\0"), 2)[0]
    return struct.pack("<H", bmc.events.delete(number, bmc.now_s()))


def sel_clear(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    if len(request.data) != 6 or request.data[2:5] != b"CLR":
        raise Refused(Code.INVALID_FIELD)
    if request.data[5] == 0xAA:
        bmc.events.clear(int.from_bytes(request.data[:2], "little"), bmc.now_s())
    return bytes([ERASURE_DONE])


def sel_time(bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    return struct.pack("<I", bmc.now_s() & 0xFFFFFFFF)


def sel_set_time(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    if len(request.data) != 4:
        raise Refused(Code.DATA_LENGTH_INVALID)
    bmc.set_time(int.from_bytes(request.data, "little"))
    return b""


def sel_utc_offset(_bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    return struct.pack("<H", UNSPECIFIED_OFFSET)


def fru_area(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    _only_fru_0(request)
    return struct.pack("<HB", len(bmc.fru), 0)


def fru_read(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    _only_fru_0(request)
    if len(request.data) != 4:
        raise Refused(Code.DATA_LENGTH_INVALID)
    _, offset, size = struct.unpack("<BHB", request.data)
    if offset >= len(bmc.fru):
        raise Refused(Code.PARAMETER_OUT_OF_RANGE)
    data = bmc.fru[offset : offset + min(size, 128)]
    return bytes([len(data)]) + data


def _only_fru_0(request: Request) -> None:
    if request.data[0] != 0:
        raise Refused(Code.NOT_PRESENT)


COMMANDS: Mapping[tuple[int, int], tuple[int, Handler]] = {
    (NetFn.SENSOR, 0x27): (USER, sensor_thresholds),
    (NetFn.SENSOR, 0x2D): (USER, sensor_reading),
    (NetFn.STORAGE, 0x10): (USER, fru_area),
    (NetFn.STORAGE, 0x11): (USER, fru_read),
    (NetFn.STORAGE, 0x20): (USER, sdr_info),
    (NetFn.STORAGE, 0x22): (USER, sdr_reserve),
    (NetFn.STORAGE, 0x23): (USER, sdr_get),
    (NetFn.STORAGE, 0x40): (USER, sel_info),
    (NetFn.STORAGE, 0x41): (USER, sel_allocation),
    (NetFn.STORAGE, 0x42): (USER, sel_reserve),
    (NetFn.STORAGE, 0x43): (USER, sel_get),
    (NetFn.STORAGE, 0x44): (OPERATOR, sel_add),
    (NetFn.STORAGE, 0x46): (OPERATOR, sel_delete),
    (NetFn.STORAGE, 0x47): (OPERATOR, sel_clear),
    (NetFn.STORAGE, 0x48): (USER, sel_time),
    (NetFn.STORAGE, 0x49): (OPERATOR, sel_set_time),
    (NetFn.STORAGE, 0x5C): (USER, sel_utc_offset),
}
