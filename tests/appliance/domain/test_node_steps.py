"""The table of steps: what may be asked, in which order it is done, and how a wrong wish is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import Invalid
from appliance.domain.node_steps import FAKE, MOST_STEPS, REAL, RESERVED, By, Phase, find, read

ERASE = {"interface": "deploy", "step": "erase_devices"}


def names(steps: list[dict[str, Any]]) -> list[str]:
    return [step["step"] for step in steps]


@pytest.mark.parametrize("interface", ["power", "deploy", "management", None])
@pytest.mark.parametrize("step", sorted(RESERVED))
def test_of_reserved_steps_the_interface_is_ignored(step: str, interface: str | None) -> None:
    wish = {"step": step} | ({"interface": interface} if interface else {})
    assert read([wish], Phase.CLEAN, is_fake=False)[0]["step"] == step


@pytest.mark.parametrize("table", [REAL, FAKE])
def test_every_step_of_the_table_is_read_where_it_belongs(table: Any) -> None:
    for (interface, step), known in table.items():
        for phase in Phase:
            wish = [{"interface": interface, "step": step, "priority": 80 if known.by is By.CORE else 90}]
            if phase in known.phases:
                assert step in names(read(wish, phase, is_fake=table is FAKE))
            else:
                with pytest.raises(Invalid, match=f"does not support this {phase} step: {interface}.{step}"):
                    read(wish, phase, is_fake=table is FAKE)


def test_what_real_hardware_has_fake_hardware_need_not_have() -> None:
    assert find("raid", "create_configuration", is_fake=True) is not None
    assert find("raid", "create_configuration", is_fake=False) is None


def test_the_list_tells_the_order_unless_each_step_does() -> None:
    steps = [ERASE | {"order": 2}, {"step": "hold", "order": "1"}]
    assert names(read(steps, Phase.CLEAN, is_fake=False)) == ["hold", "erase_devices"]
    assert names(read([ERASE, {"step": "hold", "order": 1}], Phase.CLEAN, is_fake=False)) == ["erase_devices", "hold"]


def test_priorities_place_steps_around_the_image() -> None:
    steps = [
        {"step": "wait", "args": {"seconds": 1}, "priority": 41},
        {"step": "reboot", "priority": 0},
        {"step": "hold", "priority": 80},
        ERASE | {"priority": 95},
        {"step": "power_on", "priority": 96},
    ]
    found = names(read(steps, Phase.DEPLOY, is_fake=False))
    assert found == ["power_on", "erase_devices", "write_image", "hold", "wait"]
    assert names(read(steps, Phase.DEPLOY, is_fake=True)) == ["power_on", "erase_devices", "hold", "wait"]


def test_the_image_may_be_named_at_its_own_place() -> None:
    core = {"interface": "deploy", "step": "write_image", "priority": 80}
    assert names(read([core], Phase.DEPLOY, is_fake=False)) == ["write_image"]
    with pytest.raises(Invalid, match="keeps its priority"):
        read([core | {"priority": 85}], Phase.DEPLOY, is_fake=False)


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (None, "list of steps"),
        ([], "at least one"),
        ({}, "list of steps"),
        ([ERASE] * (MOST_STEPS + 1), "more than"),
        (["hold"], "is an object"),
        ([{"interface": "power"}], "is an object"),
        ([{"step": "hold", "color": "red"}], "no field 'color'"),
        ([{"step": "hold", "execute_on_child_nodes": True}], "child nodes"),
        ([{"interface": ["x"], "step": "magic"}], "does not support"),
        ([{"step": "erase_devices"}], "does not support"),
        ([{"step": "wait", "args": []}], "is an object"),
        ([{"step": "wait", "args": {"minutes": 1}}], "no argument 'minutes'"),
        ([{"step": "wait", "args": {"seconds": -1}}], "seconds"),
        ([{"step": "wait", "args": {"seconds": True}}], "seconds"),
        ([{"step": "wait", "args": {"seconds": 1.5}}], "seconds"),
        ([{"step": "hold", "order": -1}], "order"),
        ([{"step": "hold", "order": "x"}], "order"),
        ([{"step": "hold", "order": True}], "order"),
    ],
)
def test_a_wrong_wish_is_named(value: object, match: str) -> None:
    with pytest.raises(Invalid, match=match):
        read(value, Phase.CLEAN, is_fake=False)


@pytest.mark.parametrize(
    ("step", "match"),
    [
        ({"step": "hold"}, "each deploy step has a priority"),
        ({"step": "hold", "priority": 40}, "the ramdisk is gone"),
        (ERASE | {"priority": 80}, "would erase the image"),
    ],
)
def test_a_deploy_step_has_its_place(step: dict[str, Any], match: str) -> None:
    with pytest.raises(Invalid, match=match):
        read([step], Phase.DEPLOY, is_fake=False)


def test_without_ramdisk_only_what_needs_none() -> None:
    steps = [{"step": "reboot"}, {"step": "wait", "args": {"seconds": 0}}, {"step": "hold"}]
    assert len(read(steps, Phase.SERVICE, is_fake=False, has_ramdisk=False)) == 3
    for step in (ERASE, {"step": "wait"}):
        with pytest.raises(Invalid, match="the ramdisk"):
            read([step], Phase.CLEAN, is_fake=False, has_ramdisk=False)


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 200)
    | st.sampled_from(["hold", "wait", "deploy", "erase_devices", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["interface", "step", "args", "priority", "order", "seconds"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)


@given(_json, st.sampled_from(Phase), st.booleans(), st.booleans())
def test_any_json_is_a_plan_or_invalid(value: Any, phase: Phase, is_fake: bool, has_ramdisk: bool) -> None:
    try:
        plan = read(value, phase, is_fake=is_fake, has_ramdisk=has_ramdisk)
    except Invalid:
        return
    for step in plan:
        assert set(step) == {"interface", "step", "args"}
        assert find(step["interface"], step["step"], is_fake=is_fake) is not None
