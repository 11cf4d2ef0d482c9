"""What may not be done to a node because of what was said about it: protected, retired, lent, claimed by an instance.

Also here: how the details of a wish become columns. Refusals speak in the words of the field: its clients read them.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from appliance.domain import names
from appliance.domain.errors import Conflict, Forbidden, Invalid, Taken
from appliance.domain.lifecycle import State, Verb
from appliance.models import flow
from appliance.models.chassis import Chassis
from appliance.models.database import take_turns
from appliance.models.node import Node
from appliance.services.node_input import PLAIN_DETAILS, BmcAccess, Details
from appliance.services.vault import Vault


class Protected(Forbidden):
    """The node is protected."""

    code = "protected"


class Retired(Invalid):
    """The node is retired."""

    code = "retired"


WHILE_UNUSED = frozenset({State.ENROLL, State.INSPECTING, State.INSPECTWAIT, State.MANAGEABLE, State.AVAILABLE})
"""States in which a node may change what its use relies on: its interfaces, its resource class."""

_WHILE_WORKED_ON = frozenset(
    {
        State.DEPLOYFAIL, State.INSPECTING, State.INSPECTFAIL, State.INSPECTWAIT, State.CLEANFAIL, State.ERROR,
        State.VERIFYING, State.ADOPTFAIL, State.RESCUEFAIL, State.UNRESCUEFAIL, State.SERVICEHOLD, State.SERVICEFAIL,
    }
)  # fmt: skip
"""States in which a node may be changed although it is on its way somewhere."""


def refuse_taken(session: Session, wish: Details, *, but_not: Node | None) -> None:
    """Refuse ids that another node has."""
    conditions = []
    if wish.uuid is not None and but_not is None:
        conditions.append(Node.uuid == wish.uuid)
    if wish.instance_uuid is not None and (but_not is None or but_not.instance_uuid != wish.instance_uuid):
        conditions.append(Node.instance_uuid == wish.instance_uuid)
    if not conditions:
        return
    query = select(Node.uuid, Node.instance_uuid).where(or_(*conditions)).limit(1)
    taken = session.execute(query if but_not is None else query.where(Node.id != but_not.id)).first()
    if taken is None:
        return
    if but_not is None and taken.uuid == wish.uuid:
        raise Conflict(f"A node with UUID {wish.uuid} already exists.")
    raise instance_taken(wish.instance_uuid, but_not.uuid if but_not is not None else "")


def refuse_bmc(session: Session, bmc: BmcAccess, driver: str, *, but_not: int | None) -> None:
    """Refuse a BMC that another node has, and an address that no machine has."""
    if bmc.address is not None and not names.is_of_one_machine(bmc.address):
        raise Invalid(f"no BMC has the address {bmc.address}")
    if bmc.address is not None and driver != "manual":
        others = Node.id != (but_not or 0)
        take_turns(session, f"bmc {bmc.address} {bmc.udp_port}")
        same = select(Node).where(
            Node.bmc_address == bmc.address, Node.bmc_udp_port == bmc.udp_port, Node.driver == driver, others
        )
        holder = session.scalars(same.limit(1)).first()
        if holder is not None:
            raise Taken(
                f"the BMC at {bmc.address} port {bmc.udp_port} belongs to another node already",
                why=f"two nodes cannot share one BMC, and it is that of {holder.label}",
                next_step=f"rackwright node show {holder.label}",
            )


def bmc_context(uuid: str) -> str:
    """The vault context of a node's BMC password."""
    return f"node:{uuid}:bmc"


def instance_taken(instance: str | None, uuid: str) -> Conflict:
    return Conflict(
        f"Instance {instance} is already associated with a node, it cannot be associated with this other node {uuid}"
    )


def columns(session: Session, wish: Details, given: frozenset[str] | None) -> dict[str, Any]:
    """Column -> value, of the details in `given` (None: all). Raises Invalid for a chassis or parent there is not."""
    values = {name: getattr(wish, name) for name in PLAIN_DETAILS if given is None or name in given}
    if given is None or "chassis_uuid" in given:
        values["chassis_id"] = _chassis_id(session, wish.chassis_uuid)
    if given is None or "parent" in given:
        values["parent_uuid"] = _parent_uuid(session, wish)
    return values


def _chassis_id(session: Session, uuid: str | None) -> int | None:
    if uuid is None:
        return None
    found = session.scalar(select(Chassis.id).where(Chassis.uuid == uuid))
    if found is None:
        raise Invalid(f"Chassis {uuid[:64]} could not be found.")
    return found


def _parent_uuid(session: Session, wish: Details) -> str | None:
    """Of a node of the same owner, so that nobody learns what others have, nor puts things under it."""
    ref = wish.parent
    if ref is None:
        return None
    found = session.execute(
        select(Node.uuid, Node.parent_uuid, Node.owner).where(or_(Node.uuid == ref.lower(), Node.name == ref)).limit(1)
    ).first()
    if found is None or found.owner != wish.owner:
        raise Invalid(f"Node {ref[:255]} could not be found among those of the same owner.")
    if found.uuid == wish.uuid:
        raise Invalid("a node is not its own parent")
    if found.parent_uuid is not None:
        raise Invalid(f"Node {ref[:255]} has a parent itself", why="nodes hold nodes one level deep")
    return str(found.uuid)


def seal(node: Node, vault: Vault, secrets: Mapping[str, Mapping[str, Any]] | None) -> None:
    """Keep the secrets of options and wishes; {} forgets them, None leaves them."""
    if secrets is not None:
        node.hidden = sealed(node.uuid, vault, secrets)


def sealed(uuid: str, vault: Vault, secrets: Mapping[str, Mapping[str, Any]] | None) -> bytes | None:
    """The secrets of a node as they are stored."""
    return vault.seal(orjson.dumps(secrets), _context(uuid)) if secrets and any(secrets.values()) else None


def unseal(node: Node, vault: Vault) -> dict[str, dict[str, Any]]:
    """{"driver": {…}, "wishes": {…}} as `seal` was given them."""
    found: dict[str, dict[str, Any]] = {"driver": {}, "wishes": {}}
    if node.hidden is not None:
        found |= orjson.loads(vault.open(node.hidden, _context(node.uuid)))
    return found


def _context(uuid: str) -> str:
    return f"node:{uuid}:hidden"


def refuse_deletion(node: Node) -> None:
    if not node.maintenance and node.instance_uuid is not None:
        raise Conflict(f"Node {node.uuid} is associated with instance {node.instance_uuid}.")
    if node.is_protected:
        raise Protected(f"Node {node.uuid} is protected and cannot be undeployed, rebuilt or deleted")


def refuse_verb(node: Node, verb: Verb) -> None:
    """Verbs that protection or retirement forbid."""
    if node.is_protected and verb in (Verb.UNDEPLOY, Verb.REBUILD):
        raise Protected(f"Node {node.uuid} is protected and cannot be undeployed, rebuilt or deleted")
    if node.is_retired and verb is Verb.PROVIDE:
        raise Retired(f"The provide operation can't be performed on node {node.uuid} because it is retired.")


def refuse_change(
    session: Session, node: Node, wish: Details, given: frozenset[str], *, interfaces: frozenset[str]
) -> None:
    """Changes that the node's state forbids. interfaces: kinds whose way changes. given: what changes, our names."""
    state = State(node.provision_state)
    if node.target_provision_state is not None and state not in _WHILE_WORKED_ON:
        is_release = node.maintenance and given == {"instance_uuid"} and wish.instance_uuid is None
        if not is_release:
            held = flow.active_for(session, node.id)
            raise Conflict(
                f"Node {node.label} can not be updated while a state transition is in progress.",
                why=f"it is held by {held.kind if held else 'its way'} to {node.target_provision_state}",
            )
    _refuse_marks(node, state, wish, given)
    if "instance_uuid" in given and wish.instance_uuid is not None and node.instance_uuid is not None:
        raise Conflict(f"Node {node.uuid} is associated with instance {node.instance_uuid}.")
    _refuse_while_used(node, state, given, interfaces)


def _refuse_marks(node: Node, state: State, wish: Details, given: frozenset[str]) -> None:
    if "is_protected" in given and wish.is_protected and state not in (State.ACTIVE, State.RESCUE):
        raise Conflict(
            f"Node {node.uuid} can only be made protected in provision states 'active' or 'rescue', "
            f"the current state is '{state}'"
        )
    if "is_retired" in given and wish.is_retired and state is State.AVAILABLE:
        raise Conflict(
            f"Node {node.uuid} can not have 'retired' set in provision state 'available', "
            f"the current state is '{state}'"
        )
    if wish.protected_reason and "protected_reason" in given and not wish.is_protected:
        raise Invalid("The protected_reason field can only be set when protected is True")
    if wish.retired_reason and "retired_reason" in given and not wish.is_retired:
        raise Invalid("The retired_reason field can only be set when retired is True")


def tidy(node: Node) -> None:
    """A reason goes with what it was the reason for."""
    if not node.is_protected:
        node.protected_reason = None
    if not node.is_retired:
        node.retired_reason = None


def _refuse_while_used(node: Node, state: State, given: frozenset[str], interfaces: frozenset[str]) -> None:
    if state in WHILE_UNUSED:
        return
    allowed = ", ".join(sorted(WHILE_UNUSED))
    if interfaces and not node.maintenance:
        raise Conflict(
            f"Node {node.uuid} can not have {min(interfaces)}_interface updated unless it is in one of allowed "
            f"({allowed}) states or in maintenance mode. Current state is '{state}'."
        )
    if "resource_class" in given and node.resource_class:
        raise Conflict(
            f"Node {node.uuid} can not have resource_class updated unless it is in one of allowed ({allowed}) states. "
            f"Current state is '{state}'."
        )
