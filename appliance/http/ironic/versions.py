"""Microversions: which one a request speaks, and since which one something is there.

A client names the version it speaks in each request (`OpenStack-API-Version: baremetal 1.N`, else
`X-OpenStack-Ironic-API-Version: 1.N`; each may be `latest`); without a name it speaks the oldest one. Each answer says
what there is. MAXIMUM is what is really implemented: clients choose by it.
"""

import re
from collections.abc import Mapping
from typing import Protocol

from appliance.domain.errors import RackwrightError

MINIMUM = 1
MAXIMUM = 112
HEADER = "X-OpenStack-Ironic-API-Version"
MINIMUM_HEADER = "X-OpenStack-Ironic-API-Minimum-Version"
MAXIMUM_HEADER = "X-OpenStack-Ironic-API-Maximum-Version"
_GENERIC_HEADER = "OpenStack-API-Version"
_SERVICE = "baremetal"
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\Z")
RANGE: Mapping[str, str] = {MINIMUM_HEADER: f"1.{MINIMUM}", MAXIMUM_HEADER: f"1.{MAXIMUM}"}
"""What each answer carries, also a refusal."""


class Headers(Protocol):
    """A request's headers, whichever way they are kept; names in any case."""

    def get(self, key: str, /) -> str | None: ...


class NotAcceptable(RackwrightError):
    """The request holds what came after the version that it speaks."""

    code = "not-acceptable"
    blame = "caller"


class NoSuchVersion(NotAcceptable):
    """The version that the request speaks is none of ours."""


def negotiate(headers: Headers) -> int:
    """The minor version that the request speaks. Raises NoSuchVersion. The service-neutral header goes first."""
    asked = _generic(headers.get(_GENERIC_HEADER)) or headers.get(HEADER)
    if not asked:
        return MINIMUM
    text = asked.strip().lower()[:16]
    if text == "latest":
        return MAXIMUM
    found = _VERSION.match(text)
    if found is None:
        raise NoSuchVersion(f"Invalid value for {HEADER} header")
    major, minor = int(found[1]), int(found[2])
    if major != 1:
        raise NoSuchVersion(
            f"Mutually exclusive versions requested. Version {major}.{minor} requested but not supported by this "
            f"service. The supported version range is: [1.{MINIMUM}, 1.{MAXIMUM}]."
        )
    if not MINIMUM <= minor <= MAXIMUM:
        raise NoSuchVersion(
            f"Version 1.{minor} was requested but the minor version is not supported by this service. "
            f"The supported version range is: [1.{MINIMUM}, 1.{MAXIMUM}]."
        )
    return minor


def _generic(value: str | None) -> str | None:
    """The version in `OpenStack-API-Version: baremetal 1.N`, a list with a service's word before each version."""
    for part in (value or "").split(","):
        service, _, version = part.strip().partition(" ")
        if service == _SERVICE:
            return version
    return None


def require(minor: int, since: int) -> None:
    """Refuse what came later than the version that the request speaks. Raises NotAcceptable."""
    if minor < since:
        raise NotAcceptable(f"Request not acceptable. The minimal required API version should be 1.{since}")
