"""Requests to the appliance over TLS, with the one authority that the boot script pinned.

Not here: when to ask and what the answer means (agent.loop). Redirects are answers like any other and are not followed.
"""

import hashlib
import json
import logging
import socket
import ssl
import time
from collections.abc import Mapping

from agent import http1
from agent.errors import BadAnswer, NoAnswer, WrongAuthority
from agent.wire import MAX_BODY_BYTES

log = logging.getLogger(__name__)

# OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which the ssl module does not name. A machine whose clock stands in 1970 must
# still be able to call; the authority itself is pinned by its digest for this one boot.
_NO_CHECK_TIME = 0x200000
_CONNECT_S = 10.0
_MAX_CA_BYTES = 64 * 1024
_RECEIVE_BYTES = 64 * 1024


class Client:
    """One kept connection; not for use by two threads at once."""

    def __init__(self, base_url: str, *, context: ssl.SSLContext | None) -> None:
        scheme, _, authority = base_url.partition("://")
        host, _, port = authority.rpartition(":")
        if not host:
            host, port = authority, "443" if scheme == "https" else "80"
        self._authority = authority
        self._address = (host.strip("[]"), int(port))
        self._context = context
        self._socket: socket.socket | None = None

    def request(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        max_body: int = MAX_BODY_BYTES,
    ) -> http1.Response:
        """One answer. Raises NoAnswer (also when the answer is not complete within timeout_s) or BadAnswer."""
        deadline = time.monotonic() + timeout_s
        data = http1.request(method, path, host=self._authority, headers=headers or {}, body=body)
        is_reused = self._socket is not None
        try:
            return self._exchange(data, deadline, max_body)
        except NoAnswer:
            # The appliance may close a kept connection at any time; that alone is no failure.
            if not is_reused:
                raise
        return self._exchange(data, deadline, max_body)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(self, data: bytes, deadline: float, max_body: int) -> http1.Response:
        reader = http1.Reader(max_body=max_body)
        response: http1.Response | None = None
        try:
            connection = self._connection(deadline)
            connection.settimeout(_left(deadline))
            connection.sendall(data)
            while response is None:
                connection.settimeout(_left(deadline))
                received = connection.recv(_RECEIVE_BYTES)
                response = reader.feed(received) if received else reader.end()
        except (OSError, EOFError) as cause:
            self.close()
            raise NoAnswer(f"{self._authority}: {cause}") from cause
        except BadAnswer as cause:
            self.close()
            if reader.has_begun:
                raise
            raise NoAnswer(f"{self._authority} closed the connection") from cause
        if not response.is_reusable:
            self.close()
        return response

    def _connection(self, deadline: float) -> socket.socket:
        if self._socket is None:
            plain = socket.create_connection(self._address, min(_CONNECT_S, _left(deadline)))
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is None:
                self._socket = plain
            else:
                try:
                    self._socket = self._context.wrap_socket(plain, server_hostname=self._address[0])
                except OSError:
                    plain.close()
                    raise
        return self._socket


def pinned_context(http_url: str, ca_sha256: str, *, timeout_s: float) -> ssl.SSLContext:
    """Fetch the authority over plain HTTP and accept it only by its digest. Raises NoAnswer or WrongAuthority."""
    client = Client(http_url, context=None)
    try:
        answer = client.request("GET", "/boot/ca.pem", timeout_s=timeout_s, max_body=_MAX_CA_BYTES)
    except BadAnswer as cause:
        raise NoAnswer(f"{http_url}: {cause}") from cause
    finally:
        client.close()
    if answer.status != 200:
        raise NoAnswer(f"{http_url} answered {answer.status} to the request for its certificate authority")
    return context_for(answer.body, ca_sha256)


def context_for(pem: bytes, ca_sha256: str) -> ssl.SSLContext:
    """TLS that trusts exactly the authority in pem. Raises WrongAuthority if its digest is another one."""
    try:
        text = pem.decode("ascii")
        der = ssl.PEM_cert_to_DER_cert(text[: text.index("-----END") + len("-----END CERTIFICATE-----")].strip())
    except ValueError as cause:
        raise WrongAuthority("the certificate authority served is not in PEM form") from cause
    if hashlib.sha256(der).hexdigest() != ca_sha256:
        raise WrongAuthority
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags = ssl.VerifyFlags(int(context.verify_flags) | _NO_CHECK_TIME)
    try:
        context.load_verify_locations(cadata=der)
    except ssl.SSLError as cause:
        raise WrongAuthority("the certificate authority served is not a certificate") from cause
    return context


def json_body(response: http1.Response) -> dict[str, object]:
    """The object in a body; an empty body is an empty object. Raises BadAnswer."""
    if not response.body.strip():
        return {}
    try:
        value = json.loads(response.body)
    except ValueError as cause:
        raise BadAnswer("the answer is not JSON") from cause
    if not isinstance(value, dict):
        raise BadAnswer("the answer is not a JSON object")
    return value


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
