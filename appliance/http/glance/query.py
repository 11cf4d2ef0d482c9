"""The query string of a list: filters of every kind, order, page. Parsed here into services.image_search.Query."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from appliance.domain.errors import Invalid
from appliance.domain.images import MemberStatus, Visibility
from appliance.services.image_catalog import MOST_PROPERTIES, MOST_TAGS
from appliance.services.image_search import COMPARE, Filter, Query

MOST, USUAL = 1000, 25
SORTABLE = {"name": "name", "status": "status", "container_format": "container_format", "disk_format": "disk_format",
            "size": "size_bytes", "id": "uuid", "created_at": "created_at", "updated_at": "updated_at"}  # fmt: skip
_TEXTS = {"id": "uuid", "name": "name", "status": "status", "container_format": "container_format",
          "disk_format": "disk_format"}  # fmt: skip
_EXACT = {"owner": "owner", "checksum": "md5", "os_hash_value": "sha512"}
_NUMBERS = {"size": "size_bytes", "virtual_size": "virtual_size_bytes", "min_disk": "min_disk", "min_ram": "min_ram"}
_TRUTHS = {"protected": "is_protected", "os_hidden": "is_hidden"}
_TIMES = ("created_at", "updated_at")
_PAGE = ("limit", "marker", "member_status", "tag", "sort", "sort_key", "sort_dir", "visibility")


def parse(given: MultiDict[str, str]) -> Query:
    """Raises Invalid in the wire's words."""
    if "changes-since" in given:
        raise Invalid('The "changes-since" filter is no longer available on v2.')
    filters, properties = [], {}
    for name in given:
        if name not in _PAGE:
            found = _filter(name, given.getlist(name)[-1])
            if found is None:
                properties[name] = given.getlist(name)[-1]
            else:
                filters.append(found)
    if "os_hidden" not in given:
        filters.append(Filter(column="is_hidden", how="eq", value=False))
    tags = [tag.strip() for tag in given.getlist("tag")]
    if len(properties) > MOST_PROPERTIES or len(tags) > MOST_TAGS:
        raise Invalid(f"an image has at most {MOST_PROPERTIES} properties and {MOST_TAGS} tags to filter by")
    return Query(
        filters=filters, properties=properties, tags=tags,
        visibility=_word(given, "visibility", [*Visibility, "all"], "Invalid visibility value"),
        member_status=_word(given, "member_status", [*MemberStatus, "all"], "Invalid status") or "accepted",
        sort=_order(given), marker=given.get("marker"), limit=limit(given),
    )  # fmt: skip


def limit(given: MultiDict[str, str]) -> int:
    text = given.get("limit")
    if text is None:
        return USUAL
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise Invalid("limit param must be an integer")
    if text.startswith("-"):
        raise Invalid("limit param must be positive")
    return min(MOST, int(text))


def _filter(name: str, value: str) -> Filter | None:
    """None: it is a filter on a property."""
    stem, _, bound = name.rpartition("_")
    found: Filter | None = None
    if bound in ("min", "max") and stem in _NUMBERS:
        found = Filter(column=_NUMBERS[stem], how="gte" if bound == "min" else "lte", value=_number(value))
    elif name in _NUMBERS:
        found = Filter(column=_NUMBERS[name], how="eq", value=_number(value))
    elif name in _TRUTHS:
        found = Filter(column=_TRUTHS[name], how="eq", value=_truth(name, value))
    elif name in _TIMES:
        found = _time(name, value)
    elif name in _TEXTS:
        found = _text(name, value)
    elif name == "os_hash_algo":  # of all that have one, the same
        found = Filter(column="sha512", how="neq" if value == "sha512" else "eq", value="")
    elif name in _EXACT:
        found = Filter(column=_EXACT[name], how="eq", value=value)
    return found


def _number(value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise Invalid("Unable to filter on a range with a non-numeric value.")
    return int(value)


def _truth(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise Invalid(f"Invalid value '{value[:60]}' for '{name}' filter. Valid values are 'true' or 'false'.")
    return value.lower() == "true"


def _time(name: str, value: str) -> Filter:
    how, _, text = value.partition(":")
    if how not in COMPARE:
        how, text = "eq", value
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as cause:
        raise Invalid(f'Bad "{name}" query filter format. Use ISO 8601 DateTime notation.') from cause
    if how == "in":
        raise Invalid("Unable to filter using the specified operator.")
    return Filter(column=name, how=how, value=at)


def _text(name: str, value: str) -> Filter:
    """`in:a,"b,c"`, `eq:a` or the text itself; a colon after any other word belongs to the text."""
    column, (how, colon, text) = _TEXTS[name], value.partition(":")
    if colon and how == "in":
        return Filter(column=column, how="in", value=[_known(name, item) for item in _quoted(text)])
    if colon and how == "eq":
        return Filter(column=column, how="eq", value=_known(name, text))
    if colon and how in COMPARE:
        raise Invalid(f"Unable to filter by unknown operator '{how}'.")
    return Filter(column=column, how="eq", value=_known(name, value))


def _known(name: str, value: str) -> str:
    return value.lower() if name == "id" else value


def _quoted(text: str) -> Sequence[str]:
    """Values between commas; one in double quotes may hold commas, and a quote after a backslash."""
    found: list[str] = []
    item, is_open, is_escaped = "", False, False
    for letter in text:
        if is_escaped:
            item, is_escaped = item + letter, False
        elif letter == "\\" and is_open:
            is_escaped = True
        elif letter == '"':
            is_open = not is_open
        elif letter == "," and not is_open:
            found, item = [*found, item], ""
        else:
            item += letter
    if is_open or is_escaped:
        raise Invalid("Invalid filter value: a double quote is not closed")
    return [*found, item]


def _word(given: MultiDict[str, str], name: str, words: Sequence[str], problem: str) -> str | None:
    value = given.get(name)
    if value is not None and value not in words:
        raise Invalid(f"{problem}: {value[:60]}")
    return value


def _order(given: MultiDict[str, str]) -> Sequence[tuple[str, bool]]:
    if "sort" in given:
        if "sort_key" in given or "sort_dir" in given:
            raise Invalid("Old and new sorting syntax cannot be combined")
        pairs = [item.partition(":") for item in given["sort"].strip().split(",")]
        return _distinct([(key.strip(), way.strip() or "desc") for key, _, way in pairs])
    keys, ways = given.getlist("sort_key") or ["created_at"], given.getlist("sort_dir") or ["desc"]
    if len(ways) not in (1, len(keys)):
        raise Invalid("Number of sort dirs does not match the number of sort keys")
    ways = ways * len(keys) if len(ways) == 1 else ways
    return _distinct([(key.strip(), way.strip()) for key, way in zip(keys, ways, strict=True)])


def _distinct(pairs: Sequence[tuple[str, str]]) -> Sequence[tuple[str, bool]]:
    """In columns; of a key that is named twice the first counts."""
    order: dict[str, bool] = {}
    for key, way in pairs:
        if key not in SORTABLE:
            raise Invalid(f"Invalid sort key: {key[:60]}. It must be one of the following: {', '.join(SORTABLE)}.")
        if way not in ("asc", "desc"):
            raise Invalid(f"Invalid sort direction: {way[:60]}")
        order.setdefault(SORTABLE[key], way == "desc")
    return list(order.items())


def link(path: str, given: MultiDict[str, str], marker: str | None = None) -> str:
    """The address of the first page, or of the one after marker, with the same filters."""
    pairs: list[tuple[str, Any]] = [(key, value) for key, value in given.items(multi=True) if key != "marker"]
    query = urlencode([*pairs, ("marker", marker)] if marker else pairs)
    return f"{path}?{query}" if query else path
