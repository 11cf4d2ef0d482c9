"""The lights of nodes, for real on Redfish."""

import pytest

from bmc.virtual.redfish_resources import UUID
from tests.fakes.ironic_client import fault

PATH = "/v1/nodes/redfish/management/indicators"
LIGHT = f"{UUID}@system"


@pytest.mark.parametrize("led", [True, False])
def test_a_light_is_seen_and_switched(wired, led):
    wired.rigs["redfish"].bmc.manners.led = led
    (shown,) = wired.api.get(PATH).get_json()["indicators"]
    assert (shown["name"], shown["component"], shown["readonly"]) == (LIGHT, "system", False)
    assert shown["states"] == (["blinking", "off", "on"] if led else ["off", "on"])
    assert shown["links"][0]["href"].endswith(f"/management/indicators/{LIGHT}")
    for state in ("on", "OFF"):
        assert wired.api.put(f"{PATH}/{LIGHT}", {"state": state}).status_code == 204
        assert wired.api.get(f"{PATH}/{LIGHT}").get_json() == {"state": state.lower()}


@pytest.mark.parametrize(
    ("light", "state", "words"),
    [
        ("led", "on", 'Malformed indicator name "led"'),
        ("led@system", "on", "Unknown indicator led"),
        (LIGHT, "purple", "Invalid indicator state purple"),
        (LIGHT, None, "Invalid indicator state None"),
        (LIGHT, "blinking", "has no state blinking"),
    ],
)
def test_lights_and_states_that_there_are_not(wired, light, state, words):
    answer = wired.api.put(f"{PATH}/{light}", {"state": state})
    assert answer.status_code == 400
    assert words in fault(answer)["faultstring"]
    assert wired.rigs["redfish"].bmc.state.led == "Off"


def test_unknown_lights_have_no_state(wired):
    assert wired.api.get(f"{PATH}/led@system").status_code == 400
