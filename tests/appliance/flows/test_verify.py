import pytest

from appliance.domain.lifecycle import Verb
from bmc.errors import Unsupported
from tests.appliance.flows.harness import ADDRESS, Rig
from tests.fakes.machines import FakeBmc


class Secured(FakeBmc):
    """Knows about secure boot; says what `answer` is."""

    answer: bool | Unsupported = True

    def secure_boot(self, *, deadline_s: float = 10.0) -> bool:
        if isinstance(self.answer, Unsupported):
            raise self.answer
        return self.answer

    def set_secure_boot(self, *, on: bool, deadline_s: float = 10.0) -> None:
        raise AssertionError("a check changes nothing")


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


@pytest.mark.parametrize(
    ("answer", "kept"), [(True, True), (False, False), (Unsupported("It does not say."), None), (None, None)]
)
def test_secure_boot_is_as_the_bmc_says(
    made: Rig, monkeypatch: pytest.MonkeyPatch, answer: bool | Unsupported | None, kept: bool | None
) -> None:
    if answer is not None:
        monkeypatch.setattr(Secured, "answer", answer)
        monkeypatch.setattr(made.world, "connect", lambda node: Secured(made.world, node.bmc_address or ""))
    made.add_node("enroll")
    made.ask(Verb.MANAGE)
    made.drive()
    assert (made.node().provision_state, made.node().has_secure_boot) == ("manageable", kept)
