"""Which import of an image is next, and what the others wait for. Pure.

What is fetched may take hours where somebody's server is slow; so no project and no server has more than its part of
the places, and what is here already, and only has to be looked at and packed, has places of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.domain.errors import Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """owner: the project that has the image; empty: the appliance. host: to be asked; empty: the bytes are here."""

    uuid: str
    owner: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """downloads, packings: that go on at once. owner, host: how many of either kind may be of one project, and how many
    downloads from one server. waiting, waiting_of_owner: how many may wait.
    """

    downloads: int = 10
    packings: int = 4
    owner: int = 2
    host: int = 4
    waiting: int = 500
    waiting_of_owner: int = 50


def refuse_full(one: Import, waiting: Sequence[Import], bounds: Bounds) -> None:
    """Raises Unavailable when there is no place left to wait in."""
    if sum(other.owner == one.owner for other in waiting) >= bounds.waiting_of_owner:
        whose = "this project" if one.owner else "the appliance's own images"
        raise Unavailable(
            f"{bounds.waiting_of_owner} imports of {whose} wait already", next_step="try again when some have ended"
        )
    if len(waiting) >= bounds.waiting:
        raise Unavailable(f"{bounds.waiting} imports wait already", next_step="try again when some have ended")


def waits_for(one: Import, running: Sequence[Import], bounds: Bounds) -> str:
    """What has to end before this import can begin; empty when nothing stands in its way but others like it."""
    alike = [other for other in running if bool(other.host) == bool(one.host)]
    what, most = ("downloads", bounds.downloads) if one.host else ("images being packed", bounds.packings)
    if sum(other.owner == one.owner for other in alike) >= bounds.owner:
        return f"{bounds.owner} {what} of {'this project' if one.owner else 'the appliance itself'} to end"
    if one.host and sum(other.host == one.host for other in alike) >= bounds.host:
        return f"{bounds.host} downloads from {one.host} to end"
    return f"one of {most} {what} to end" if len(alike) >= most else ""


def first(
    waiting: Sequence[Import], running: Sequence[Import], served: Sequence[str], bounds: Bounds
) -> int | None:  # fmt: skip
    """Position of the import that may begin: of whom has least going on, then of whom was served longest ago.

    served: owners in the order in which they were served last.
    """
    free = [number for number, one in enumerate(waiting) if not waits_for(one, running, bounds)]

    def turn(number: int) -> tuple[int, int, int]:
        owner = waiting[number].owner
        going = sum(other.owner == owner for other in running)
        return going, served.index(owner) if owner in served else -1, number

    return min(free, key=turn, default=None)
