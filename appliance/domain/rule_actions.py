"""Actions of inspection rules, done to a plain copy of what is known of a node (`Subject`). Nothing outside is touched.

Who applies a rule compares the copy with the node afterwards and writes what changed (appliance.services).
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from appliance.domain import traits
from appliance.domain.errors import Invalid
from appliance.domain.rule_values import MISSING, child

MAX_LIST = 256
MAX_LOGS = 100
MAX_WRITTEN = 1024 * 1024
_DEEPEST = 10
NODE_TEXTS = frozenset(
    {"name", "resource_class", "description", "owner", "lessee", "shard", "conductor_group", "boot_mode"}
)
NODE_OBJECTS = frozenset({"properties", "extra"})
NOT_HERE = frozenset({"driver"})
"""A rule written for another service may name these; an inspection in which one would change fails and says so."""
PORT_TEXTS = frozenset({"name", "description", "physical_network", "vendor", "category"})
PORT_FLAGS = frozenset({"pxe_enabled", "is_smartnic"})
PORT_OBJECTS = frozenset({"local_link_connection", "extra"})


class RuleFailed(Exception):
    """The text is for people."""


class Refused(RuleFailed):
    """It was an action's purpose to fail, with these words."""


@dataclass(slots=True, kw_only=True)
class Subject:
    """What rules read and change. node, ports: attributes in the words of the Bare Metal API.

    log: (level, sentence). runs, written: how much was done, and how many bytes were put somewhere.
    """

    node: dict[str, Any]
    ports: list[dict[str, Any]]
    inventory: dict[str, Any]
    plugin_data: dict[str, Any] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    runs: int = 0
    written: int = 0


def _fail(_subject: Subject, msg: Any) -> None:
    raise Refused(_plain(msg))


def _log(subject: Subject, msg: Any, level: Any = "info") -> None:
    if len(subject.log) < MAX_LOGS:
        subject.log.append((str(level).lower(), _plain(msg)))


def _plain(value: Any) -> str:
    return "".join(c for c in str(value)[:1000] if c.isprintable())


def _set_attribute(subject: Subject, path: Any, value: Any) -> None:
    _put(subject, subject.node, _parts(path), value, texts=NODE_TEXTS)


def _extend_attribute(subject: Subject, path: Any, value: Any, unique: object = None) -> None:
    _extend(subject, subject.node, _parts(path), value, unique=unique)


def _del_attribute(subject: Subject, path: Any) -> None:
    _remove(subject.node, _parts(path))


def _add_trait(subject: Subject, name: Any) -> None:
    held = subject.node.setdefault("traits", [])
    wanted = traits.trait(name)
    if wanted not in held:
        if len(held) >= traits.MAX_TRAITS:
            raise RuleFailed(f"a node has at most {traits.MAX_TRAITS} traits")
        held.append(wanted)


def _remove_trait(subject: Subject, name: Any) -> None:
    subject.node["traits"] = [held for held in subject.node.get("traits", []) if held != name]


def capabilities(text: Any) -> dict[str, str]:
    """`a:1,b:2` as an object."""
    pairs = (item.partition(":") for item in str(text or "").split(",") if ":" in item)
    return {key.strip(): value.strip() for key, _, value in pairs}


def capability_text(held: Mapping[str, str]) -> str:
    return ",".join(f"{key}:{value}" for key, value in held.items())


def _set_capability(subject: Subject, name: Any, value: Any) -> None:
    text = _plain(value)
    if value is MISSING or "," in text or not str(name).isprintable() or ":" in str(name) or "," in str(name):
        raise RuleFailed(f"capability {str(name)[:64]!r} cannot have that value")
    properties = subject.node.setdefault("properties", {})
    properties["capabilities"] = capability_text({**capabilities(properties.get("capabilities")), str(name)[:64]: text})


def _unset_capability(subject: Subject, name: Any) -> None:
    properties = subject.node.setdefault("properties", {})
    held = capabilities(properties.get("capabilities"))
    if held.pop(str(name), None) is not None:
        properties["capabilities"] = capability_text(held)


def _set_plugin_data(subject: Subject, path: Any, value: Any) -> None:
    _put(subject, subject.plugin_data, _parts(path), value)


def _extend_plugin_data(subject: Subject, path: Any, value: Any, unique: object = None) -> None:
    _extend(subject, subject.plugin_data, _parts(path), value, unique=unique)


def _unset_plugin_data(subject: Subject, path: Any) -> None:
    _remove(subject.plugin_data, _parts(path), is_lenient=True)


def _port(subject: Subject, port_id: Any) -> dict[str, Any]:
    """By UUID, or by its place in the list."""
    for place, port in enumerate(subject.ports):
        if port_id in (port["uuid"], port["address"], place, str(place)):
            return port
    raise RuleFailed(f"Port {_plain(port_id)[:64]} could not be found.")


def _set_port_attribute(subject: Subject, port_id: Any, path: Any, value: Any) -> None:
    _put(subject, _port(subject, port_id), _parts(path), value, texts=PORT_TEXTS, flags=PORT_FLAGS)


def _extend_port_attribute(subject: Subject, port_id: Any, path: Any, value: Any, unique: object = None) -> None:
    _extend(subject, _port(subject, port_id), _parts(path), value, unique=unique)


def _del_port_attribute(subject: Subject, port_id: Any, path: Any) -> None:
    _remove(_port(subject, port_id), _parts(path))


def _parts(path: Any) -> list[str]:
    """`/properties/a` and `properties.a` are the same place."""
    text = str(path)[:512].strip("/")
    parts = text.split("/") if "/" in text else text.split(".")
    if not all(parts) or len(parts) > _DEEPEST:
        raise RuleFailed(f"{text[:80]!r} is not a path such as /properties/cpus")
    return parts


def _put(
    subject: Subject, root: dict[str, Any], parts: list[str], value: Any, *, texts: frozenset[str] = frozenset(),
    flags: frozenset[str] = frozenset(),
) -> None:  # fmt: skip
    if value is MISSING:
        raise RuleFailed(f"there is no value for {'/'.join(parts)}")
    if len(parts) == 1 and parts[0] in texts and value is not None:
        value = _plain(value)
    if len(parts) == 1 and parts[0] in flags and not isinstance(value, bool):
        value = str(value).lower() in {"true", "yes", "1"}
    subject.written += len(orjson.dumps(value))
    if subject.written > MAX_WRITTEN:
        raise RuleFailed(f"the inspection rules write more than {MAX_WRITTEN} bytes")
    current = root
    for part in parts[:-1]:
        current = current.setdefault(part, {})
        if not isinstance(current, dict):
            raise RuleFailed(f"{'/'.join(parts)} leads through something that is no object")
    current[parts[-1]] = copy.deepcopy(value)  # it may be a part of the inventory, which stays as it is


def _extend(subject: Subject, root: dict[str, Any], parts: list[str], value: Any, *, unique: object) -> None:
    current: Any = root
    for part in parts:
        current = child(current, part)
    held = [] if current is MISSING else current
    if not isinstance(held, list) or value is MISSING:
        raise RuleFailed(f"{'/'.join(parts)} is no list, or there is no value to add")
    if unique is not True or value not in held:
        if len(held) >= MAX_LIST:
            raise RuleFailed(f"{'/'.join(parts)} has {MAX_LIST} items already")
        _put(subject, root, parts, [*held, value])


def _remove(root: dict[str, Any], parts: list[str], *, is_lenient: bool = False) -> None:
    current: Any = root
    for part in parts[:-1]:
        current = child(current, part)
    if isinstance(current, dict) and parts[-1] in current:
        del current[parts[-1]]
    elif not is_lenient:
        raise RuleFailed(f"there is no {'/'.join(parts)} to delete")


Action = Callable[..., None]
ACTIONS: Mapping[str, tuple[Action, tuple[str, ...], tuple[str, ...]]] = {
    "fail": (_fail, ("msg",), ()),
    "log": (_log, ("msg",), ("level",)),
    "set-attribute": (_set_attribute, ("path", "value"), ()),
    "extend-attribute": (_extend_attribute, ("path", "value"), ("unique",)),
    "del-attribute": (_del_attribute, ("path",), ()),
    "set-capability": (_set_capability, ("name", "value"), ()),
    "unset-capability": (_unset_capability, ("name",), ()),
    "add-trait": (_add_trait, ("name",), ()),
    "remove-trait": (_remove_trait, ("name",), ()),
    "set-plugin-data": (_set_plugin_data, ("path", "value"), ()),
    "extend-plugin-data": (_extend_plugin_data, ("path", "value"), ("unique",)),
    "unset-plugin-data": (_unset_plugin_data, ("path",), ()),
    "set-port-attribute": (_set_port_attribute, ("port_id", "path", "value"), ()),
    "extend-port-attribute": (_extend_port_attribute, ("port_id", "path", "value"), ("unique",)),
    "del-port-attribute": (_del_port_attribute, ("port_id", "path"), ()),
}
"""Action -> (what it does, the arguments it needs, those it takes as well)."""


def refuse_path(action: str, path: Any) -> None:
    """Refuse, when a rule is written, what it could never write."""
    places = {"attribute": NODE_TEXTS | NODE_OBJECTS, "port": PORT_TEXTS | PORT_FLAGS | PORT_OBJECTS}
    kind = "port" if "-port-" in action else "attribute"
    if "attribute" not in action or "{" in str(path):
        return
    try:
        parts = _parts(path)
    except RuleFailed as cause:
        raise Invalid(str(cause)) from cause
    if parts[0] not in places[kind] | NOT_HERE:
        raise Invalid(f"{action} cannot change {parts[0]!r}", why=f"rules may change {', '.join(sorted(places[kind]))}")
