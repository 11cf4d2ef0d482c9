import itertools

import pytest

from appliance.domain.power import (
    POWER_FAILURE,
    Adopt,
    Agree,
    Decision,
    Enforce,
    PowerPolicy,
    Reading,
    SetAside,
    Suspect,
    decide,
)
from bmc.types import PowerState

ON, OFF = PowerState.ON, PowerState.OFF
LENIENT, STRICT = PowerPolicy(), PowerPolicy(force=True)


@pytest.mark.parametrize(
    ("seen", "policy", "expected"),
    [
        ((ON, ON, 0, None), LENIENT, Agree()),
        ((ON, ON, 2, None), LENIENT, Agree()),
        ((ON, OFF, 0, None), LENIENT, Adopt(observed=OFF)),
        ((None, OFF, 0, None), STRICT, Adopt(observed=OFF)),
        ((ON, OFF, 0, None), STRICT, Enforce(intended=ON)),
        ((ON, None, 0, None), LENIENT, Suspect(failures=1)),
        ((ON, None, 1, None), LENIENT, Suspect(failures=2)),
        ((ON, None, 2, None), LENIENT, SetAside(fault=POWER_FAILURE, failures=3)),
        ((ON, None, 3, POWER_FAILURE), LENIENT, Suspect(failures=4)),
        ((ON, ON, 9, POWER_FAILURE), LENIENT, Agree(recovered=True)),
        ((ON, OFF, 9, POWER_FAILURE), LENIENT, Adopt(observed=OFF, recovered=True)),
        ((ON, OFF, 9, POWER_FAILURE), STRICT, Enforce(intended=ON, recovered=True)),
        ((ON, None, 2, "other"), LENIENT, SetAside(fault=POWER_FAILURE, failures=3)),
    ],
)
def test_decide(
    seen: tuple[PowerState | None, PowerState | None, int, str | None], policy: PowerPolicy, expected: Decision
) -> None:
    intended, observed, failures, fault = seen
    assert decide(Reading(intended=intended, observed=observed, failures=failures, fault=fault), policy) == expected


def test_no_answer_never_changes_what_is_known_of_the_machine() -> None:
    for intended, failures, fault in itertools.product((None, ON, OFF), range(5), (None, POWER_FAILURE)):
        reading = Reading(intended=intended, observed=None, failures=failures, fault=fault)
        assert isinstance(decide(reading, STRICT), Suspect | SetAside)
