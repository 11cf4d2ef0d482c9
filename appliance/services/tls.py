"""The internal certificate authority and the certificates of our own doors. ECDSA P-256 throughout.

STATE/tls: ca.pem ca.key (ten years), server.pem server.key (operators), agent.pem agent.key (agents). A server
certificate is made anew when a name is missing, when two thirds of its life are over, or when it is damaged; one that
somebody else signed is the operator's own: it is checked and never overwritten. `ServerContexts` gives each incoming
connection a certificate that holds the very address it came to, so an interface that appears later needs no restart.

Spec: RFC 5280; names only in subjectAltName (RFC 9110 §4.3.4).
"""

import ipaddress
import logging
import ssl
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.config import Places
from appliance.domain.clock import Clock
from appliance.domain.errors import RackwrightError
from appliance.services.files import write_durably

log = logging.getLogger(__name__)

CA_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=397)
BACKDATED = timedelta(days=2)  # machines come up with clocks that are wrong by a time zone
ALWAYS = ("localhost", "127.0.0.1", "::1")


class CertificateUnusable(RackwrightError):
    """A certificate or its key cannot be used."""

    code: ClassVar[str] = "certificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Paths of a certificate and its key, and when it must be replaced. names: as in its subjectAltName."""

    cert: Path
    key: Path
    names: frozenset[str]
    renew_at: datetime
    expires_at: datetime
    is_ours: bool = True


def create_ca(state: Path, label: str, now: datetime) -> None:
    """Make the authority. label: distinguishes installations in people's trust stores. Keeps one that is there."""
    tls = Places(state).tls
    tls.mkdir(mode=0o700, exist_ok=True)
    if (tls / "ca.pem").exists() and (tls / "ca.key").exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Rackwright CA {label}")])
    usage = _usage(key_cert_sign=True, crl_sign=True)
    cert = (
        _builder(name, name, key.public_key(), now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    write_durably(tls / "ca.key", _key_pem(key), mode=0o600)
    write_durably(tls / "ca.pem", cert.public_bytes(serialization.Encoding.PEM), mode=0o644)


def ca_fingerprint(state: Path) -> str:
    """SHA-256 of the authority's certificate (DER), in hexadecimal: what the agent's boot line carries."""
    return load_ca(state)[0].fingerprint(hashes.SHA256()).hex()


def load_ca(state: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    tls = Places(state).tls
    cert, key = _load_cert(tls / "ca.pem"), _load_key(tls / "ca.key")
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != cert.public_key():
        raise CertificateUnusable(
            f"{tls / 'ca.key'} does not belong to {tls / 'ca.pem'}", next_step="restore STATE/tls from a backup"
        )
    return cert, key


def ensure_server_certificate(state: Path, names: Iterable[str], *, now: datetime, name: str = "server") -> Pair:
    """The pair STATE/tls/NAME.pem, valid for all the names given (and localhost), made anew when it must be.

    Names that the present certificate holds are kept, so an interface that is down for a while costs nothing.
    Raises CertificateUnusable for an operator's own certificate that cannot serve, or a damaged authority.
    """
    ca_cert, _ = load_ca(state)
    cert_path, key_path = Places(state).tls / f"{name}.pem", Places(state).tls / f"{name}.key"
    wanted = frozenset((*ALWAYS, *names))
    present = _present(cert_path, key_path, ca_cert)
    if present is not None and not present.is_ours:
        return _checked_foreign(present, now)
    if present is not None and wanted <= present.names and now < present.renew_at:
        return present
    wanted |= present.names if present is not None else frozenset()
    if now >= ca_cert.not_valid_after_utc:
        raise CertificateUnusable(
            f"the internal authority expired on {ca_cert.not_valid_after_utc:%Y-%m-%d}",
            next_step="move STATE/tls away and run `rackwright init` again; deployed machines are not affected",
        )
    _issue(state, name, wanted, now)
    log.info("certificate issued file=%s names=%d", cert_path, len(wanted))
    made = _present(cert_path, key_path, ca_cert)
    assert made is not None
    return made


class ServerContexts:
    """TLS contexts for one listener. `context_for(address)`: for a connection that came to this local address."""

    def __init__(self, state: Path, names: Iterable[str], *, clock: Clock, name: str = "server") -> None:
        self._state, self._clock, self._name = state, clock, name
        self._names = frozenset(names)
        self._lock = threading.Lock()
        self._pair = ensure_server_certificate(state, self._names, now=clock(), name=name)
        self._context = make_context(self._pair)

    def context_for(self, address: str) -> ssl.SSLContext:
        if address in self._pair.names and self._clock() < self._pair.renew_at:
            return self._context
        with self._lock:
            self._renew(address)
            return self._context

    def _renew(self, address: str) -> None:
        now = self._clock()
        if not self._pair.is_ours or (address in self._pair.names and now < self._pair.renew_at):
            return
        try:
            pair = ensure_server_certificate(self._state, self._names | {address}, now=now, name=self._name)
            self._context, self._pair = make_context(pair), pair
        except (OSError, RackwrightError):
            # A full disk must not close the door: the old certificate still serves all other addresses.
            log.exception("certificate not renewed address=%s", address)


def make_context(pair: Pair) -> ssl.SSLContext:
    """TLS 1.2 and above, our certificate, no compression, no renegotiation."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(pair.cert, pair.key)
    except (ssl.SSLError, OSError) as cause:
        raise CertificateUnusable(
            f"{pair.cert} and {pair.key} cannot be used together: {cause}", next_step="correct or remove both files"
        ) from cause
    return context


def local_addresses() -> frozenset[str]:
    """Every IP address of this machine now, from the kernel's own tables; no program is started."""
    found: set[str] = set()
    try:
        lines = Path("/proc/net/fib_trie").read_text(encoding="ascii").splitlines()
        for above, line in pairwise(lines):
            if "/32 host LOCAL" in line:
                found.add(above.split("-- ")[-1].strip())
        for line in Path("/proc/net/if_inet6").read_text(encoding="ascii").splitlines():
            digits = line.split()[0]
            found.add(str(ipaddress.IPv6Address(int(digits, 16))))
    except (OSError, IndexError, ValueError) as cause:
        log.info("addresses of this machine not listed: %s", cause)
    return frozenset(found)


def _issue(state: Path, name: str, names: frozenset[str], now: datetime) -> None:
    ca_cert, ca_key = load_ca(state)
    tls = Places(state).tls
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Rackwright {name}")])
    life = min(SERVER_LIFE, ca_cert.not_valid_after_utc - now)
    cert = (
        _builder(subject, ca_cert.subject, key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(item) for item in sorted(names)]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )
    write_durably(tls / f"{name}.key", _key_pem(key), mode=0o600)
    write_durably(tls / f"{name}.pem", cert.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _present(cert_path: Path, key_path: Path, ca_cert: x509.Certificate) -> Pair | None:
    """What is on disk; None when there is nothing of use and we may write."""
    try:
        cert = _load_cert(cert_path)
    except CertificateUnusable:
        return None
    is_ours = cert.issuer == ca_cert.subject
    try:
        key = _load_key(key_path)
        matches = key.public_key() == cert.public_key()
    except CertificateUnusable:
        matches = False
    if not matches:
        if is_ours:
            return None
        raise CertificateUnusable(
            f"{key_path} does not belong to {cert_path}",
            next_step="put the key of your certificate there, or remove both files to have them made",
        )
    public = cert.public_key()
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < 2048:
        raise CertificateUnusable(
            f"{cert_path} has an RSA key of {public.key_size} bits", next_step="use 2048 bits or more, or ECDSA"
        )
    begin, end = cert.not_valid_before_utc, cert.not_valid_after_utc
    names = _names_of(cert)
    renew_at = begin + (end - begin) * 2 / 3
    return Pair(cert=cert_path, key=key_path, names=names, renew_at=renew_at, expires_at=end, is_ours=is_ours)


def _checked_foreign(pair: Pair, now: datetime) -> Pair:
    begin = _load_cert(pair.cert).not_valid_before_utc
    if not begin <= now < pair.expires_at:
        raise CertificateUnusable(
            f"{pair.cert} is valid from {begin:%Y-%m-%d} to {pair.expires_at:%Y-%m-%d}, not now ({now:%Y-%m-%d})",
            why="it was not issued by the internal authority, so it is not renewed here",
            next_step="install its successor, or remove it and its key to have a pair made; or set the clock",
        )
    return pair


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names_of(cert: x509.Certificate) -> frozenset[str]:
    try:
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(str(item.value) for item in names)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_cert(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as cause:
        raise CertificateUnusable(
            f"{path} is not a readable certificate: {cause}", next_step=f"put {path} back from a backup"
        ) from cause


def _load_key(path: Path) -> CertificateIssuerPrivateKeyTypes:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as cause:
        raise CertificateUnusable(
            f"{path} is not a readable private key: {cause}", next_step=f"put {path} back from a backup"
        ) from cause
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CertificateUnusable(
            f"{path} is neither an ECDSA nor an RSA key", next_step=f"put {path} back from a backup"
        )
    return key
