"""`/baremetal` and `/baremetal/v1`: what there is, for everybody, in the version that the request speaks."""

from flask import Response

from appliance.http.ironic import versions
from appliance.http.ironic.call import Body, Call
from appliance.http.json_body import reply


def _version(root: str) -> Body:
    return {
        "id": "v1",
        "links": [{"href": f"{root}/v1/", "rel": "self"}],
        "status": "CURRENT",
        "min_version": f"1.{versions.MINIMUM}",
        "version": f"1.{versions.MAXIMUM}",
    }


def top(call: Call) -> Response:
    shown = _version(call.root)
    return reply(
        {
            "name": "OpenStack Ironic API",
            "description": "Bare metal machines of this appliance, as OpenStack clients know them.",
            "default_version": shown,
            "versions": [shown],
        }
    )


def v1(call: Call, resources: dict[str, int]) -> Response:
    """resources: name -> the version that brought it."""
    links = {name: _links(call.root, name) for name, since in resources.items() if since <= call.minor}
    docs = "https://docs.openstack.org/ironic/latest/contributor/webapi.html"
    return reply(
        {
            "id": "v1",
            "links": [
                {"href": f"{call.root}/v1/", "rel": "self"},
                {"href": docs, "rel": "describedby", "type": "text/html"},
            ],
            "media_types": {"base": "application/json", "type": "application/vnd.openstack.ironic.v1+json"},
            "version": _version(call.root),
            **links,
        }
    )


def _links(root: str, name: str) -> list[dict[str, str]]:
    return [{"href": f"{root}/v1/{name}/", "rel": "self"}, {"href": f"{root}/{name}/", "rel": "bookmark"}]
