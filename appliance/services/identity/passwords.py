"""Passwords and secrets: Argon2id hashes, and the rules that a new password must keep.

Hashing is slow on purpose: never call it while a write transaction is open, since everybody else's write would wait.
"""

import re
import secrets
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from appliance.domain.errors import Invalid, RackwrightError, Unavailable

MIN_PASSWORD = 8
MAX_PASSWORD = 4096

# OWASP's second choice (19 MiB, 2 passes) instead of RFC 9106's 64 MiB: logins must not cost an idle appliance its
# memory. Two at a time, so that a thousand bad logins cost 38 MiB and leave a processor to the rest.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_AT_ONCE = threading.BoundedSemaphore(2)
_WAITING = threading.BoundedSemaphore(24)
_PATIENCE_S = 5.0


class BadPassword(Invalid):
    """The new password does not keep the rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """pattern: what every password must match; description: the same in words. expires: None for never.

    history: how many passwords, the present one included, must not be taken again.
    """

    pattern: str = r"^.{8,}$"
    description: str = "at least 8 characters"
    expires: timedelta | None = timedelta(days=90)
    history: int = 5

    def check(self, password: str) -> None:
        """Raises BadPassword."""
        if len(password) > MAX_PASSWORD:
            raise BadPassword(f"a password has at most {MAX_PASSWORD} characters")
        if re.match(self.pattern, password, re.DOTALL) is None:
            raise BadPassword(
                f"The password does not match the requirements: {self.description}.", next_step="choose another"
            )

    def check_history(self, password: str, before: Sequence[str]) -> None:
        """before: hashes, the newest first. Raises BadPassword."""
        if any(verify(hashed, password) for hashed in before[: self.history]):
            raise BadPassword(
                "The new password cannot be identical to a previous password. The total number which includes the new"
                f" password must be unique is {self.history}.",
                next_step="choose another",
            )

    def expires_at(self, set_at: datetime) -> datetime | None:
        return None if self.expires is None else set_at + self.expires


@contextmanager
def one_login() -> Iterator[None]:
    """A place among those who prove themselves now. Raises Unavailable when there is none for long.

    Every command of an OpenStack client begins with a log-in, so dozens at once are usual: they take turns, at some 60
    a second. Without a bound, guessing would take all of the door's threads.
    """
    if not _WAITING.acquire(timeout=_PATIENCE_S):
        raise Unavailable("too many people log in at once", next_step="try again")
    try:
        yield
    finally:
        _WAITING.release()


def hash_password(password: str) -> str:
    with _AT_ONCE:
        return _HASHER.hash(_normal(password))


def verify(hashed: str | None, password: str) -> bool:
    """hashed: None for nobody, which takes as long as somebody. A password that is too long is never right."""
    if len(password) > MAX_PASSWORD:
        return False
    try:
        with _AT_ONCE:
            _HASHER.verify(hashed or nobody(), _normal(password))
            return hashed is not None
    except VerificationError:
        return False
    except InvalidHashError as cause:
        raise RackwrightError("a stored password hash is damaged", next_step="set the password anew") from cause


@lru_cache(maxsize=1)
def nobody() -> str:
    """The hash that an unknown name is tried against, so that it takes as long as a known one."""
    return _HASHER.hash(secrets.token_hex())


def new_password() -> str:
    """A random password of 20 letters and digits without look-alikes, in groups (about 98 bits)."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    while True:
        made = "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(4))
        if re.search("[a-z]", made) and re.search("[0-9]", made):  # as the rules of many sites ask
            return made


def _normal(password: str) -> bytes:
    """One text for the same characters however a keyboard composes them (RFC 8265 §4.2.2: NFC)."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
