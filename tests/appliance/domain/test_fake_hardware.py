from types import SimpleNamespace
from typing import Any

import pytest

from appliance.domain.fake_hardware import delay_range, delay_s, fault, is_fake


@pytest.mark.parametrize(
    ("driver", "options", "interfaces", "expected"),
    [
        ("fake", {}, {}, False),
        ("fake", {"deploy_interface": "fake"}, {}, True),
        ("fake", {}, {"deploy": "fake"}, True),
        ("fake", {"deploy_interface": "fake"}, {"deploy": "direct"}, False),
        ("ipmi", {"deploy_interface": "fake"}, {"deploy": "fake"}, False),
    ],
)
def test_the_deploy_interface_decides(driver: str, options: Any, interfaces: Any, expected: bool) -> None:
    node = SimpleNamespace(driver=driver, driver_options=options, interfaces=interfaces)
    assert is_fake(node) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, (2, 2)), (0.5, (0.5, 0.5)), ("2", (2, 2)), ("1,5", (1, 5)), ([1, 5], (1, 5)), ([3], (3, 3)),
        (None, None), (True, None), ("", None), ("x", None), ([], None), ([1, 2, 3], None), ([True], None), (-1, None),
        ("5,1", None), (1e9, None), ("nan", None), ("inf", None), ({}, None), ([None], None),
    ],
)  # fmt: skip
def test_a_delay_is_a_number_or_a_range(value: object, expected: tuple[float, float] | None) -> None:
    assert delay_range(value) == expected


def test_a_delay_is_the_node_s_own_then_the_configured_then_none() -> None:
    usual = {"deploy": (3.0, 3.0)}
    assert delay_s({"fake_deploy_delay": 1}, usual, "deploy", "o") == 1
    assert delay_s({"fake_deploy_delay": "nonsense"}, usual, "deploy", "o") == 3
    assert delay_s({}, usual, "clean", "o") == 0


def test_one_occasion_has_one_delay_and_many_fill_the_range() -> None:
    options = {"fake_deploy_delay": "1,5"}
    drawn = [delay_s(options, {}, "deploy", str(number)) for number in range(200)]
    assert drawn == [delay_s(options, {}, "deploy", str(number)) for number in range(200)]
    assert 1 <= min(drawn) < 1.5
    assert 4.5 < max(drawn) <= 5


def test_faults_strike_by_rate() -> None:
    assert fault({"fail": {"deploy": 1}}, "deploy", "o") == "pretended fault: deploy"
    assert fault({"fail": {"deploy": 1}}, "clean", "o") is None
    assert fault({}, "deploy", "o") is None
