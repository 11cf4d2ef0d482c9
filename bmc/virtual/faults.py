"""Ways in which a virtual BMC can be bad on purpose, for tests and drills."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from bmc.rmcp.message import Code, Request, Response
from bmc.virtual.controller import Controller, Origin

Command = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """loss: share of datagrams lost in each direction. codes: commands answered with that completion code.

    lies: commands accepted without doing anything. garbage: share of answers replaced by noise. hangs: commands never
    answered. is_answering_elsewhere: answers leave from another UDP port. busy_times: how often `codes` apply before
    the BMC recovers; None = always. truncated: commands whose answer carries no data.
    """

    loss: float = 0.0
    delay_s: float = 0.0
    garbage: float = 0.0
    codes: Mapping[Command, int] = field(default_factory=dict)
    busy_times: int | None = None
    lies: frozenset[Command] = frozenset()
    hangs: frozenset[Command] = frozenset()
    truncated: frozenset[Command] = frozenset()
    is_answering_elsewhere: bool = False
    seed: int = 1


class Hang(Exception):
    """Do not answer at all."""


class FaultyExecution:
    """Stands between the sessions and the controller."""

    def __init__(self, controller: Controller, faults: Faults) -> None:
        self._controller = controller
        self.faults = faults
        self._random = random.Random(faults.seed)  # noqa: S311  a reproducible drill, not a secret
        self._refusals = 0
        self.executed: list[Command] = []
        self.answers_due = self.most_answers_due = 0

    def set(self, faults: Faults) -> None:
        self.faults, self._refusals = faults, 0

    def execute(self, request: Request, origin: Origin) -> Response:
        command = (request.netfn, request.command)
        self.executed = [*self.executed[-999:], command]
        self.before(request)
        if command in self.faults.codes and (self.faults.busy_times is None or self._refusals < self.faults.busy_times):
            self._refusals += 1
            return Response(code=self.faults.codes[command])
        if command in self.faults.lies:
            return Response(code=Code.OK)
        response = self._controller.execute(request, origin)
        return Response(code=response.code) if command in self.faults.truncated else response

    def before(self, request: Request) -> None:
        """Also for the commands that the session itself answers."""
        if (request.netfn, request.command) in self.faults.hangs:
            raise Hang

    def is_lost(self) -> bool:
        return self.faults.loss > 0 and self._random.random() < self.faults.loss

    def spoil(self, datagram: bytes) -> bytes:
        if self.faults.garbage > 0 and self._random.random() < self.faults.garbage:
            return self._random.randbytes(len(datagram))
        return datagram
