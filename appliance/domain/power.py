"""What to do when the power state that a BMC reports is, or is not, the one that is wanted. Pure.

Ironic's semantics: a free node's real state is adopted; three unanswered readings put the node aside with the fault
`power failure`, and the first good reading brings it back - but only out of a maintenance that this fault began.
"""

from dataclasses import dataclass

from bmc.types import PowerState

POWER_FAILURE = "power failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerPolicy:
    """failures_before_fault: readings in a row. force: bring the machine back to the intended state."""

    failures_before_fault: int = 3
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """intended: what was last set or seen, None when never. observed: the BMC's answer, None when it gave none."""

    intended: PowerState | None
    observed: PowerState | None
    failures: int
    fault: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agree:
    """As wanted. recovered: a power fault is over, and with it the maintenance that it began."""

    recovered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """Somebody pressed the button: what is seen becomes what is known."""

    observed: PowerState
    recovered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforce:
    intended: PowerState
    recovered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """No answer, not often enough to act. failures: including this one."""

    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Maintenance with this fault; the power state shown becomes unknown."""

    fault: str
    failures: int


Decision = Agree | Adopt | Enforce | Suspect | SetAside


def decide(reading: Reading, policy: PowerPolicy) -> Decision:
    """The one thing to do after one reading."""
    if reading.observed is None:
        failures = reading.failures + 1
        if failures >= policy.failures_before_fault and reading.fault != POWER_FAILURE:
            return SetAside(fault=POWER_FAILURE, failures=failures)
        return Suspect(failures=failures)
    recovered = reading.fault == POWER_FAILURE
    if reading.intended is reading.observed:
        return Agree(recovered=recovered)
    if reading.intended is not None and policy.force:
        return Enforce(intended=reading.intended, recovered=recovered)
    return Adopt(observed=reading.observed, recovered=recovered)
