"""Answers DNS queries from ZoneData. Pure: bytes in, bytes out.

Authoritative for the zones of ZoneData and REFUSED for everything else: no recursion, no transfers, no updates. ANY
gets one record set (RFC 8482 §4.1). Times to live are short because machines come and go.
"""

import struct
from collections.abc import Sequence

from dnslib import EDNS0, NS, PTR, RR, SOA, A, DNSHeader, DNSLabel, DNSQuestion, DNSRecord

from pxe.dns import query as parser
from pxe.dns.query import Query
from pxe.errors import MalformedPacket
from pxe.needs import ZoneData

TTL_S = 60
NEGATIVE_TTL_S = 10
UDP_LIMIT = 1232  # no fragments on any path (DNS flag day 2020)
_CACHE_LIMIT = 4096

_TYPES = {1: "A", 2: "NS", 6: "SOA", 12: "PTR"}
_ANY = 255
_TRANSFERS = (251, 252, 253, 254)
_NOERROR, _FORMERR, _NXDOMAIN, _NOTIMP, _REFUSED, _BADVERS = 0, 1, 3, 4, 5, 16
_AUTHORITATIVE, _TRUNCATED, _RESPONSE = 0x0400, 0x0200, 0x8000


class Responder:
    """Keeps the replies of the current revision, since machines ask the same few questions."""

    def __init__(self, zones: ZoneData) -> None:
        self._zones = zones
        self._cache: dict[tuple[bytes, bool, int, int], bytes] = {}
        self._cached_revision = -1

    def answer(self, data: bytes, *, over_tcp: bool = False) -> bytes | None:
        """The reply, or `None` to stay silent."""
        if not parser.is_answerable(data):
            return None
        try:
            query = parser.parse(data)
        except MalformedPacket:
            return struct.pack("!2sHHHHH", data[:2], _RESPONSE | (data[2] & 0x79) << 8 | _FORMERR, 0, 0, 0, 0)
        limit = 65535 if over_tcp else max(512, min(query.edns_size or 512, UDP_LIMIT))
        key = (query.question, query.edns_size is not None, limit, query.flags << 16 | query.edns_version)
        if self._cached_revision != self._zones.revision or len(self._cache) >= _CACHE_LIMIT:
            self._cache.clear()
            self._cached_revision = self._zones.revision
        reply = self._cache.get(key)
        if reply is None:
            reply = self._build(query, limit)
            self._cache[key] = reply
        return data[:2] + reply[2:]

    def _build(self, query: Query, limit: int) -> bytes:
        code, answers, authority = self._decide(query)
        is_ours = code in (_NOERROR, _NXDOMAIN)
        reply = _render(query, code, answers, authority, authoritative=is_ours)
        if len(reply) > limit:
            reply = _render(query, code, [], [], authoritative=is_ours, truncated=True)
        return reply

    def _decide(self, query: Query) -> tuple[int, Sequence[RR], Sequence[RR]]:
        if query.opcode != 0:
            return _NOTIMP, [], []
        if query.edns_version:
            return _BADVERS, [], []
        name = query.name
        origin = self._origin_of(name) if name is not None else None
        if name is None or origin is None or query.qclass != 1 or query.qtype in _TRANSFERS:
            return _REFUSED, [], []
        records = self._records(query, name, origin)
        if query.qtype == _ANY:
            kinds = [kind for kind in ("A", "PTR", "SOA") if records.get(kind)]
            found = records[kinds[0]] if kinds else []
        else:
            found = records.get(_TYPES.get(query.qtype, ""), [])
        if found:
            return _NOERROR, found, []
        code = _NOERROR if self._zones.exists(name) else _NXDOMAIN
        return code, [], [self._soa(origin, NEGATIVE_TTL_S)]

    def _origin_of(self, name: str) -> str | None:
        fits = [origin for origin in self._zones.origins if name == origin or name.endswith("." + origin)]
        return max(fits, key=len, default=None)

    def _records(self, query: Query, name: str, origin: str) -> dict[str, list[RR]]:
        label = DNSLabel(query.labels)
        records = {"A": [RR(label, 1, ttl=TTL_S, rdata=A(str(address))) for address in self._zones.addresses(name)]}
        pointer = self._zones.pointer(name)
        if pointer is not None:
            records["PTR"] = [RR(label, 12, ttl=TTL_S, rdata=PTR(pointer))]
        if name == origin:
            records["SOA"] = [self._soa(origin, TTL_S)]
            records["NS"] = [RR(label, 2, ttl=TTL_S, rdata=NS(self._zones.nameserver))]
        return records

    def _soa(self, origin: str, ttl_s: int) -> RR:
        server = self._zones.nameserver
        mailbox = "hostmaster." + server.partition(".")[2]
        times = (self._zones.revision, 3600, 600, 86400, NEGATIVE_TTL_S)
        return RR(DNSLabel(origin), 6, ttl=ttl_s, rdata=SOA(server, mailbox, times))


def _render(
    query: Query,
    code: int,
    answers: Sequence[RR],
    authority: Sequence[RR],
    *,
    authoritative: bool,
    truncated: bool = False,
) -> bytes:
    """The message, packed by dnslib; the labels of the question go in as they came, so they come back as sent."""
    flags = _RESPONSE | (query.flags & 0x7900) | (code & 0xF)
    flags |= (_AUTHORITATIVE if authoritative else 0) | (_TRUNCATED if truncated else 0)
    question = DNSQuestion(DNSLabel(query.labels), query.qtype, query.qclass)
    message = DNSRecord(DNSHeader(id=query.ident, bitmap=flags), q=question, rr=list(answers), auth=list(authority))
    if query.edns_size is not None:
        message.add_ar(EDNS0(udp_len=UDP_LIMIT, ext_rcode=code >> 4))
    return bytes(message.pack())
