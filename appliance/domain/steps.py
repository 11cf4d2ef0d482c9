"""What a step of a flow can answer, and how long to pause before the next try. Steps are named, not referenced."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """Run `step` next, at once."""

    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Sleep until the signal `for_` comes (then `then`), or `within_s` seconds have passed (then `otherwise`).

    says: what happens when nobody answers, for people. deadline: the limit people are told, when `otherwise` only looks
    after the work and keeps waiting; else it is the end of `within_s`.
    """

    for_: str
    then: str
    within_s: float
    otherwise: str
    says: str
    deadline: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepWaiting:
    """After a look: the wait goes on as it was; look again in `within_s` seconds."""

    within_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Run this step again in `in_s` seconds. A poll (`is_poll`) is no fault: it leaves no trace in the timeline."""

    in_s: float
    why: str
    is_poll: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The work ends here. reason: a public sentence."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The work ends here, as wanted. says: one sentence for the timeline."""

    says: str = ""


Next = Go | Wait | KeepWaiting | Again | Failed | Done


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a step is repeated when its peer is at fault; pauses grow from first_s by factor, up to cap_s."""

    times: int = 0
    first_s: float = 2.0
    factor: float = 2.0
    cap_s: float = 60.0

    def pause_s(self, attempt: int, chance: float) -> float | None:
        """Seconds before the try after `attempt` failed ones (1 = the first failed); None when it is over.

        chance: evenly in [0, 1); the pause is spread over 50-100 % so that a rack does not knock in step.
        """
        if attempt > self.times:
            return None
        # The exponent is capped before the power is taken: 2.0 ** 2000 overflows.
        grown = min(self.cap_s, self.first_s * self.factor ** min(attempt - 1, 64))
        return grown * (0.5 + chance / 2)


NEVER = Retry()
