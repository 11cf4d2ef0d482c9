"""Our own authority, certificates that follow the machine's addresses, and other people's certificates left alone."""

import errno
import os
import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from appliance.services import tls
from appliance.services.tls import CertificateUnusable, ServerContexts, ensure_server_certificate

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    tls.create_ca(tmp_path, "test", NOW)
    return tmp_path


def serial(pair: tls.Pair) -> int:
    return x509.load_pem_x509_certificate(pair.cert.read_bytes()).serial_number


def test_the_authority(state: Path):
    cert, _ = tls.load_ca(state)
    assert cert.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert stat.S_IMODE((state / "tls" / "ca.key").stat().st_mode) == 0o600
    assert tls.ca_fingerprint(state) == cert.fingerprint(hashes.SHA256()).hex()


def test_making_the_authority_twice_keeps_it(state: Path):
    before = tls.ca_fingerprint(state)
    tls.create_ca(state, "again", NOW)
    assert tls.ca_fingerprint(state) == before


def test_two_installations_have_different_authorities(tmp_path: Path, state: Path):
    (tmp_path / "other").mkdir()
    tls.create_ca(tmp_path / "other", "test", NOW)
    assert tls.ca_fingerprint(tmp_path / "other") != tls.ca_fingerprint(state)


def test_a_certificate_holds_the_names_and_localhost(state: Path):
    pair = ensure_server_certificate(state, ["rack.example", "10.0.0.1", "2001:db8::1"], now=NOW)
    assert pair.names == {"rack.example", "10.0.0.1", "2001:db8::1", "localhost", "127.0.0.1", "::1"}
    assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600


def test_it_is_kept_while_it_serves(state: Path):
    first = ensure_server_certificate(state, ["a", "b"], now=NOW)
    before = serial(first)
    for names in (["a", "b"], ["a"], []):
        again = ensure_server_certificate(state, names, now=NOW + timedelta(days=1))
        assert serial(again) == before
        assert again.names == first.names


def test_a_new_name_is_added_to_the_old_ones(state: Path):
    first = serial(ensure_server_certificate(state, ["a"], now=NOW))
    second = ensure_server_certificate(state, ["b"], now=NOW)
    assert serial(second) != first
    assert {"a", "b"} <= second.names


def test_it_is_renewed_at_two_thirds_of_its_life(state: Path):
    first = ensure_server_certificate(state, ["a"], now=NOW)
    before = serial(first)
    assert serial(ensure_server_certificate(state, ["a"], now=first.renew_at - timedelta(seconds=1))) == before
    second = ensure_server_certificate(state, ["a"], now=first.renew_at)
    assert second.expires_at > first.expires_at


@pytest.mark.parametrize("file", ["server.pem", "server.key"])
@pytest.mark.parametrize("damage", [b"", b"junk", None])
def test_a_damaged_pair_of_ours_is_made_anew(state: Path, file: str, damage: bytes | None):
    before = serial(ensure_server_certificate(state, ["a"], now=NOW))
    if damage is None:
        (state / "tls" / file).unlink()
    else:
        (state / "tls" / file).write_bytes(damage)
    assert serial(ensure_server_certificate(state, ["a"], now=NOW)) != before


def test_a_damaged_or_foreign_authority_is_said_and_kept(state: Path):
    (state / "tls" / "ca.key").write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    with pytest.raises(CertificateUnusable, match="does not belong"):
        ensure_server_certificate(state, [], now=NOW)
    (state / "tls" / "ca.pem").write_text("junk")
    with pytest.raises(CertificateUnusable, match="not a readable certificate"):
        ensure_server_certificate(state, [], now=NOW)
    assert (state / "tls" / "ca.pem").read_text() == "junk"


def test_an_expired_authority_is_said(state: Path):
    with pytest.raises(CertificateUnusable, match="expired on 20"):
        ensure_server_certificate(state, [], now=NOW + timedelta(days=3651))


class TestSomebodyElses:
    """A certificate that the operator had signed elsewhere."""

    def install(self, state: Path, *, key=None, days: int = 90, other_key: bool = False) -> bytes:
        key = key or ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "corp")])
        cert = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(7)
            .not_valid_before(NOW - timedelta(days=100))
            .not_valid_after(NOW - timedelta(days=100) + timedelta(days=days))
            .sign(key, hashes.SHA256())
        )
        pem = cert.public_bytes(serialization.Encoding.PEM)
        (state / "tls" / "server.pem").write_bytes(pem)
        shown = ec.generate_private_key(ec.SECP256R1()) if other_key else key
        (state / "tls" / "server.key").write_bytes(
            shown.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pem

    def test_it_serves_and_is_never_overwritten(self, state: Path):
        pem = self.install(state, days=400)
        pair = ensure_server_certificate(state, ["new.name"], now=NOW)
        assert not pair.is_ours
        assert pair.cert.read_bytes() == pem

    @pytest.mark.parametrize(
        ("case", "says"),
        [
            ({"days": 90}, "not now"),
            ({"days": 400, "other_key": True}, "does not belong to"),
        ],
    )
    def test_what_cannot_serve_is_said(self, state: Path, case: dict, says: str):
        pem = self.install(state, **case)
        with pytest.raises(CertificateUnusable, match=says):
            ensure_server_certificate(state, [], now=NOW)
        assert (state / "tls" / "server.pem").read_bytes() == pem

    def test_a_weak_key_is_refused(self, state: Path):
        self.install(state, key=rsa.generate_private_key(65537, 1024), days=400)
        with pytest.raises(CertificateUnusable, match="1024 bits"):
            ensure_server_certificate(state, [], now=NOW)


def shake_hands(context: ssl.SSLContext, state: Path, name: str, version: ssl.TLSVersion | None = None) -> str:
    """A real handshake over a socket pair; the protocol version, or the client's error."""
    ours, theirs = socket.socketpair()
    client = ssl.create_default_context(cafile=state / "tls" / "ca.pem")
    if version is not None:
        client.maximum_version = version
    said: list[str] = []

    def serve() -> None:
        try:
            with context.wrap_socket(theirs, server_side=True) as sock:
                sock.recv(1)
        except OSError as fault:
            said.append(str(fault))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=name) as sock:
            return str(sock.version())
    finally:
        ours.close()
        thread.join(30)
        theirs.close()


class TestContexts:
    @pytest.fixture
    def state(self, tmp_path: Path) -> Path:
        tls.create_ca(tmp_path, "test", datetime.now(UTC))
        return tmp_path

    def test_a_client_that_trusts_the_authority_is_content(self, state: Path):
        contexts = ServerContexts(state, ["rack.example"], clock=lambda: datetime.now(UTC))
        for name in ("rack.example", "127.0.0.1", "localhost", "::1"):
            assert shake_hands(contexts.context_for("127.0.0.1"), state, name) == "TLSv1.3"
        assert shake_hands(contexts.context_for("127.0.0.1"), state, "localhost", ssl.TLSVersion.TLSv1_2) == "TLSv1.2"

    def test_another_name_is_refused_by_the_client(self, state: Path):
        contexts = ServerContexts(state, [], clock=lambda: datetime.now(UTC))
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(contexts.context_for("127.0.0.1"), state, "10.9.9.9")

    def test_old_protocols_are_refused(self, state: Path):
        context = ServerContexts(state, [], clock=lambda: datetime.now(UTC)).context_for("127.0.0.1")
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2

    def test_an_address_that_appears_later_is_served(self, state: Path):
        contexts = ServerContexts(state, [], clock=lambda: datetime.now(UTC), name="agent")
        before = contexts.context_for("127.0.0.1")
        context = contexts.context_for("10.9.9.9")
        assert shake_hands(context, state, "10.9.9.9") == "TLSv1.3"
        assert context is not before
        assert contexts.context_for("127.0.0.1") is context

    def test_it_renews_while_it_serves(self, state: Path):
        now = [datetime.now(UTC)]
        contexts = ServerContexts(state, [], clock=lambda: now[0])
        before = contexts.context_for("127.0.0.1")
        now[0] += timedelta(days=300)
        assert contexts.context_for("127.0.0.1") is not before

    def test_a_full_disk_keeps_the_door_open(self, state: Path, monkeypatch: pytest.MonkeyPatch):
        contexts = ServerContexts(state, [], clock=lambda: datetime.now(UTC))
        before = contexts.context_for("127.0.0.1")

        def full(*_args: object, **_kwargs: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "open", full)
        assert contexts.context_for("10.9.9.9") is before


def test_addresses_of_this_machine():
    assert "127.0.0.1" in tls.local_addresses()


def test_a_machine_without_proc_has_no_addresses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Path, "read_text", lambda *_args, **_kwargs: (_ for _ in ()).throw(FileNotFoundError()))
    assert tls.local_addresses() == frozenset()
