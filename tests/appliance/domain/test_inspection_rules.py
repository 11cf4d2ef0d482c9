"""Inspection rules: operators, actions, what is refused when a rule is written, and that nothing escapes its bounds."""

import copy

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain import inspection_rules
from appliance.domain.errors import Invalid
from appliance.domain.inspection_rules import Rule
from appliance.domain.rule_actions import ACTIONS, RuleFailed, Subject
from appliance.domain.rule_conditions import OPERATORS

INVENTORY = {
    "cpu": {"count": 8, "architecture": "x86_64"}, "bmc_address": "10.77.0.9", "empty": "", "flag": "yes",
    "disks": [{"name": "/dev/sda", "size": 10}, {"name": "/dev/sdb", "size": 20}],
    "system_vendor": {"manufacturer": "Dell Inc.", "serial_number": "S1"}, "password": "canary",
}  # fmt: skip


def subject(**changes):
    node = {
        "uuid": "u",
        "name": "n1",
        "properties": {"capabilities": "a:1"},
        "extra": {},
        "traits": [],
        "driver": "ipmi",
    }
    port = {"uuid": "p", "address": "52:54:00:77:00:01", "extra": {}, "local_link_connection": {}}
    return Subject(node=node, ports=[port], inventory=copy.deepcopy(INVENTORY), **changes)


def holds(op, args, **rest):
    condition = inspection_rules.conditions([{"op": op, "args": args, **rest}])
    made = subject()
    rule = Rule(uuid="r", conditions=condition, actions=[{"op": "log", "args": {"msg": "x"}}])
    return inspection_rules.run([rule], made) == ["r"]


@pytest.mark.parametrize(
    ("op", "args", "expected"),
    [
        ("eq", {"values": ["{inventory[cpu][count]}", 8]}, True),
        ("eq", {"values": ["{inventory[cpu][count]}", "8"]}, True),
        ("eq", [["{inventory[cpu][architecture]}", "x86_64"]], True),
        ("eq", {"values": ["{inventory.cpu.architecture}", "arm"]}, False),
        ("!eq", {"values": ["{node.name}", "n2"]}, True),
        ("eq", {"values": ["{inventory[nowhere]}", "{inventory[nowhere]}"]}, False),
        ("lt", {"values": [1, "{inventory[cpu][count]}", 100]}, True),
        ("gt", {"values": ["{inventory[cpu][count]}", 10]}, False),
        ("gt", {"values": ["9", "10"], "force_strings": True}, True),
        ("is-empty", {"value": "{inventory[empty]}"}, True),
        ("is-empty", {"value": "{inventory[nowhere]}"}, True),
        ("is-empty", {"value": "{inventory[disks]}"}, False),
        ("in-net", {"address": "{inventory[bmc_address]}", "subnet": "10.77.0.0/24"}, True),
        ("in-net", {"address": "{inventory[bmc_address]}", "subnet": "10.78.0.0/24"}, False),
        ("in-net", {"address": "{inventory[nowhere]}", "subnet": "10.78.0.0/24"}, False),
        ("matches", {"value": "{inventory[system_vendor][manufacturer]}", "regex": "Dell.*"}, True),
        ("matches", {"value": "{inventory[system_vendor][manufacturer]}", "regex": "Dell"}, False),
        ("contains", {"value": "{inventory[system_vendor][manufacturer]}", "regex": "Inc"}, True),
        ("one-of", {"value": "{node.driver}", "values": ["ipmi", "redfish"]}, True),
        ("!one-of", {"value": "{node.driver}", "values": ["ipmi"]}, False),
        ("is-none", {"value": "{inventory[nowhere]}"}, True),
        ("is-none", {"value": "{inventory[cpu]}"}, False),
        ("is-true", {"value": "{inventory[flag]}"}, True),
        ("is-false", {"value": "{inventory[flag]}"}, False),
        ("is-false", {"value": 0}, True),
        ("is-true", {"value": 1}, True),
        ("eq", {"values": ["{inventory[password]}", "canary"]}, False),  # a rule that is not sensitive sees a mask
    ],
)  # fmt: skip
def test_operators(op, args, expected):
    assert holds(op, args) is expected


@pytest.mark.parametrize(
    ("multiple", "expected"), [("any", True), ("all", False), ("first", True), ("last", True), (None, True)]
)
def test_loops_of_conditions(multiple, expected):
    loop = [{"v": 1}, {"v": 8}]
    assert holds("eq", {"values": ["{item[v]}", "{inventory[cpu][count]}"]}, loop=loop, multiple=multiple) is expected


def run(*actions, **rule):
    made = subject()
    wanted = Rule(uuid="r", conditions=[], actions=inspection_rules.actions(list(actions)), **rule)
    inspection_rules.run([wanted], made)
    return made


def test_actions_change_the_node_its_traits_and_its_ports():
    made = run(
        {"op": "set-attribute", "args": {"path": "/properties/s", "value": "{inventory.system_vendor.serial_number}"}},
        {"op": "set-attribute", "args": ["resource_class", "x-{inventory[cpu][count]}"]},
        {"op": "extend-attribute", "args": {"path": "extra/tags", "value": "t", "unique": True}},
        {"op": "extend-attribute", "args": {"path": "extra/tags", "value": "t", "unique": True}},
        {"op": "set-capability", "args": {"name": "boot_mode", "value": "uefi"}},
        {"op": "unset-capability", "args": {"name": "a"}},
        {"op": "add-trait", "args": {"name": "CUSTOM_GPU"}},
        {"op": "add-trait", "args": {"name": "CUSTOM_OLD"}},
        {"op": "remove-trait", "args": {"name": "CUSTOM_OLD"}},
        {"op": "set-plugin-data", "args": {"path": "a.b", "value": "{inventory[cpu]}"}},
        {"op": "extend-plugin-data", "args": {"path": "l", "value": 1}},
        {"op": "unset-plugin-data", "args": {"path": "nowhere"}},
        {"op": "set-port-attribute", "args": {"port_id": "p", "path": "physical_network", "value": "rack-1"}},
        {"op": "set-port-attribute", "args": {"port_id": 0, "path": "extra/x", "value": True}},
        {"op": "set-port-attribute", "args": {"port_id": "p", "path": "pxe_enabled", "value": "no"}},
        {"op": "log", "args": {"msg": "{node.name} done", "level": "warning"}},
    )  # fmt: skip
    assert made.node["properties"] == {"capabilities": "boot_mode:uefi", "s": "S1"}
    assert made.node["resource_class"] == "x-8"
    assert made.node["extra"] == {"tags": ["t"]}
    assert made.node["traits"] == ["CUSTOM_GPU"]
    assert made.plugin_data == {"a": {"b": INVENTORY["cpu"]}, "l": [1]}
    assert made.ports[0]["physical_network"] == "rack-1"
    assert made.ports[0]["pxe_enabled"] is False
    assert made.log == [("warning", "n1 done")]
    assert made.inventory == INVENTORY


def test_actions_loop():
    loop = [{"path": "properties/x", "value": "{inventory[cpu][count]}"}, {"path": "properties/y", "value": 2}]
    made = run({"op": "set-attribute", "args": {"path": "{item[path]}", "value": "{item[value]}"}, "loop": loop})
    assert made.node["properties"]["y"] == 2


def test_what_is_written_is_a_copy():
    made = run(
        {"op": "set-attribute", "args": {"path": "extra/cpu", "value": "{inventory[cpu]}"}},
        {"op": "set-attribute", "args": {"path": "extra/cpu/count", "value": 9}},
    )
    assert made.inventory["cpu"]["count"] == 8
    assert made.node["extra"]["cpu"]["count"] == 9


def test_fail_says_why():
    with pytest.raises(RuleFailed, match="too little memory"):
        run({"op": "fail", "args": {"msg": "too little memory"}})


def test_a_sensitive_rule_reads_secrets():
    action = {"op": "set-plugin-data", "args": {"path": "s", "value": "{inventory[password]}"}}
    assert run(action, sensitive=True).plugin_data == {"s": "canary"}
    assert run(action).plugin_data == {"s": "***"}


def test_why_a_sensitive_rule_failed_is_not_told():
    long = {"op": "set-capability", "args": {"name": "canary:name", "value": "x"}}
    with pytest.raises(RuleFailed, match="canary"):
        run(long)
    with pytest.raises(RuleFailed, match="rule r failed; it is sensitive") as refusal:
        run(long, sensitive=True)
    assert "canary" not in str(refusal.value)
    with pytest.raises(RuleFailed, match="said on purpose"):
        run({"op": "fail", "args": {"msg": "said on purpose"}}, sensitive=True)


def test_growth_is_bounded():
    double = {
        "op": "set-plugin-data",
        "args": {"path": "{item}", "value": "{plugin_data}"},
        "loop": list("abcdefgh") * 30,
    }
    with pytest.raises(RuleFailed, match="bytes"):
        run({"op": "set-plugin-data", "args": {"path": "z", "value": "x" * 1000}}, double)


def test_runs_are_bounded():
    loop = {"op": "log", "args": {"msg": "x"}, "loop": list(range(256))}
    with pytest.raises(RuleFailed, match="5000"):
        run(*[loop] * 30)


@pytest.mark.parametrize(
    ("conditions", "actions", "said"),
    [
        ([{"op": "near", "args": {}}], [], "Unsupported condition operator: near"),
        ([{"op": "eq", "args": {}}], [], "missing required argument"),
        ([{"op": "eq", "args": {"values": [], "x": 1}}], [], "unexpected argument"),
        ([{"op": "eq", "args": "x"}], [], "list or dictionary"),
        ([{"op": "matches", "args": {"value": "x", "regex": "("}}], [], "regular expression"),
        ([{"args": {}}], [], "'op'"),
        ([{"op": "eq", "args": {"values": []}, "x": 1}], [], "Additional properties"),
        ([{"op": "eq", "args": {"values": []}, "loop": [0] * 257}], [], "loop"),
        ([{"op": "eq", "args": {"values": []}, "multiple": "some"}], [], "multiple"),
        ([{}] * 51, [], "conditions"),
        ([], [], "at least one"),
        ([], [{"op": "api-call", "args": {"url": "http://x"}}], "Unsupported action"),
        ([], [{"op": "set-attribute", "args": {"path": "driver_info/x", "value": 1}}], "driver_info"),
        ([], [{"op": "set-attribute", "args": {"path": "/uuid", "value": 1}}], "uuid"),
        ([], [{"op": "set-port-attribute", "args": {"port_id": 0, "path": "address", "value": 1}}], "address"),
        ([], [{"op": "log", "args": {"msg": 1, "level": "shout"}}], "log level"),
        ([], [{"op": "log", "args": {"msg": "x" * 70000}}], "bytes"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_refused_when_it_is_written(conditions, actions, said):
    with pytest.raises(Invalid, match=said):
        (inspection_rules.conditions(conditions), inspection_rules.actions(actions))


@pytest.mark.parametrize(
    "place", ["{node.__class__}", "{node[__init__]}", "{inventory.__globals__[x]}", "{0}", "{node!r}"]
)
def test_a_place_reaches_nothing_but_data(place):
    made = run({"op": "log", "args": {"msg": f"<{place}>"}})
    assert made.log == [("info", f"<{place}>")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=8)
    | st.sampled_from(["{inventory}", "{node.name}", "{plugin_data}", "{item}", "10.0.0.0/8", "CUSTOM_A", "extra/a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def operations(table):
    def one(name):
        _do, needed, optional = table[name]
        args = st.fixed_dictionaries(dict.fromkeys(needed, JSON), optional=dict.fromkeys(optional, JSON))
        return st.fixed_dictionaries({"op": st.just(name), "args": args | JSON}, optional={"loop": JSON})

    return st.sampled_from(sorted(table)).flatmap(one)


@given(
    conditions=st.lists(operations(OPERATORS), max_size=3),
    actions=st.lists(operations(ACTIONS), min_size=1, max_size=4),
)
def test_whatever_a_rule_says_it_is_refused_or_fails_or_leaves_json(conditions, actions):
    made = subject()
    try:
        rule = Rule(
            uuid="r", conditions=inspection_rules.conditions(conditions), actions=inspection_rules.actions(actions)
        )
        inspection_rules.run([rule], made)
    except (Invalid, RuleFailed):
        return
    orjson.dumps([made.node, made.ports, made.plugin_data])
