"""/image: OpenStack Image v2 over the appliance's own services. The one list of its routes.

Whoever asks must be known; what may be done is decided by domain.images. Only the list of versions is for everybody.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from flask import Flask, Response, g

from appliance.http import errors
from appliance.http.auth import authenticated
from appliance.http.context import Context
from appliance.http.glance import (
    data,
    discovery,
    images,
    members,
    metadefs,
    metadefs_parts,
    metadefs_schemas,
    shape,
    tasks,
)
from appliance.http.glance.downloads import Downloads

View = Callable[..., Response]
_IMAGE = "/v2/images/<uuid>"
_MEMBER = f"{_IMAGE}/members/<member>"
_SPACES = "/v2/metadefs/namespaces"
_SPACE = f"{_SPACES}/<namespace>"

_PLAIN: Sequence[tuple[str, str, View]] = (
    ("GET", "/v2/schemas/<name>", discovery.schema),
    ("GET", "/v2/schemas/metadefs/<name>", metadefs_schemas.schema),
    ("GET", "/v2/info/import", discovery.imports),
    ("GET", "/v2/info/stores", discovery.stores),
    ("GET", "/v2/info/stores/detail", discovery.stores_detail),
)
_ROUTES: Sequence[tuple[str, str, View]] = (
    ("GET", "/v2/info/usage", discovery.usage),
    ("DELETE", "/v2/stores/<store>/<uuid>", discovery.delete_from_store),
    ("GET", "/v2/images", images.listing),
    ("POST", "/v2/images", images.create),
    ("GET", _IMAGE, images.show),
    ("PATCH", _IMAGE, images.update),
    ("DELETE", _IMAGE, images.delete),
    ("PUT", f"{_IMAGE}/tags/<value>", images.tag),
    ("DELETE", f"{_IMAGE}/tags/<value>", images.untag),
    ("POST", f"{_IMAGE}/actions/deactivate", images.deactivate),
    ("POST", f"{_IMAGE}/actions/reactivate", images.reactivate),
    ("PUT", f"{_IMAGE}/file", data.upload),
    ("PUT", f"{_IMAGE}/stage", data.stage),
    ("POST", f"{_IMAGE}/import", data.import_),
    ("GET", f"{_IMAGE}/tasks", tasks.of_image),
    ("GET", f"{_IMAGE}/members", members.listing),
    ("POST", f"{_IMAGE}/members", members.create),
    ("GET", _MEMBER, members.show),
    ("PUT", _MEMBER, members.update),
    ("DELETE", _MEMBER, members.delete),
    ("GET", "/v2/tasks", tasks.listing),
    ("GET", "/v2/tasks/<uuid>", tasks.show),
    ("GET", _SPACES, metadefs.listing),
    ("POST", _SPACES, metadefs.create),
    ("GET", _SPACE, metadefs.show),
    ("PUT", _SPACE, metadefs.update),
    ("DELETE", _SPACE, metadefs.delete),
    ("GET", f"{_SPACE}/objects", metadefs_parts.objects),
    ("POST", f"{_SPACE}/objects", metadefs_parts.create_object),
    ("DELETE", f"{_SPACE}/objects", metadefs_parts.delete_objects),
    ("GET", f"{_SPACE}/objects/<name>", metadefs_parts.show_object),
    ("PUT", f"{_SPACE}/objects/<name>", metadefs_parts.update_object),
    ("DELETE", f"{_SPACE}/objects/<name>", metadefs_parts.delete_object),
    ("GET", f"{_SPACE}/properties", metadefs_parts.properties),
    ("POST", f"{_SPACE}/properties", metadefs_parts.create_property),
    ("DELETE", f"{_SPACE}/properties", metadefs_parts.delete_properties),
    ("GET", f"{_SPACE}/properties/<name>", metadefs_parts.show_property),
    ("PUT", f"{_SPACE}/properties/<name>", metadefs_parts.update_property),
    ("DELETE", f"{_SPACE}/properties/<name>", metadefs_parts.delete_property),
    ("GET", f"{_SPACE}/tags", metadefs_parts.tags),
    ("POST", f"{_SPACE}/tags", metadefs_parts.create_tags),
    ("DELETE", f"{_SPACE}/tags", metadefs_parts.delete_tags),
    ("GET", f"{_SPACE}/tags/<name>", metadefs_parts.show_tag),
    ("POST", f"{_SPACE}/tags/<name>", metadefs_parts.create_tag),
    ("PUT", f"{_SPACE}/tags/<name>", metadefs_parts.update_tag),
    ("DELETE", f"{_SPACE}/tags/<name>", metadefs_parts.delete_tag),
    ("GET", "/v2/metadefs/resource_types", metadefs_parts.resource_types),
    ("GET", f"{_SPACE}/resource_types", metadefs_parts.associations),
    ("POST", f"{_SPACE}/resource_types", metadefs_parts.create_association),
    ("DELETE", f"{_SPACE}/resource_types/<name>", metadefs_parts.delete_association),
)


def install(app: Flask, context: Context) -> None:
    """Register the routes below `/image`."""
    errors.speak(app, "/image", shape.refusal)
    for path, status in (("", 300), ("/versions", 200), ("/v2", 200)):
        for rule in (f"/image{path}", f"/image{path}/"):
            app.add_url_rule(
                rule, f"glance {rule}", _numbered(partial(discovery.versions, context, status)), methods=["GET"]
            )
    known = authenticated(context)
    bound: list[tuple[str, str, View]] = [(method, rule, partial(view, context)) for method, rule, view in _ROUTES]
    bound.append(("GET", f"{_IMAGE}/file", partial(data.download, context, Downloads(context.config.api.threads))))
    for method, rule, view in (*_PLAIN, *bound):
        app.add_url_rule(f"/image{rule}", f"glance {method} {rule}", _numbered(known(_named(view))), methods=[method])


def _named(view: View) -> View:
    """A partial function has no name, which `wraps` asks for."""

    def run(**arguments: Any) -> Response:
        return view(**arguments)

    return run


def _numbered(view: View) -> View:
    """The request's id under the name that clients of OpenStack look for."""

    def answered(**arguments: Any) -> Response:
        response = view(**arguments)
        response.headers["X-Openstack-Request-Id"] = g.request_id
        return response

    return answered
