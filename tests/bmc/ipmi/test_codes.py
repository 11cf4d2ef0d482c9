import pytest

from bmc.errors import BmcError, Busy, Denied, Nonsense, Unreachable, Unsupported
from bmc.ipmi.codes import fault_of_code, fault_of_login
from bmc.ipmi.session import Refusal


@pytest.mark.parametrize("code", range(1, 256))
def test_every_code_has_a_sentence_with_its_number(code):
    fault = fault_of_code(code)
    assert isinstance(fault, BmcError)
    assert f"{code:#04x}" in str(fault)


@pytest.mark.parametrize(
    ("refusal", "heard", "kind"),
    [
        (None, False, Unreachable),
        (None, True, Nonsense),
        (0x01, True, Busy),
        (0x0D, True, Denied),
        (0x0F, True, Denied),
        (Refusal.WRONG_PASSWORD, True, Denied),
        (0x11, True, Unsupported),
        (Refusal.NOT_IPMI_2, True, Unsupported),
        (Refusal.OTHER_SUITE, True, Nonsense),
    ],
)
def test_why_a_log_in_failed(refusal, heard, kind):
    assert type(fault_of_login(refusal, was_heard=heard)) is kind
