"""Which attributes of a resource an answer holds: by the version spoken, by the caller's wish (`fields=`)."""

from collections.abc import Mapping, Sequence

from appliance.http.ironic import versions
from appliance.http.ironic.errors import BadRequest

FIELDS_SINCE = 8
_MOST = 200


class Fields:
    """The attributes of one kind of resource.

    since: attribute -> the version that brought it, in the order of the answer. brief: what a list shows when nobody
    asks for more.
    """

    def __init__(self, since: Mapping[str, int], *, brief: Sequence[str]) -> None:
        self.since = dict(since)
        self._brief = frozenset(brief)
        self._all: dict[int, tuple[str, ...]] = {}
        self._short: dict[int, tuple[str, ...]] = {}

    def every(self, minor: int) -> tuple[str, ...]:
        """What a request of this version may see."""
        known = self._all.get(minor)
        if known is None:
            known = self._all[minor] = tuple(name for name, since in self.since.items() if since <= minor)
        return known

    def brief(self, minor: int) -> tuple[str, ...]:
        known = self._short.get(minor)
        if known is None:
            known = self._short[minor] = tuple(name for name in self.every(minor) if name in self._brief)
        return known

    def chosen(self, minor: int, wanted: str | None, *, detail: bool) -> tuple[str, ...]:
        """What to show. wanted: the text of `fields=`. Raises BadRequest or NotAcceptable."""
        if wanted is None:
            return self.every(minor) if detail else self.brief(minor)
        names = parse(wanted)
        self.check(minor, names)
        asked = {*names, "links"} if "links" in self.since else set(names)
        return tuple(name for name in self.since if name in asked)

    def check(self, minor: int, names: Sequence[str]) -> None:
        """Refuse attributes that there are not (400), or not yet (406)."""
        versions.require(minor, FIELDS_SINCE)
        unknown = [name for name in names if name not in self.since]
        if unknown:
            raise BadRequest(f'Field(s) "{", ".join(name[:64] for name in unknown)}" are not valid')
        for name in names:
            versions.require(minor, self.since[name])


def parse(text: str) -> list[str]:
    """`uuid,name` as a list, each once."""
    names = [name.strip() for name in text.split(",")]
    if len(names) > _MOST or any(not name for name in names):
        raise BadRequest("fields is a list of attribute names with commas between them")
    return list(dict.fromkeys(names))
