"""/v1/conductors and /v1/shards: who does the work, and how the nodes are shared out."""

from datetime import datetime

from flask import Response

from appliance.domain.errors import NotFound
from appliance.http.ironic import hardware, pages, policy
from appliance.http.ironic.call import Body, Call, Route
from appliance.http.ironic.fields import Fields
from appliance.http.json_body import reply
from appliance.services import conductors
from appliance.services.conductors import Conductor

SINCE, SHARDS_SINCE = 49, 82
_BRIEF = ("hostname", "conductor_group", "alive", "links")
FIELDS = Fields(dict.fromkeys((*_BRIEF, "drivers", "created_at", "updated_at"), SINCE), brief=_BRIEF)
_SORTABLE = frozenset({"hostname", "alive", "created_at", "updated_at", "conductor_group"})


def routes() -> list[Route]:
    return [
        Route(method="GET", path="/conductors", since=SINCE, view=_list),
        Route(method="GET", path="/conductors/<host>", since=SINCE, view=_show),
        Route(method="GET", path="/shards", since=SHARDS_SINCE, view=_shards),
    ]


def _shown(call: Call, one: Conductor) -> Body:
    return {
        "hostname": one.host, "conductor_group": "", "alive": one.is_alive, "drivers": hardware.names(),
        "created_at": _time(one.started_at), "updated_at": _time(one.seen_at),
        "links": call.links("conductors", one.host),
    }  # fmt: skip


def _time(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


def _list(call: Call) -> Response:
    call.demand(policy.SYSTEM_READER, "baremetal:conductor:get")
    pages.only(call.arguments, frozenset())
    page = pages.parse(call.arguments, call.minor, sortable=_SORTABLE, by_uuid=False)
    names = FIELDS.chosen(call.minor, page.fields, detail=bool(page.detail))
    with call.context.database.read() as session:
        found = conductors.listing(session, now=call.context.clock())
    items = [_shown(call, one) for one in found]
    if page.sort_key != "id":
        items.sort(key=lambda item: str(item[page.sort_key]))
    if page.descending:
        items.reverse()
    items = _after(items, page.marker)[: page.limit]
    after = items[-1]["hostname"] if len(items) == page.limit else None
    chosen = [{name: item[name] for name in names} for item in items]
    url = f"{call.v1}/conductors"
    return reply(pages.collection("conductors", chosen, page, url=url, arguments=call.arguments, after=after))


def _after(items: list[Body], marker: str | None) -> list[Body]:
    if marker is None:
        return items
    places = [place for place, item in enumerate(items) if item["hostname"] == marker]
    if not places:
        raise NotFound(f"Conductor {marker[:255]} could not be found.")
    return items[places[0] + 1 :]


def _show(call: Call, host: str) -> Response:
    call.demand(policy.SYSTEM_READER, "baremetal:conductor:get")
    names = FIELDS.chosen(call.minor, call.arguments.get("fields"), detail=True)
    with call.context.database.read() as session:
        shown = _shown(call, conductors.fetch(session, host, now=call.context.clock()))
    return reply({name: shown[name] for name in names})


def _shards(call: Call) -> Response:
    call.demand(policy.SYSTEM_READER, "baremetal:shards:get")
    pages.only(call.arguments, frozenset())
    with call.context.database.read() as session:
        found = conductors.shards(session, policy.project_of(call.actor))
    return reply({"shards": [{"name": name, "count": count} for name, count in found]})
