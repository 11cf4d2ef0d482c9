"""Serial over LAN, one end of it (§15.9-15.11): bytes become payloads that are acknowledged and repeated.

The same class serves the BMC and the console; only the meaning of the status bits differs. Time is an argument. One
payload is under way at a time; it is repeated every `RETRY_S` and given up after `TRIES`.
"""

from collections import deque
from dataclasses import dataclass

from bmc.rmcp.errors import MalformedPacket

RETRY_S = 0.5
TRIES = 8
NACK = 0x40
UNAVAILABLE = 0x20  # BMC to console: the machine is off or the serial port busy
DEACTIVATED = 0x10  # BMC to console; from a console the same bit asks for a break
BUFFER_BYTES = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class SolPayload:
    sequence: int = 0
    acknowledges: int = 0
    accepted: int = 0
    status: int = 0
    data: bytes = b""

    def encode(self) -> bytes:
        return bytes([self.sequence, self.acknowledges, self.accepted, self.status]) + self.data

    @classmethod
    def decode(cls, payload: bytes) -> "SolPayload":
        if len(payload) < 4:
            raise MalformedPacket("SOL payload is too short")
        return cls(
            sequence=payload[0] & 0x0F,
            acknowledges=payload[1] & 0x0F,
            accepted=payload[2],
            status=payload[3],
            data=payload[4:],
        )


class SolLink:
    """`write` takes bytes for the other side; `on_payload` returns (bytes for us, payloads to send)."""

    def __init__(self, *, max_data: int) -> None:
        self._max_data = max_data
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._sequence = 0
        self._under_way: SolPayload | None = None
        self._sent_at = 0.0
        self._tries = 0
        self._last_heard = 0
        self._last_heard_bytes = 0
        self.is_lost = False
        self.dropped_bytes = 0

    def write(self, data: bytes, now: float) -> list[SolPayload]:
        """A flood beyond the buffer loses its oldest bytes, as a UART would; `dropped_bytes` counts them."""
        if data:
            self.dropped_bytes += max(0, len(data) - BUFFER_BYTES)
            self._waiting.append(data[-BUFFER_BYTES:])
            self._waiting_bytes += len(self._waiting[-1])
        while self._waiting_bytes > BUFFER_BYTES:
            lost = self._waiting.popleft()
            self._waiting_bytes -= len(lost)
            self.dropped_bytes += len(lost)
        return self._next(now)

    def _next(self, now: float) -> list[SolPayload]:
        if self._under_way is not None or not self._waiting:
            return []
        everything = b"".join(self._waiting)
        chunk, rest = everything[: self._max_data], everything[self._max_data :]
        self._waiting = deque([rest] if rest else [])
        self._waiting_bytes = len(rest)
        self._sequence = self._sequence % 15 + 1
        self._under_way = SolPayload(sequence=self._sequence, data=chunk)
        self._sent_at, self._tries = now, 1
        return [self._under_way]

    def on_payload(self, payload: SolPayload, now: float) -> tuple[bytes, list[SolPayload]]:
        out: list[SolPayload] = []
        fresh = b""
        if payload.sequence:
            fresh = payload.data
            if payload.sequence == self._last_heard:
                # A repetition; it may carry more than last time, and only that is news.
                fresh = payload.data[self._last_heard_bytes :]
                self._last_heard_bytes = max(self._last_heard_bytes, len(payload.data))
            else:
                self._last_heard, self._last_heard_bytes = payload.sequence, len(payload.data)
            out.append(SolPayload(acknowledges=payload.sequence, accepted=min(len(payload.data), 255)))
        if self._under_way is not None and payload.acknowledges == self._under_way.sequence:
            self._acknowledged(payload)
            out += self._next(now)
        return fresh, out

    def _acknowledged(self, payload: SolPayload) -> None:
        assert self._under_way is not None
        rest = self._under_way.data[payload.accepted :] if payload.status & NACK else b""
        if rest and not payload.accepted and not payload.status & UNAVAILABLE:
            return  # refused whole: `on_time` repeats it, else two ends would play ping-pong
        self._under_way = None
        if payload.status & UNAVAILABLE:
            return  # nobody will ever read it
        if rest:
            self._waiting.appendleft(rest)
            self._waiting_bytes += len(rest)

    def on_time(self, now: float) -> list[SolPayload]:
        if self._under_way is None or now < self._sent_at + RETRY_S:
            return []
        if self._tries >= TRIES:
            self._under_way, self.is_lost = None, True
            return []
        self._tries += 1
        self._sent_at = now
        return [self._under_way]

    def deadline(self) -> float | None:
        return None if self._under_way is None else self._sent_at + RETRY_S
