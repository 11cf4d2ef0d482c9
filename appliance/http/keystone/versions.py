"""Version discovery, without a token: `/identity` answers 300 with what there is, `/identity/v3` describes itself."""

from typing import Any

from flask import Flask, Response

from appliance.http.context import Context
from appliance.http.json_body import reply
from appliance.http.keystone.wire import PREFIX, V3
from appliance.http.own_address import base_url


def install(app: Flask, context: Context) -> None:
    def all_versions() -> Response:
        response = reply({"versions": {"values": [_v3(context)]}}, 300)
        response.headers["Location"] = f"{base_url(context.config)}{V3}/"
        return response

    def one_version() -> Response:
        return reply({"version": _v3(context)})

    for number, (rule, view) in enumerate(
        [(PREFIX, all_versions), (f"{PREFIX}/", all_versions), (V3, one_version), (f"{V3}/", one_version)]
    ):
        app.add_url_rule(rule, f"keystone_version_{number}", view, methods=["GET"])


def _v3(context: Context) -> dict[str, Any]:
    return {
        "id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{base_url(context.config)}{V3}/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }  # fmt: skip
