"""Whatever a body or a query holds, the answer is a refusal or a success, never a fault of ours."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.http.ironic import (
    allocations,
    chassis,
    deploy_templates,
    inspection_rules,
    portgroups,
    ports,
    runbooks,
    volumes,
)
from tests.fakes import ironic_things as things

KINDS = [
    ports.KIND, portgroups.KIND, chassis.KIND, allocations.KIND, deploy_templates.KIND, runbooks.KIND,
    inspection_rules.KIND, volumes.CONNECTORS, volumes.TARGETS,
]  # fmt: skip
FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
WORDS = st.sampled_from(
    ["n1", "52:54:00:77:00:01", "CUSTOM_A", "x", "", "iqn", "1be26c0b-03f2-4d2e-ae87-c02d7f33c123", "true",
     "é", "\0", "a" * 300]
)  # fmt: skip
STEP = st.fixed_dictionaries(
    {
        "interface": st.sampled_from(["deploy", "bios", 5, None]),
        "step": WORDS,
        "args": st.just({}),
        "priority": st.integers(-1, 9),
    }
)
ACTION = st.fixed_dictionaries({"op": st.sampled_from(["log", "fail", "api-call"]), "args": st.just({"msg": "x"})})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner | STEP | ACTION, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)


def bodies(kind):
    names = st.sampled_from([*sorted(kind.attributes), "node", "node_ident", "colour"])
    return st.dictionaries(names, VALUES, max_size=8) | VALUES


def patches(kind):
    paths = st.sampled_from(sorted(kind.attributes)).map("/{}".format) | WORDS.map("/extra/{}".format) | WORDS
    operation = st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "replace", "remove", "test", "move", 5]), "path": paths},
        optional={"value": VALUES},
    )
    return st.lists(operation, max_size=4) | VALUES


@pytest.fixture
def made(ironic, database):
    """One thing of each kind."""
    node = things.node(database)
    step = {"interface": "deploy", "step": "x", "args": {}}
    bodies = {
        "ports": {"node_uuid": node, "address": "52:54:00:77:00:09"}, "portgroups": {"node_uuid": node}, "chassis": {},
        "allocations": {"resource_class": "none"},
        "deploy_templates": {"name": "CUSTOM_Z", "steps": [step | {"priority": 1}]},
        "runbooks": {"name": "CUSTOM_Z", "steps": [step | {"order": 1}]},
        "inspection_rules": {"actions": [{"op": "log", "args": {"msg": "x"}}]},
        "volume/connectors": {"node_uuid": node, "type": "ip", "connector_id": "c"},
        "volume/targets": {"node_uuid": node, "volume_type": "iscsi", "volume_id": "v", "boot_index": 5},
    }  # fmt: skip
    answers = {path: ironic.post(f"/v1/{path}", body) for path, body in bodies.items()}
    assert {answer.status_code for answer in answers.values()} == {201}
    return {path: answer.get_json()["uuid"] for path, answer in answers.items()}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.key)
def test_no_body_breaks_us(ironic, made, kind):
    @FEW
    @given(data=st.data())
    def check(data):
        answer = ironic.post(f"/v1/{kind.path}", data.draw(bodies(kind)))
        assert answer.status_code < 500, answer.get_json()
        answer = ironic.patch(f"/v1/{kind.path}/{made[kind.path]}", data.draw(patches(kind)))
        assert answer.status_code < 500, answer.get_json()
        query = {
            data.draw(
                st.sampled_from(["limit", "marker", "sort_key", "fields", "node", "address", "shard"])
            ): data.draw(WORDS)
        }
        assert ironic.get(f"/v1/{kind.path}", query_string=query).status_code < 500
        assert ironic.get(f"/v1/{kind.path}?detail=True").status_code == 200

    check()
