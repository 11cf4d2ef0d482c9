from appliance.domain.lifecycle import Verb
from tests.appliance.flows.harness import Rig


def test_a_machine_that_is_off_runs_no_instance(made: Rig) -> None:
    made.add_node("manageable")
    made.ask(Verb.ADOPT)
    made.drive()
    assert made.node().provision_state == "adopt failed"
    assert "switched off" in made.node().failure["reason"]
    assert made.machine.acts == []
