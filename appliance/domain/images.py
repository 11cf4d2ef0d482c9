"""Images as decisions: which states follow on which, and who may see, change and share an image. Pure."""

import enum
from collections.abc import Mapping

from appliance.domain.access import Actor, Role, implies


class Status(enum.StrEnum):
    """What becomes of a deleted image is not a state: its row is gone when the deletion is answered.

    queued: waits for bytes. saving: they come in, or are looked at and packed. uploading: they come in or lie ready to
    be imported. importing: they are fetched, or looked at and packed. killed: of no use, and says why.
    """

    QUEUED = "queued"
    SAVING = "saving"
    UPLOADING = "uploading"
    IMPORTING = "importing"
    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    KILLED = "killed"


MOVES: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.SAVING, Status.UPLOADING, Status.IMPORTING}),
    Status.SAVING: frozenset({Status.ACTIVE, Status.KILLED, Status.QUEUED}),
    Status.UPLOADING: frozenset({Status.IMPORTING, Status.QUEUED}),
    Status.IMPORTING: frozenset({Status.ACTIVE, Status.QUEUED}),
    Status.ACTIVE: frozenset({Status.DEACTIVATED}),
    Status.DEACTIVATED: frozenset({Status.ACTIVE}),
    Status.KILLED: frozenset(),
}
"""Anything absent is refused. A deletion is allowed in every state."""

COMING = frozenset({Status.SAVING, Status.UPLOADING, Status.IMPORTING})
HAS_BYTES = frozenset({Status.ACTIVE, Status.DEACTIVATED})


def resting(disk_format: str | None) -> Status:
    """Where an image goes whose bytes did not arrive or were refused.

    Whoever named a format made a record first and sends bytes to it, again if need be. Whoever named none imports bytes
    (natively), and the record stands for those; so it is of no use without them.
    """
    return Status.KILLED if disk_format is None else Status.QUEUED


class Visibility(enum.StrEnum):
    """public: everybody sees it in lists. community: everybody sees it who asks for it. shared: its members see it."""

    PUBLIC = "public"
    COMMUNITY = "community"
    SHARED = "shared"
    PRIVATE = "private"


class MemberStatus(enum.StrEnum):
    """Whether a project wants to have a shared image in its lists. It can use it in any case."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


def sees_all(actor: Actor) -> bool:
    return actor.is_site_wide and actor.role is not Role.NONE


def rules_all(actor: Actor) -> bool:
    return actor.is_site_wide and actor.role is Role.ADMIN


def _has(actor: Actor, role: Role) -> bool:
    return actor.project_id is not None and actor.role is not Role.NONE and role in implies(actor.role)


def may_list(actor: Actor) -> bool:
    return sees_all(actor) or _has(actor, Role.READER)


def may_see(actor: Actor, *, owner: str | None, visibility: str, is_member: bool) -> bool:
    """is_member: the actor's project is a member of the image, whatever it says about it."""
    if sees_all(actor):
        return True
    is_open = visibility in (Visibility.PUBLIC, Visibility.COMMUNITY)
    is_shared = visibility == Visibility.SHARED and is_member
    return _has(actor, Role.READER) and (is_open or is_shared or owner == actor.project_id)


def may_change(actor: Actor, *, owner: str | None) -> bool:
    """Also: delete it, send bytes, deactivate it, add members."""
    return rules_all(actor) or (_has(actor, Role.MEMBER) and owner is not None and owner == actor.project_id)


def may_create(actor: Actor, *, owner: str | None) -> bool:
    return may_change(actor, owner=owner)


def may_download(actor: Actor, *, is_deactivated: bool) -> bool:
    """Of an image that the actor sees."""
    return rules_all(actor) or (not is_deactivated and _has(actor, Role.MEMBER))


def may_publish(actor: Actor) -> bool:
    return rules_all(actor)


def may_answer(actor: Actor, *, member: str) -> bool:
    """Accept or reject a shared image in the name of a project."""
    return rules_all(actor) or (_has(actor, Role.MEMBER) and member == actor.project_id)
