"""Lists in pages: `limit`, `marker`, `sort_key`, `sort_dir`, `fields`, `detail` in; `{things: […], next: …}` out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from appliance.http.ironic.errors import BadRequest
from appliance.services.belonging import is_uuid

MOST = 1000
DETAIL_SINCE = 43
PAGE_ARGUMENTS = frozenset({"limit", "marker", "sort_key", "sort_dir", "fields", "detail"})
_TRUE, _FALSE = {"1", "t", "true", "on", "y", "yes"}, {"0", "f", "false", "off", "n", "no"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a list is asked for. fields: the text as given; detail: None when nobody said."""

    limit: int
    marker: str | None
    sort_key: str
    descending: bool
    fields: str | None
    detail: bool | None


def parse(
    arguments: Mapping[str, str], minor: int, *, sortable: frozenset[str], detail_since: int = DETAIL_SINCE,
    by_uuid: bool = True,
) -> Page:  # fmt: skip
    """Raises BadRequest. sortable: attributes that may be a sort_key. by_uuid: whether a marker is a UUID."""
    fields, detail = arguments.get("fields"), boolean(arguments, "detail")
    if detail is not None and minor < detail_since:
        raise BadRequest(f"Invalid query parameter ?detail={detail} received.")
    if detail and fields is not None:
        raise BadRequest("Can't fetch a subset of fields with 'detail' set")
    marker = arguments.get("marker") or None
    if marker is not None and by_uuid and not is_uuid(marker):
        raise BadRequest(f"Expected UUID for marker: {marker[:64]}")
    key = arguments.get("sort_key") or "id"
    if key != "id" and key not in sortable:
        raise BadRequest(f"The sort_key value {key[:64]!r} is an invalid field for sorting")
    direction = arguments.get("sort_dir") or "asc"
    if direction not in ("asc", "desc"):
        raise BadRequest(f"Invalid sort direction: {direction[:32]}. Acceptable values are 'asc' or 'desc'")
    return Page(
        limit=_limit(arguments.get("limit")), marker=marker, sort_key=key,
        descending=direction == "desc", fields=fields, detail=detail,
    )  # fmt: skip


def _limit(text: str | None) -> int:
    if text is None:
        return MOST
    if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit() or len(text) > 10:
        raise BadRequest(f"Expected an integer for limit: {text[:32]!r}")
    if int(text) <= 0:
        raise BadRequest("Limit must be positive")
    return min(int(text), MOST)


def boolean(arguments: Mapping[str, str], name: str) -> bool | None:
    """A yes or no of the query string, in the words that the field accepts; None when it was not given."""
    text = arguments.get(name)
    if text is None:
        return None
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise BadRequest(f"Unrecognized value '{text[:32]}' for {name}, acceptable values are: true, false")


def only(arguments: Mapping[str, str], known: frozenset[str]) -> None:
    """Refuse what would be silently without effect."""
    nothing_but(arguments, known | PAGE_ARGUMENTS)


def fields_only(arguments: Mapping[str, str]) -> None:
    """As `only`, where one thing is shown and not a list."""
    nothing_but(arguments, frozenset({"fields"}))


def nothing_but(arguments: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(set(arguments) - known)
    if unknown:
        raise BadRequest(f"Unexpected arguments: {', '.join(name[:64] for name in unknown)}")


def collection(
    name: str, items: list[dict[str, Any]], page: Page, *, url: str, arguments: Mapping[str, str], after: str | None
) -> dict[str, Any]:
    """The body of a page. url: of the list; after: UUID of the item before the next page; None: there is none."""
    body: dict[str, Any] = {name: items}
    if after is not None:
        kept = {key: value for key, value in arguments.items() if key not in ("limit", "marker")}
        body["next"] = f"{url}?{urlencode({**kept, 'limit': page.limit, 'marker': after}, safe=',')}"
    return body
