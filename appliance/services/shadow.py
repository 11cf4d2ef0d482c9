"""Passwords as a Unix system keeps them in /etc/shadow: SHA-512 crypt.

Only for a system that we hand a password to (the rescue ramdisk). Our own users' passwords are not hashed here.
Spec: U. Drepper, "Unix crypt using SHA-256 and SHA-512", version 0.6.
"""

import hashlib
import secrets

ROUNDS = 5000
_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SALT_CHARS = 16


def hashed(password: str, salt: str | None = None) -> str:
    """`$6$SALT$HASH`, a few milliseconds of work. salt: 1 to 16 characters of the alphabet; by default random."""
    salt = salt or "".join(secrets.choice(_ALPHABET) for _ in range(_SALT_CHARS))
    key, pepper = password.encode(), salt.encode()
    digest = _first(key, pepper)
    p = _stretched(hashlib.sha512(key * len(key)).digest(), len(key))
    s = _stretched(hashlib.sha512(pepper * (16 + digest[0])).digest(), len(pepper))
    for number in range(ROUNDS):
        step = p if number & 1 else digest
        if number % 3:
            step += s
        if number % 7:
            step += p
        digest = hashlib.sha512(step + (digest if number & 1 else p)).digest()
    return f"$6${salt}${_encoded(digest)}"


def _first(key: bytes, salt: bytes) -> bytes:
    other = hashlib.sha512(key + salt + key).digest()
    text = key + salt + _stretched(other, len(key))
    bits = len(key)
    while bits:
        text += other if bits & 1 else key
        bits >>= 1
    return hashlib.sha512(text).digest()


def _stretched(digest: bytes, length: int) -> bytes:
    return (digest * (length // 64 + 1))[:length]


def _encoded(digest: bytes) -> str:
    """In the order of the specification: three bytes, 21 apart, turning, as four characters; one is left over."""
    groups = [(0, 21, 42)]
    for _ in range(20):
        a, b, c = groups[-1]
        groups.append((b + 1, c + 1, a + 1))
    text = "".join(_characters(digest[a] << 16 | digest[b] << 8 | digest[c], 4) for a, b, c in groups)
    return text + _characters(digest[63], 2)


def _characters(value: int, count: int) -> str:
    return "".join(_ALPHABET[value >> 6 * place & 63] for place in range(count))
