import pytest

from appliance.domain.lifecycle import Verb
from tests.appliance.flows.harness import ADDRESS, Rig


def add_tenant(made: Rig, **machine: object) -> None:
    running = {"is_on": True, "runs": "system", "has_called": True, "disk": "debian", "device": "disk"}
    made.world.change(ADDRESS, **running, **machine)
    made.add_node(
        "active",
        instance={"image": "debian"},
        instance_secret=b"sealed",
        instance_address="10.0.0.50",
        call_home_hash="h",
        boot_secret_hash="b",
    )
    made.ask(Verb.UNDEPLOY)


def test_secrets_are_worthless_before_anything_else_is_done(made: Rig) -> None:
    add_tenant(made, faults=["Denied"])
    made.drive()
    node = made.node()
    assert node.provision_state == "error"
    assert (node.instance_secret, node.call_home_hash, node.boot_secret_hash) == (None, None, None)
    assert node.instance is not None, "the machine may still run it"
    assert node.failure["next"] == "rackwright node undeploy n1"


def test_an_undeploy_that_failed_can_be_asked_again(made: Rig) -> None:
    add_tenant(made, faults=["Denied"])
    made.drive()
    made.ask(Verb.UNDEPLOY)
    made.drive()
    node = made.node()
    assert (node.provision_state, node.instance, node.instance_address) == ("available", None, None)
    assert made.machine.disk == "empty"


def test_an_erase_that_fails_ends_in_clean_failed_without_instance(made: Rig) -> None:
    add_tenant(made, fails_in={"erase": "bad disk"})
    made.drive()
    assert (made.node().provision_state, made.node().instance) == ("clean failed", None)


@pytest.mark.parametrize("is_cleaned", [True, False])
def test_a_retired_node_is_not_offered_again(made: Rig, *, is_cleaned: bool) -> None:
    made.world.change(ADDRESS, is_on=True, runs="system", disk="debian")
    made.add_node("active", is_retired=True, has_automated_clean=is_cleaned)
    made.ask(Verb.UNDEPLOY)
    made.drive()
    assert (made.node().provision_state, made.node().instance) == ("manageable", None)


def test_without_cleaning_a_machine_that_keeps_its_power_is_left_as_it_runs(made: Rig) -> None:
    made.world.change(ADDRESS, is_on=True, runs="system", disk="debian")
    made.add_node("active", keeps_power=True, has_automated_clean=False)
    made.ask(Verb.UNDEPLOY)
    made.drive()
    assert (made.node().provision_state, made.machine.acts) == ("available", [])
