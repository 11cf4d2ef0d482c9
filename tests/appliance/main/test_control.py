"""How much of a body the doors let in, by what the view behind them reads."""

import pytest

from appliance.http.native import nodes
from appliance.http.server import BODY_BYTES
from appliance.main import control
from appliance.services import config_drive, image_store


@pytest.mark.parametrize(
    ("method", "path", "most"),
    [
        ("POST", "/v1/nodes", BODY_BYTES), ("POST", "/v1/nodes/n1/deploy", nodes.MAX_WISH),
        ("POST", "/v1/nodes/n1/rebuild", nodes.MAX_WISH), ("POST", "/v1/nodes/bulk", BODY_BYTES),
        ("PATCH", "/v1/nodes/deploy", BODY_BYTES), ("POST", "/login", BODY_BYTES),
        ("PUT", "/v1/images/x/file", image_store.MAX_UPLOAD), ("POST", "/v1/images/x/file", BODY_BYTES),
        ("PUT", "/image/v2/images/x/stage", image_store.MAX_UPLOAD), ("PUT", "/image/v2/images/x/members", BODY_BYTES),
        ("PUT", "/baremetal/v1/nodes/n1/states/provision", control.CONFIG_DRIVE_BODY),
    ],
)  # fmt: skip
def test_the_door_lets_in_what_the_view_reads(method, path, most):
    assert control._operator_limit(method, path) == most


def test_the_largest_config_drive_fits():
    in_base64 = config_drive.MAX_GIVEN * 4 // 3
    assert in_base64 < nodes.MAX_WISH
    assert in_base64 < control.CONFIG_DRIVE_BODY
