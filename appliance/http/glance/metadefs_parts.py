"""/v2/metadefs/namespaces/NAME/…: objects, properties, tags, and the kinds of things that a namespace is for."""

from flask import Response, g, request

from appliance.domain.errors import NotFound
from appliance.http.context import Context
from appliance.http.glance import metadefs_fields as fields
from appliance.http.glance import metadefs_shown as shown
from appliance.http.glance.metadefs import asked_page, object_columns, property_columns, tag_columns
from appliance.http.json_body import nothing, reply
from appliance.models.metadef import MetadefObject, MetadefProperty, MetadefTag
from appliance.services import metadef_parts as parts
from appliance.services import metadefs

_SORTABLE = {name: name for name in ("name", "created_at", "updated_at", "id")}
_TRUE = ("1", "t", "true", "on", "y", "yes")


def objects(context: Context, namespace: str) -> Response:
    asked = asked_page(_SORTABLE, usual=None)
    with context.database.read() as session:
        row = metadefs.find(session, g.actor, namespace)
        found = [shown.object_(row, item) for item in parts.listing(session, row, MetadefObject, asked)]
    return reply({"objects": found, "schema": "v2/schemas/metadefs/objects"})


def create_object(context: Context, namespace: str) -> Response:
    wish = object_columns(fields.body(fields.OBJECT, "object"))
    with context.database.write() as session:
        row = metadefs.changeable(session, g.actor, namespace, "add_metadef_object")
        made = parts.add(session, row, MetadefObject, [wish], now=context.clock())[0]
        return reply(shown.object_(row, made), 201)


def show_object(context: Context, namespace: str, name: str) -> Response:
    with context.database.read() as session:
        row = metadefs.find(session, g.actor, namespace)
        return reply(shown.object_(row, parts.fetch(session, row, MetadefObject, name)))


def update_object(context: Context, namespace: str, name: str) -> Response:
    wish = object_columns(fields.body(fields.OBJECT, "object"))
    with context.database.write() as session:
        row = metadefs.changeable(session, g.actor, namespace, "modify_metadef_object")
        part = parts.fetch(session, row, MetadefObject, name)
        parts.replace(session, row, part, wish, now=context.clock())
        return reply(shown.object_(row, part))


def properties(context: Context, namespace: str) -> Response:
    with context.database.read() as session:
        row = metadefs.find(session, g.actor, namespace)
        return reply({"properties": shown.properties(parts.listing(session, row, MetadefProperty))})


def create_property(context: Context, namespace: str) -> Response:
    wish = property_columns(fields.body(fields.PROPERTY, "property"))
    with context.database.write() as session:
        row = metadefs.changeable(session, g.actor, namespace, "add_metadef_property")
        return reply(shown.property_(parts.add(session, row, MetadefProperty, [wish], now=context.clock())[0]), 201)


def show_property(context: Context, namespace: str, name: str) -> Response:
    """With resource_type, the name is as on such a thing: after its prefix."""
    kind = request.args.get("resource_type")
    with context.database.read() as session:
        row = metadefs.find(session, g.actor, namespace)
        if kind:
            ties = parts.associations(session, [row])[row.id]
            prefix = next((tie.prefix for tie, other in ties if other == kind), None)
            if not prefix or not name.startswith(prefix):
                what = f"Property {name[:80]} does not start with the expected resource type association prefix"
                raise NotFound(f"{what} of '{prefix}'.")
            name = name.removeprefix(prefix)
        return reply(shown.property_(parts.fetch(session, row, MetadefProperty, name)))


def update_property(context: Context, namespace: str, name: str) -> Response:
    wish = property_columns(fields.body(fields.PROPERTY, "property"))
    with context.database.write() as session:
        row = metadefs.changeable(session, g.actor, namespace, "modify_metadef_property")
        part = parts.fetch(session, row, MetadefProperty, name)
        parts.replace(session, row, part, wish, now=context.clock())
        return reply(shown.property_(part))


def tags(context: Context, namespace: str) -> Response:
    asked = asked_page(_SORTABLE, usual=None)
    with context.database.read() as session:
        row = metadefs.find(session, g.actor, namespace)
        return reply({"tags": [{"name": item.name} for item in parts.listing(session, row, MetadefTag, asked)]})


def create_tags(context: Context, namespace: str) -> Response:
    """In place of those that there are, unless a header asks to add them."""
    many = [tag_columns(item) for item in fields.body(fields.TAGS, "tags")["tags"]]
    with context.database.write() as session:
        row = metadefs.changeable(session, g.actor, namespace, "add_metadef_tags")
        if request.headers.get("X-Openstack-Append", "").strip().lower() not in _TRUE:
            parts.drop(session, row, MetadefTag)
        parts.add(session, row, MetadefTag, many, now=context.clock())
    return reply({"tags": many}, 201)


def create_tag(context: Context, namespace: str, name: str) -> Response:
    wish = {"name": fields.name(name)}
    with context.database.write() as session:
        row = metadefs.changeable(session, g.actor, namespace, "add_metadef_tag")
        return reply(shown.named(parts.add(session, row, MetadefTag, [wish], now=context.clock())[0]), 201)


def show_tag(context: Context, namespace: str, name: str) -> Response:
    with context.database.read() as session:
        row = metadefs.find(session, g.actor, namespace)
        return reply(shown.named(parts.fetch(session, row, MetadefTag, name)))


def update_tag(context: Context, namespace: str, name: str) -> Response:
    wish = tag_columns(fields.body(fields.TAG, "tag"))
    with context.database.write() as session:
        row = metadefs.changeable(session, g.actor, namespace, "modify_metadef_tag")
        part = parts.fetch(session, row, MetadefTag, name)
        parts.replace(session, row, part, wish, now=context.clock())
        return reply(shown.named(part))


def delete_object(context: Context, namespace: str, name: str) -> Response:
    return _delete(context, namespace, MetadefObject, name, "delete_metadef_object")


def delete_property(context: Context, namespace: str, name: str) -> Response:
    return _delete(context, namespace, MetadefProperty, name, "remove_metadef_property")


def delete_tag(context: Context, namespace: str, name: str) -> Response:
    return _delete(context, namespace, MetadefTag, name, "delete_metadef_tag")


def _delete(context: Context, namespace: str, kind: parts.Kind, name: str, action: str) -> Response:
    with context.database.write() as session:
        parts.remove(session, metadefs.changeable(session, g.actor, namespace, action), kind, name)
    return nothing()


def delete_objects(context: Context, namespace: str) -> Response:
    return _clear(context, namespace, MetadefObject, "delete_metadef_namespace")


def delete_properties(context: Context, namespace: str) -> Response:
    return _clear(context, namespace, MetadefProperty, "delete_metadef_namespace")


def delete_tags(context: Context, namespace: str) -> Response:
    return _clear(context, namespace, MetadefTag, "delete_metadef_tags")


def _clear(context: Context, namespace: str, kind: parts.Kind, action: str) -> Response:
    with context.database.write() as session:
        parts.clear(session, metadefs.changeable(session, g.actor, namespace, action), kind)
    return nothing()


def resource_types(context: Context) -> Response:
    metadefs.demand_reading(g.actor, "list_metadef_resource_types")
    with context.database.read() as session:
        return reply({"resource_types": [shown.named(row) for row in parts.resource_types(session)]})


def associations(context: Context, namespace: str) -> Response:
    with context.database.read() as session:
        row = metadefs.find(session, g.actor, namespace)
        ties = parts.associations(session, [row])[row.id]
        return reply({"resource_type_associations": [shown.association(*tie) for tie in ties]})


def create_association(context: Context, namespace: str) -> Response:
    wish = fields.body(fields.ASSOCIATION, "resource_type_association")
    fields.addressable(wish["name"])
    with context.database.write() as session:
        row = metadefs.changeable(session, g.actor, namespace, "add_metadef_resource_type_association")
        return reply(shown.association(*parts.tie(session, row, wish, now=context.clock())), 201)


def delete_association(context: Context, namespace: str, name: str) -> Response:
    with context.database.write() as session:
        row = metadefs.changeable(session, g.actor, namespace, "remove_metadef_resource_type_association")
        parts.untie(session, row, name)
    return nothing()
