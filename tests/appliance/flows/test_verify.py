from appliance.domain.lifecycle import Verb
from tests.appliance.flows.harness import ADDRESS, Rig


def test_a_refused_password_fails_at_once(made: Rig) -> None:
    made.world.change(ADDRESS, faults=["Denied"])
    made.add_node("enroll")
    made.ask(Verb.MANAGE)
    before = made.clock()
    made.drive()
    node = made.node()
    assert (node.provision_state, node.target_provision_state, node.bmc_verified_at) == ("enroll", None, None)
    assert node.last_error == "The BMC refused the user name or password, or the privilege is too low."
    assert node.failure["next"] == (
        "rackwright node set n1 --bmc ADDRESS --username NAME --password-file FILE && rackwright node manage n1"
    )
    assert made.clock() == before, "repeating it would lock the account"


def test_what_the_bmc_says_is_kept(made: Rig) -> None:
    made.world.change(ADDRESS, is_on=True)
    made.add_node("enroll")
    made.ask(Verb.MANAGE)
    made.drive()
    node = made.node()
    assert (node.provision_state, node.power_state, node.bmc_verified_at) == ("manageable", "power on", made.clock())
    assert made.flow().data["bmc"]["cipher_suite"] == 17
