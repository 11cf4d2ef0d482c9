"""Refusals and faults that people read. The class docstring is the public sentence when none is given.

Each error says whose fault it is (`caller`, `peer`, `us`), whether repeating can help, why it happened and what to do
next. Only `appliance.http.errors` knows status codes, only the CLI knows exit codes.
"""

from typing import ClassVar, Literal

Blame = Literal["caller", "peer", "us"]


class RackwrightError(Exception):
    """Something went wrong inside the appliance."""

    code: ClassVar[str] = "internal"
    blame: ClassVar[Blame] = "us"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "", *, why: str = "", next_step: str = "") -> None:
        super().__init__(message or (self.__class__.__doc__ or self.code).strip())
        self.message = str(self)
        self.why = why
        self.next_step = next_step


class Invalid(RackwrightError):
    """The request holds a value that cannot be used."""

    code = "invalid"
    blame = "caller"


class NotFound(RackwrightError):
    """There is no such thing, or it is not yours to see."""

    code = "not-found"
    blame = "caller"


class Conflict(RackwrightError):
    """The thing is in a state, or held by somebody, that forbids this now."""

    code = "conflict"
    blame = "caller"


class Ambiguous(Conflict):
    """That fits more than one thing."""

    code = "ambiguous"


class Taken(Conflict):
    """Something else has it. `why` names what, for those who see everything; to others it may be strange."""


class IllegalMove(Conflict):
    """The node's state does not allow that verb."""

    code = "illegal-move"


class NodeLocked(Conflict):
    """Another piece of work holds the node."""

    code = "node-locked"
    retryable = True

    def __init__(
        self, message: str = "", *, why: str = "", next_step: str = "", node: str = "", host: str | None = None
    ) -> None:
        """node: its UUID. host: that of the engine which works on it; None while none does."""
        super().__init__(message, why=why, next_step=next_step)
        self.node, self.host = node, host


class Unauthenticated(RackwrightError):
    """A valid token is needed."""

    code = "unauthenticated"
    blame = "caller"


class Forbidden(RackwrightError):
    """Your role does not allow this."""

    code = "forbidden"
    blame = "caller"


class TooLarge(RackwrightError):
    """The request is larger than the limit."""

    code = "too-large"
    blame = "caller"


class StorageFull(RackwrightError):
    """The appliance's disk is full."""

    code = "storage-full"
    retryable = True


class Unavailable(RackwrightError):
    """The appliance cannot do this right now."""

    code = "unavailable"
    retryable = True
