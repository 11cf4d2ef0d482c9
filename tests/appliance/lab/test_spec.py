import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import Invalid
from appliance.lab import spec


@given(firmwares=st.lists(st.sampled_from(["bios", "uefi"]), min_size=1, max_size=50))
def test_every_rack_survives_its_json_form(firmwares):
    rack = spec.rack(firmwares)
    assert spec.rack_from_json(spec.to_json(rack)) == rack
    assert [spec.node_from_json(spec.to_json(node)) for node in rack.nodes] == list(rack.nodes)


def test_machines_differ_in_everything_that_must_differ():
    nodes = spec.rack(["bios"] * 50).nodes
    for name in ("name", "mac", "bmc_address", "tap", "uuid", "serial"):
        assert len({getattr(node, name) for node in nodes}) == 50
    assert nodes[0].mac == "52:54:00:4c:00:01"
    assert nodes[49].bmc_address == "10.77.0.250"


def test_the_same_rack_has_the_same_identities_every_time():
    assert spec.rack(["bios", "uefi"]) == spec.rack(["bios", "uefi"])
    assert spec.rack(["bios"], namespace="other").nodes[0].uuid != spec.rack(["bios"]).nodes[0].uuid


@pytest.mark.parametrize("count", [0, 51])
def test_a_rack_has_1_to_50_machines(count):
    with pytest.raises(Invalid):
        spec.rack(["bios"] * count)


@pytest.mark.parametrize("namespace", ["", "a b", "../x", "x" * 61])
def test_names_that_cannot_be_a_namespace_are_refused(namespace):
    with pytest.raises(Invalid):
        spec.rack(["bios"], namespace=namespace)


def _document() -> dict:
    return json.loads(spec.to_json(spec.rack(["bios", "uefi"])))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(colour="red"), "unknown keys: colour"),
        (lambda d: d["nodes"][0].update(wheels=4), "unknown keys: wheels"),
        (lambda d: d["nodes"][0].pop("mac"), "incomplete"),
        (lambda d: d["nodes"][0].update(memory_mib="many"), "memory_mib"),
        (lambda d: d["nodes"][0].update(memory_mib=True), "memory_mib"),
        (lambda d: d["nodes"][0].update(firmware="coreboot"), "coreboot"),
        (lambda d: d["nodes"][0].update(firmware_order="floppy"), "floppy"),
        (lambda d: d["nodes"][0].update(mac=d["nodes"][1]["mac"]), "the same mac"),
        (lambda d: d["nodes"][0].update(name=d["nodes"][1]["name"]), "the same name"),
        (lambda d: d["nodes"][0].update(name="../up"), "host name"),
        (lambda d: d["nodes"][0].update(mac="01:00:00:00:00:00"), "MAC"),
        (lambda d: d["nodes"][0].update(bmc_address="here"), "IP address"),
        (lambda d: d.update(nodes="none"), "nodes"),
        (lambda d: d.update(nodes=["x"]), "JSON object"),
    ],
)
def test_a_wrong_rack_is_refused_with_the_reason(change, said):
    document = _document()
    change(document)
    with pytest.raises(Invalid, match=said):
        spec.rack_from_json(json.dumps(document))


@given(st.text(max_size=200))
def test_any_text_gives_a_rack_or_invalid(text):
    try:
        spec.rack_from_json(text)
    except Invalid:
        return
    pytest.fail("random text was taken for a rack")


def test_asking_for_a_machine_that_is_not_there_names_those_that_are():
    with pytest.raises(Invalid) as refused:
        spec.rack(["bios", "uefi"]).node("node9")
    assert "node1, node2" in refused.value.why
