"""The life of a node: Ironic's provision states and verbs, whole, as data.

Rule 1: everything that says which move is legal is in this file; anything absent from MOVES is refused.
Rule 2: this file does not know how a move is carried out (appliance.flows) nor who may ask (appliance.domain.access).

A *verb* is what an operator asks; an *outcome* is what the work reports. The table is what a running Ironic 39 allows
(API 1.115), and all of it is carried out here.
`python -m appliance.domain.lifecycle` prints the diagram that the README shows.
"""

import enum
from collections.abc import Mapping

from appliance.domain.errors import IllegalMove


class State(enum.StrEnum):
    ENROLL = "enroll"  # known, its BMC not yet tried
    VERIFYING = "verifying"  # its BMC is being tried
    MANAGEABLE = "manageable"  # under control; not offered to users
    AVAILABLE = "available"  # clean and ready to be deployed
    ACTIVE = "active"  # carries an instance
    DEPLOYING = "deploying"
    DEPLOYWAIT = "wait call-back"  # the agent, or the installed system, is to report
    DEPLOYHOLD = "deploy hold"
    DEPLOYFAIL = "deploy failed"
    DELETING = "deleting"  # its instance is being taken away
    ERROR = "error"  # taking the instance away failed
    CLEANING = "cleaning"
    CLEANWAIT = "clean wait"
    CLEANHOLD = "clean hold"
    CLEANFAIL = "clean failed"
    INSPECTING = "inspecting"
    INSPECTWAIT = "inspect wait"
    INSPECTFAIL = "inspect failed"
    ADOPTING = "adopting"  # taking over a machine that already runs
    ADOPTFAIL = "adopt failed"
    RESCUING = "rescuing"
    RESCUEWAIT = "rescue wait"
    RESCUE = "rescue"
    RESCUEFAIL = "rescue failed"
    UNRESCUING = "unrescuing"
    UNRESCUEFAIL = "unrescue failed"
    SERVICING = "servicing"
    SERVICEWAIT = "service wait"
    SERVICEHOLD = "service hold"
    SERVICEFAIL = "service failed"


class Verb(enum.StrEnum):
    MANAGE = "manage"
    INSPECT = "inspect"
    PROVIDE = "provide"
    CLEAN = "clean"
    DEPLOY = "deploy"  # "active" in Ironic's API
    REBUILD = "rebuild"
    UNDEPLOY = "undeploy"  # "deleted" in Ironic's API
    ABORT = "abort"
    ADOPT = "adopt"
    RESCUE = "rescue"
    UNRESCUE = "unrescue"
    SERVICE = "service"
    UNHOLD = "unhold"


class Outcome(enum.StrEnum):
    DONE = "done"
    FAIL = "fail"
    WAIT = "wait"
    RESUME = "resume"
    HOLD = "hold"
    ERASE = "erase"  # the instance is gone, cleaning follows (Ironic's event: clean)
    RETURN = "return"  # a clean asked for by hand ends in manageable (Ironic's event: manage)


Move = Verb | Outcome

_S, _V, _O = State, Verb, Outcome

MOVES: Mapping[tuple[State, Move], State] = {
    (_S.ENROLL, _V.MANAGE): _S.VERIFYING,
    (_S.VERIFYING, _O.DONE): _S.MANAGEABLE,
    (_S.VERIFYING, _O.FAIL): _S.ENROLL,
    (_S.MANAGEABLE, _V.PROVIDE): _S.CLEANING,
    (_S.MANAGEABLE, _V.CLEAN): _S.CLEANING,
    (_S.MANAGEABLE, _V.INSPECT): _S.INSPECTING,
    (_S.MANAGEABLE, _V.ADOPT): _S.ADOPTING,
    (_S.AVAILABLE, _V.DEPLOY): _S.DEPLOYING,
    (_S.AVAILABLE, _V.MANAGE): _S.MANAGEABLE,
    (_S.ACTIVE, _V.UNDEPLOY): _S.DELETING,
    (_S.ACTIVE, _V.REBUILD): _S.DEPLOYING,
    (_S.ACTIVE, _V.RESCUE): _S.RESCUING,
    (_S.ACTIVE, _V.SERVICE): _S.SERVICING,
    (_S.DEPLOYING, _O.DONE): _S.ACTIVE,
    (_S.DEPLOYING, _O.WAIT): _S.DEPLOYWAIT,
    (_S.DEPLOYING, _O.HOLD): _S.DEPLOYHOLD,
    (_S.DEPLOYING, _O.FAIL): _S.DEPLOYFAIL,
    (_S.DEPLOYWAIT, _O.RESUME): _S.DEPLOYING,
    (_S.DEPLOYWAIT, _O.HOLD): _S.DEPLOYHOLD,
    (_S.DEPLOYWAIT, _V.UNDEPLOY): _S.DELETING,
    (_S.DEPLOYWAIT, _O.FAIL): _S.DEPLOYFAIL,
    (_S.DEPLOYWAIT, _V.ABORT): _S.DEPLOYFAIL,
    (_S.DEPLOYHOLD, _V.UNHOLD): _S.DEPLOYWAIT,
    (_S.DEPLOYHOLD, _V.ABORT): _S.DEPLOYFAIL,
    (_S.DEPLOYFAIL, _V.DEPLOY): _S.DEPLOYING,
    (_S.DEPLOYFAIL, _V.REBUILD): _S.DEPLOYING,
    (_S.DEPLOYFAIL, _V.UNDEPLOY): _S.DELETING,
    (_S.DELETING, _O.ERASE): _S.CLEANING,
    (_S.DELETING, _O.FAIL): _S.ERROR,
    (_S.ERROR, _V.UNDEPLOY): _S.DELETING,
    (_S.ERROR, _V.REBUILD): _S.DEPLOYING,
    (_S.CLEANING, _O.DONE): _S.AVAILABLE,
    (_S.CLEANING, _O.RETURN): _S.MANAGEABLE,
    (_S.CLEANING, _O.WAIT): _S.CLEANWAIT,
    (_S.CLEANING, _O.HOLD): _S.CLEANHOLD,
    (_S.CLEANING, _O.FAIL): _S.CLEANFAIL,
    (_S.CLEANWAIT, _O.RESUME): _S.CLEANING,
    (_S.CLEANWAIT, _O.HOLD): _S.CLEANHOLD,
    (_S.CLEANWAIT, _O.FAIL): _S.CLEANFAIL,
    (_S.CLEANWAIT, _V.ABORT): _S.CLEANFAIL,
    (_S.CLEANHOLD, _V.UNHOLD): _S.CLEANWAIT,
    (_S.CLEANHOLD, _V.ABORT): _S.CLEANFAIL,
    (_S.CLEANFAIL, _V.MANAGE): _S.MANAGEABLE,
    (_S.INSPECTING, _O.DONE): _S.MANAGEABLE,
    (_S.INSPECTING, _O.WAIT): _S.INSPECTWAIT,
    (_S.INSPECTING, _O.FAIL): _S.INSPECTFAIL,
    (_S.INSPECTWAIT, _O.RESUME): _S.INSPECTING,
    (_S.INSPECTWAIT, _O.DONE): _S.MANAGEABLE,
    (_S.INSPECTWAIT, _O.FAIL): _S.INSPECTFAIL,
    (_S.INSPECTWAIT, _V.ABORT): _S.INSPECTFAIL,
    (_S.INSPECTFAIL, _V.INSPECT): _S.INSPECTING,
    (_S.INSPECTFAIL, _V.MANAGE): _S.MANAGEABLE,
    (_S.ADOPTING, _O.DONE): _S.ACTIVE,
    (_S.ADOPTING, _O.FAIL): _S.ADOPTFAIL,
    (_S.ADOPTFAIL, _V.ADOPT): _S.ADOPTING,
    (_S.ADOPTFAIL, _V.MANAGE): _S.MANAGEABLE,
    (_S.RESCUING, _O.DONE): _S.RESCUE,
    (_S.RESCUING, _O.WAIT): _S.RESCUEWAIT,
    (_S.RESCUING, _O.FAIL): _S.RESCUEFAIL,
    (_S.RESCUEWAIT, _O.RESUME): _S.RESCUING,
    (_S.RESCUEWAIT, _V.UNDEPLOY): _S.DELETING,
    (_S.RESCUEWAIT, _O.FAIL): _S.RESCUEFAIL,
    (_S.RESCUEWAIT, _V.ABORT): _S.RESCUEFAIL,
    (_S.RESCUE, _V.RESCUE): _S.RESCUING,
    (_S.RESCUE, _V.UNRESCUE): _S.UNRESCUING,
    (_S.RESCUE, _V.UNDEPLOY): _S.DELETING,
    (_S.RESCUEFAIL, _V.RESCUE): _S.RESCUING,
    (_S.RESCUEFAIL, _V.UNRESCUE): _S.UNRESCUING,
    (_S.RESCUEFAIL, _V.UNDEPLOY): _S.DELETING,
    (_S.UNRESCUING, _O.DONE): _S.ACTIVE,
    (_S.UNRESCUING, _O.FAIL): _S.UNRESCUEFAIL,
    (_S.UNRESCUEFAIL, _V.RESCUE): _S.RESCUING,
    (_S.UNRESCUEFAIL, _V.UNRESCUE): _S.UNRESCUING,
    (_S.UNRESCUEFAIL, _V.UNDEPLOY): _S.DELETING,
    (_S.SERVICING, _O.DONE): _S.ACTIVE,
    (_S.SERVICING, _O.WAIT): _S.SERVICEWAIT,
    (_S.SERVICING, _O.HOLD): _S.SERVICEHOLD,
    (_S.SERVICING, _O.FAIL): _S.SERVICEFAIL,
    (_S.SERVICEWAIT, _O.RESUME): _S.SERVICING,
    (_S.SERVICEWAIT, _O.HOLD): _S.SERVICEHOLD,
    (_S.SERVICEWAIT, _V.UNDEPLOY): _S.DELETING,
    (_S.SERVICEWAIT, _O.FAIL): _S.SERVICEFAIL,
    (_S.SERVICEWAIT, _V.ABORT): _S.SERVICEFAIL,
    (_S.SERVICEHOLD, _V.UNHOLD): _S.SERVICEWAIT,
    (_S.SERVICEHOLD, _V.SERVICE): _S.SERVICING,
    (_S.SERVICEHOLD, _O.FAIL): _S.SERVICEFAIL,
    (_S.SERVICEHOLD, _V.ABORT): _S.SERVICEFAIL,
    (_S.SERVICEFAIL, _V.SERVICE): _S.SERVICING,
    (_S.SERVICEFAIL, _V.RESCUE): _S.RESCUING,
    (_S.SERVICEFAIL, _V.ABORT): _S.ACTIVE,
    (_S.SERVICEFAIL, _V.UNDEPLOY): _S.DELETING,
    (_S.SERVICEFAIL, _O.HOLD): _S.SERVICEHOLD,
    (_S.SERVICEFAIL, _O.WAIT): _S.SERVICEWAIT,
}

STABLE = frozenset({_S.ENROLL, _S.MANAGEABLE, _S.AVAILABLE, _S.ACTIVE, _S.RESCUE, _S.ERROR})

FAILED = frozenset(
    {
        _S.DEPLOYFAIL,
        _S.CLEANFAIL,
        _S.INSPECTFAIL,
        _S.ADOPTFAIL,
        _S.RESCUEFAIL,
        _S.UNRESCUEFAIL,
        _S.SERVICEFAIL,
    }
)

HELD = frozenset({_S.DEPLOYHOLD, _S.CLEANHOLD, _S.SERVICEHOLD})

TRANSIENT = frozenset(set(State) - STABLE - FAILED - HELD)
"""States in which work holds the node; no node stays in one of them past the deadline of its work."""

TARGETS: Mapping[State, State] = {
    _S.VERIFYING: _S.MANAGEABLE,
    _S.INSPECTING: _S.MANAGEABLE,
    _S.INSPECTWAIT: _S.MANAGEABLE,
    _S.CLEANING: _S.AVAILABLE,
    _S.CLEANWAIT: _S.AVAILABLE,
    _S.DELETING: _S.AVAILABLE,
    _S.DEPLOYING: _S.ACTIVE,
    _S.DEPLOYWAIT: _S.ACTIVE,
    _S.ADOPTING: _S.ACTIVE,
    _S.UNRESCUING: _S.ACTIVE,
    _S.SERVICING: _S.ACTIVE,
    _S.SERVICEWAIT: _S.ACTIVE,
    _S.RESCUING: _S.RESCUE,
    _S.RESCUEWAIT: _S.RESCUE,
}
"""Where a state is heading. A clean asked for by hand heads for `manageable` instead: see `target_of`."""

WHICH_FLOW: Mapping[Verb, str] = {
    _V.MANAGE: "verify",
    _V.INSPECT: "inspect",
    _V.PROVIDE: "clean",
    _V.CLEAN: "clean",
    _V.DEPLOY: "deploy",
    _V.REBUILD: "deploy",
    _V.UNDEPLOY: "undeploy",
    _V.ADOPT: "adopt",
    _V.RESCUE: "rescue",
    _V.UNRESCUE: "unrescue",
    _V.SERVICE: "service",
}
"""The flow that carries a verb out, when the move leads into a TRANSIENT state; else the move is the whole work.

Unhold has none: it tells the work that holds.
"""

REFUSED_IN_MAINTENANCE = frozenset(
    {_V.INSPECT, _V.PROVIDE, _V.CLEAN, _V.DEPLOY, _V.REBUILD, _V.ADOPT, _V.RESCUE, _V.UNRESCUE, _V.SERVICE, _V.UNHOLD}
)
"""Manage, undeploy and abort stay possible: they are how a broken node is got out of the way."""

WAY_ON: Mapping[State, tuple[Verb, ...]] = {
    _S.ENROLL: (_V.MANAGE,),
    _S.INSPECTFAIL: (_V.INSPECT,),
    _S.CLEANFAIL: (_V.MANAGE, _V.PROVIDE),
    _S.DEPLOYFAIL: (_V.REBUILD,),
    _S.ERROR: (_V.UNDEPLOY,),
    _S.ADOPTFAIL: (_V.ADOPT,),
    _S.DEPLOYHOLD: (_V.UNHOLD,),
    _S.CLEANHOLD: (_V.UNHOLD,),
    _S.SERVICEHOLD: (_V.UNHOLD,),
    _S.RESCUEFAIL: (_V.UNRESCUE,),
    _S.UNRESCUEFAIL: (_V.UNRESCUE,),
    _S.SERVICEFAIL: (_V.SERVICE,),
}
"""What to ask, in this order, of a node whose work has failed, once the cause is gone."""

DELETABLE = frozenset({_S.ENROLL, _S.MANAGEABLE, _S.AVAILABLE, _S.ADOPTFAIL})
"""States in which the record of a node may be removed."""


def after(state: State, move: Move) -> State:
    """The state that `move` leads to. Raises IllegalMove when the table has no such move."""
    try:
        return MOVES[state, move]
    except KeyError:
        verbs = ", ".join(verbs_from(state)) or "none"
        raise IllegalMove(
            f'"{move}" is not possible in state "{state}".', why=f'from "{state}" one can ask: {verbs}'
        ) from None


def verbs_from(state: State) -> list[Verb]:
    """What an operator may ask of a node in `state`, in the order of Verb."""
    return [verb for verb in Verb if (state, verb) in MOVES]


def target_of(state: State, verb: Verb | None = None) -> State | None:
    """Where a node that has just entered `state` is heading; None when it rests there."""
    if verb is Verb.CLEAN:
        return State.MANAGEABLE
    return TARGETS.get(state)


def refusal(label: str, state: State, verb: Verb) -> IllegalMove:
    """The error for a verb that `state` does not allow, in Ironic's words."""
    possible = ", ".join(verbs_from(state)) or "nothing but waiting"
    return IllegalMove(
        f'The requested action "{verb}" can not be performed on node "{label}" while it is in state "{state}".',
        why=f'a node in state "{state}" accepts: {possible}',
        next_step=f"rackwright node show {label}",
    )


def _alias(state: State) -> str:
    return state.value.replace(" ", "_").replace("-", "_")


def draw() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> enroll"]
    lines += [f'    state "{state}" as {_alias(state)}' for state in State if " " in state]
    lines += [f"    {_alias(state)} --> {_alias(to)}: {move}" for (state, move), to in MOVES.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(draw(), end="")  # noqa: T201  (printing is its purpose)
