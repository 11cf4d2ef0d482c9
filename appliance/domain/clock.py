"""What a clock is. Values of time are aware datetimes in UTC; only `appliance.main` and tests make a clock."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present time, aware, in UTC."""


def system_clock() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)  # noqa: TID251  (the one place)
