import itertools
import subprocess
import sys

import pytest

from appliance.domain import lifecycle
from appliance.domain.errors import IllegalMove
from appliance.domain.lifecycle import (
    FAILED,
    HELD,
    MOVES,
    STABLE,
    TARGETS,
    TRANSIENT,
    WAY_ON,
    WHICH_FLOW,
    Outcome,
    State,
    Verb,
    after,
    draw,
    target_of,
    verbs_from,
)

ALL_MOVES = [*Verb, *Outcome]

# Ironic's own table, as `event:state`, from what a running service allows; written once more by hand on purpose.
IRONIC = """
enroll | manage>verifying
verifying | done>manageable fail>enroll
manageable | provide>cleaning clean>cleaning inspect>inspecting adopt>adopting
available | deploy>deploying manage>manageable
active | undeploy>deleting rebuild>deploying rescue>rescuing service>servicing
deploying | done>active wait>wait_call-back hold>deploy_hold fail>deploy_failed
wait call-back | resume>deploying hold>deploy_hold undeploy>deleting fail>deploy_failed abort>deploy_failed
deploy hold | unhold>wait_call-back abort>deploy_failed
deploy failed | deploy>deploying rebuild>deploying undeploy>deleting
deleting | erase>cleaning fail>error
error | undeploy>deleting rebuild>deploying
cleaning | done>available return>manageable wait>clean_wait hold>clean_hold fail>clean_failed
clean wait | resume>cleaning hold>clean_hold fail>clean_failed abort>clean_failed
clean hold | unhold>clean_wait abort>clean_failed
clean failed | manage>manageable
inspecting | done>manageable wait>inspect_wait fail>inspect_failed
inspect wait | resume>inspecting done>manageable fail>inspect_failed abort>inspect_failed
inspect failed | inspect>inspecting manage>manageable
adopting | done>active fail>adopt_failed
adopt failed | adopt>adopting manage>manageable
rescuing | done>rescue wait>rescue_wait fail>rescue_failed
rescue wait | resume>rescuing undeploy>deleting fail>rescue_failed abort>rescue_failed
rescue | rescue>rescuing unrescue>unrescuing undeploy>deleting
rescue failed | rescue>rescuing unrescue>unrescuing undeploy>deleting
unrescuing | done>active fail>unrescue_failed
unrescue failed | rescue>rescuing unrescue>unrescuing undeploy>deleting
servicing | done>active wait>service_wait hold>service_hold fail>service_failed
service wait | resume>servicing hold>service_hold undeploy>deleting fail>service_failed abort>service_failed
service hold | unhold>service_wait service>servicing fail>service_failed abort>service_failed
service failed | service>servicing rescue>rescuing abort>active undeploy>deleting hold>service_hold wait>service_wait
"""


def test_the_table_is_ironic_s() -> None:
    expected = {}
    for line in IRONIC.strip().splitlines():
        state, _, moves = line.partition(" | ")
        for move in moves.split():
            event, _, to = move.partition(">")
            expected[state, event] = to.replace("_", " ")
    assert {(str(state), str(move)): str(to) for (state, move), to in MOVES.items()} == expected


@pytest.mark.parametrize(("state", "move"), list(itertools.product(State, ALL_MOVES)))
def test_every_pair_moves_or_is_refused(state: State, move: Verb | Outcome) -> None:
    if (state, move) in MOVES:
        assert after(state, move) is MOVES[state, move]
    else:
        with pytest.raises(IllegalMove, match=f'"{move}" is not possible in state "{state}"'):
            after(state, move)


def test_every_state_is_of_one_sort() -> None:
    sorts = (STABLE, TRANSIENT, FAILED, HELD)
    assert set().union(*sorts) == set(State)
    assert sum(len(sort) for sort in sorts) == len(State)


@pytest.mark.parametrize("state", State)
def test_no_state_is_a_trap(state: State) -> None:
    assert any(came_from is state for came_from, _ in MOVES), "there is a way out"


@pytest.mark.parametrize("state", sorted(TRANSIENT))
def test_work_that_fails_has_a_named_place_to_go(state: State) -> None:
    assert MOVES[state, Outcome.FAIL] in STABLE | FAILED
    assert state in TARGETS


@pytest.mark.parametrize("state", sorted(WAY_ON))
def test_the_way_on_can_be_walked(state: State) -> None:
    for verb in WAY_ON[state]:
        state = after(state, verb)


def test_every_verb_that_starts_work_has_a_flow() -> None:
    for (_, move), to in MOVES.items():
        if isinstance(move, Verb) and to in TRANSIENT:
            assert move in WHICH_FLOW or move is Verb.UNHOLD


def test_verbs_from_a_state() -> None:
    assert verbs_from(State.ACTIVE) == [Verb.REBUILD, Verb.UNDEPLOY, Verb.RESCUE, Verb.SERVICE]
    assert verbs_from(State.DEPLOYING) == []


def test_targets() -> None:
    assert target_of(State.CLEANING, Verb.PROVIDE) is State.AVAILABLE
    assert target_of(State.CLEANING, Verb.CLEAN) is State.MANAGEABLE
    assert target_of(State.ACTIVE) is None


def test_a_refusal_uses_ironic_s_words_and_says_what_is_possible() -> None:
    error = lifecycle.refusal("n1", State.ENROLL, Verb.DEPLOY)
    expected = 'The requested action "deploy" can not be performed on node "n1" while it is in state "enroll".'
    assert str(error) == expected
    assert error.why == 'a node in state "enroll" accepts: manage'


def test_the_diagram_shows_the_table() -> None:
    diagram = draw()
    assert diagram.startswith("stateDiagram-v2\n    [*] --> enroll\n")
    assert '    state "wait call-back" as wait_call_back\n' in diagram
    assert "    available --> deploying: deploy\n" in diagram
    assert "    active --> rescuing: rescue\n" in diagram
    assert "    deploying --> deploy_hold: hold\n" in diagram


def test_the_module_prints_it() -> None:
    command = [sys.executable, "-m", "appliance.domain.lifecycle"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == draw()
