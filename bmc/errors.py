"""What can go wrong with a BMC. A class docstring is the public sentence; `retryable`: time may cure it."""

from typing import ClassVar


class BmcError(Exception):
    """The BMC did not do what it was asked."""

    kind: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__class__.__doc__ or "").strip())


class Unreachable(BmcError):
    """The BMC does not answer."""

    kind = "unreachable"
    retryable = True


class Denied(BmcError):
    """The BMC refused the user name or password, or the privilege is too low."""

    kind = "denied"


class Unsupported(BmcError):
    """The BMC, or this driver, cannot do that."""

    kind = "unsupported"


class Busy(BmcError):
    """The BMC is busy; it may answer later."""

    kind = "busy"
    retryable = True


class Nonsense(BmcError):
    """The BMC answered something that its protocol does not allow."""

    kind = "nonsense"
    retryable = True
