"""Sensors and log entries out of Redfish JSON. Pure; what a service leaves out stays unknown."""

from collections.abc import Callable, Iterator
from typing import Any

from bmc.types import SelEntry, Sensor

SENSORS_MAX = 1000
_HEALTH = {"OK": "ok", "Warning": "warning", "Critical": "critical"}
_LISTS = (
    ("Temperatures", "Temperature", ("ReadingCelsius",), "°C"),
    ("Fans", "Fan", ("Reading", "ReadingRPM"), ""),
    ("Voltages", "Voltage", ("ReadingVolts",), "V"),
    ("PowerControl", "Power", ("PowerConsumedWatts",), "W"),
)
_KINDS = {"Rotational": "Fan"}
_UNITS = {"Cel": "°C", "{rev}/min": "RPM"}
"""UCUM, as Sensor resources name their units."""


def sensors(part: dict[str, Any]) -> Iterator[Sensor]:
    """The readings of a Thermal or Power resource (DSP0268 §6.116, §6.79)."""
    for key, kind, names, unit in _LISTS:
        rows = part.get(key)
        for row in rows[:SENSORS_MAX] if isinstance(rows, list) else ():
            if isinstance(row, dict):
                yield _sensor(row, kind, names, unit)


def _sensor(row: dict[str, Any], kind: str, names: tuple[str, ...], unit: str) -> Sensor:
    value = next((row[name] for name in names if isinstance(row.get(name), int | float)), None)
    status = row.get("Status")
    health = _HEALTH.get(str(status.get("Health")), "unknown") if isinstance(status, dict) else "unknown"
    units = {"RPM": "RPM", "Percent": "%"}.get(str(row.get("ReadingUnits")), "RPM") if kind == "Fan" else unit
    name = row.get("Name") or row.get("FanName") or row.get("MemberId") or kind
    number = None if value is None or isinstance(value, bool) else float(value)
    return Sensor(name=str(name)[:120], kind=kind, value=number, unit=units, health=health)


def one_sensor(row: dict[str, Any]) -> Sensor:
    """A Sensor resource (DSP0268 §6.127), as newer services have for each reading."""
    value, unit = row.get("Reading"), str(row.get("ReadingUnits") or "")
    status = row.get("Status")
    health = _HEALTH.get(str(status.get("Health")), "unknown") if isinstance(status, dict) else "unknown"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Sensor(
        name=str(row.get("Name") or row.get("Id") or "sensor")[:120],
        kind=_KINDS.get(str(row.get("ReadingType")), str(row.get("ReadingType") or "other")[:40]),
        value=float(value) if is_number and value is not None else None,
        unit=_UNITS.get(unit, unit[:20]),
        health=health,
    )


def event(row: dict[str, Any], number: int, clock: Callable[[str], int | None]) -> SelEntry:
    """A LogEntry (DSP0268 §6.62). number: its place, where its Id is no number."""
    known = str(row.get("Id", ""))
    return SelEntry(
        record_id=int(known) if known.isdecimal() and len(known) < 10 else number,
        at_s=clock(str(row.get("Created", ""))),
        sensor=str(row.get("SensorType") or row.get("EntryType") or "")[:120],
        event=str(row.get("Message") or row.get("MessageId") or "record of the vendor")[:1000],
        severity=_HEALTH.get(str(row.get("Severity")), "unknown"),
    )
