"""Cipher suites 3 and 17, and the keys that a session derives from the password.

Not here: suite 0 (no authentication) and every other suite without authentication, integrity and encryption. They are
absent from `SUITES`, so no code path can choose them.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bmc.rmcp.errors import MalformedPacket

AES_BLOCK = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class CipherSuite:
    """Algorithm numbers as in §13.28; integrity_bytes: how much of the HMAC travels in a packet and in RAKP 4."""

    number: int
    authentication: int
    integrity: int
    confidentiality: int
    digest: str
    integrity_bytes: int

    def mac(self, key: bytes, *parts: bytes) -> bytes:
        return hmac.digest(key, b"".join(parts), self.digest)

    @property
    def digest_bytes(self) -> int:
        return hashlib.new(self.digest).digest_size

    @property
    def algorithms(self) -> tuple[int, int, int]:
        return (self.authentication, self.integrity, self.confidentiality)


# §22.15.2, table 22-20. Strongest first: clients propose in this order.
SUITE_17 = CipherSuite(number=17, authentication=3, integrity=4, confidentiality=1, digest="sha256", integrity_bytes=16)
SUITE_3 = CipherSuite(number=3, authentication=1, integrity=1, confidentiality=1, digest="sha1", integrity_bytes=12)
SUITES: Mapping[int, CipherSuite] = {suite.number: suite for suite in (SUITE_17, SUITE_3)}


def suite_for(authentication: int, integrity: int, confidentiality: int) -> CipherSuite | None:
    """The suite made of exactly these algorithms; None for any that is not ours, suite 0 included."""
    wanted = (authentication, integrity, confidentiality)
    return next((suite for suite in SUITES.values() if suite.algorithms == wanted), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What protects one session: k1 signs, aes encrypts (§13.32)."""

    suite: CipherSuite
    sik: bytes = field(repr=False)
    k1: bytes = field(repr=False)
    aes: bytes = field(repr=False)

    def sign(self, packet: bytes) -> bytes:
        return self.suite.mac(self.k1, packet)[: self.suite.integrity_bytes]

    def encrypt(self, payload: bytes) -> bytes:
        """Initialisation vector, then AES-CBC of payload and confidentiality trailer (§13.29)."""
        pad = -(len(payload) + 1) % AES_BLOCK
        trailer = bytes(range(1, pad + 1)) + bytes([pad])
        vector = secrets.token_bytes(AES_BLOCK)
        cipher = Cipher(algorithms.AES(self.aes), modes.CBC(vector)).encryptor()
        return vector + cipher.update(payload + trailer) + cipher.finalize()

    def decrypt(self, sealed: bytes) -> bytes:
        if len(sealed) < 2 * AES_BLOCK or len(sealed) % AES_BLOCK:
            raise MalformedPacket("encrypted payload has no whole number of blocks")
        cipher = Cipher(algorithms.AES(self.aes), modes.CBC(sealed[:AES_BLOCK])).decryptor()
        plain = cipher.update(sealed[AES_BLOCK:]) + cipher.finalize()
        pad = plain[-1]
        if pad >= AES_BLOCK or plain[-1 - pad : -1] != bytes(range(1, pad + 1)):
            raise MalformedPacket("confidentiality pad is not the one of §13.29")
        return plain[: -1 - pad]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """Everything that RAKP 1-4 sign (§13.20-13.24). Session ids are numbers; `role` is the octet of RAKP 1."""

    suite: CipherSuite
    console_id: int
    system_id: int
    console_random: bytes
    system_random: bytes
    guid: bytes
    role: int
    user: bytes

    def _name(self) -> bytes:
        return bytes([self.role, len(self.user)]) + self.user

    def rakp2_code(self, password: bytes) -> bytes:
        return self.suite.mac(
            password,
            self.console_id.to_bytes(4, "little"),
            self.system_id.to_bytes(4, "little"),
            self.console_random,
            self.system_random,
            self.guid,
            self._name(),
        )

    def rakp3_code(self, password: bytes) -> bytes:
        return self.suite.mac(password, self.system_random, self.console_id.to_bytes(4, "little"), self._name())

    def rakp4_code(self, keys: Keys) -> bytes:
        code = self.suite.mac(keys.sik, self.console_random, self.system_id.to_bytes(4, "little"), self.guid)
        return code[: self.suite.integrity_bytes]

    def keys(self, password: bytes) -> Keys:
        """One-key log-in: K_G is the user's password, as both ends of ours leave it unset (§13.31)."""
        sik = self.suite.mac(password, self.console_random, self.system_random, self._name())
        k1 = self.suite.mac(sik, b"\x01" * 20)
        k2 = self.suite.mac(sik, b"\x02" * 20)
        return Keys(suite=self.suite, sik=sik, k1=k1, aes=k2[:16])


def same(left: bytes, right: bytes) -> bool:
    return hmac.compare_digest(left, right)
