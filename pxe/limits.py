"""Rates that keep hostile input cheap. Pure: time is an argument."""

from collections import OrderedDict
from collections.abc import Hashable


class KeyedRate:
    """A token bucket per key. Memory is bounded: the key that was quiet for longest is forgotten first."""

    def __init__(self, *, per_s: float, burst: float, keys: int = 4096) -> None:
        self._per_s = per_s
        self._burst = burst
        self._keys = keys
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def allows(self, key: Hashable, now: float) -> bool:
        tokens, at = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_s)
        is_allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if is_allowed else tokens, now)
        if len(self._buckets) > self._keys:
            self._buckets.popitem(last=False)
        return is_allowed
