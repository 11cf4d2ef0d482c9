"""Shared steps: ask the agent for one command, wait for its answer, and notice when the agent is lost meanwhile."""

from datetime import timedelta

from sqlalchemy import select

from appliance.domain.errors import RackwrightError
from appliance.domain.steps import Next
from appliance.flows.moves import enter_wait, leave_wait
from appliance.flows.procedure import Procedure, Record, Step
from appliance.models import agent_command
from appliance.models.agent_command import AgentCommand
from appliance.models.database import JsonObject


class CommandFailed(RackwrightError):
    """The agent could not do what it was asked."""

    code = "agent-command-failed"
    blame = "peer"


def ask(
    turn: Record,
    name: str,
    params: JsonObject,
    *,
    then: Step,
    within_s: float,
    lost: Step,
    look_s: float | None = None,
    secret_params: bytes | None = None,
) -> Next:
    """Queue a command and wait for its end. lost: the step that looks each look_s seconds, as that of `watch_in`."""
    command = agent_command.ask(
        turn.session,
        node_id=turn.node.id,
        key=turn.key,
        name=name,
        params=params,
        secret_params=secret_params,
        now=turn.now,
    )
    enter_wait(turn, f"waits for the agent to {name.replace('_', ' ')}")
    return turn.wait(
        agent_command.waited_for(command),
        then=then,
        within_s=within_s,
        otherwise=lost,
        says="the work fails",
        look_s=look_s or turn.policy.agent_silence_s,
    )


def answer(turn: Record) -> JsonObject:
    """The result of the command that ended. Raises CommandFailed with the agent's own sentence."""
    leave_wait(turn, "the agent answered")
    if turn.payload.get("status") != "done":
        raise CommandFailed(str(turn.payload.get("error") or "") or "The agent gave up without a reason.")
    result: JsonObject = turn.payload.get("result") or {}
    return result


def command_of(turn: Record) -> AgentCommand:
    """The command that the interrupted wait is about."""
    uuid = (turn.claimed.wait_for or "").removeprefix("agent.command:")
    return turn.session.scalars(select(AgentCommand).where(AgentCommand.uuid == uuid)).one()


def watch(turn: Record) -> Next:
    """One look at an agent that works: go on waiting, or say how it was lost."""
    command = command_of(turn)
    claimed = turn.claimed
    doing = f"{command.name}{_how_far(command)}"
    if claimed.deadline is not None and turn.now >= claimed.deadline:
        limit_s = (claimed.deadline - claimed.waiting_since).total_seconds() if claimed.waiting_since else 0
        return turn.failed(f"The agent did not finish {doing} within {limit_s:.0f} s.")
    seen = turn.node.agent_seen_at
    times = [at for at in (seen, turn.policy.hearing_since) if at is not None]
    if not times or turn.now - max(times) >= timedelta(seconds=turn.policy.agent_silence_s):
        when = (
            "it was never heard of" if seen is None else f"last heard of {(turn.now - seen).total_seconds():.0f} s ago"
        )
        turn.node.agent_seen_at = None  # the next work boots the machine, and trusts nobody who may not be there
        return turn.failed(f"The agent was lost during {doing}; {when}.")
    return turn.keep_waiting(turn.policy.agent_silence_s)


def watch_in(procedure: Procedure) -> Step:
    """Add the step that looks after a silent agent."""

    @procedure.record()
    def watch_agent(turn: Record) -> Next:
        return watch(turn)

    return watch_agent


def _how_far(command: AgentCommand) -> str:
    progress = command.progress or {}
    done, total = progress.get("done"), progress.get("total")
    if isinstance(done, int) and isinstance(total, int) and total > 0:
        return f" at {100 * done // total}%"
    return ""
