"""Values from firmware and devices are written by strangers: cap and clean them before they travel."""

import unicodedata

MAX_TEXT = 128
# What vendors leave where a serial number should be.
_PLACEHOLDERS = frozenset(
    {
        "0",
        "00000000",
        "0123456789",
        "default string",
        "empty",
        "n/a",
        "no asset information",
        "no dimm",
        "none",
        "not available",
        "not specified",
        "not provided",
        "o.e.m.",
        "system serial number",
        "to be filled by o.e.m.",
        "unknown",
    }
)


def text(value: str | bytes | None, *, limit: int = MAX_TEXT) -> str | None:
    """One line without control or formatting characters (category C), blanks folded; None if nothing is left."""
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    kept = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in value[: 8 * limit])
    return " ".join(kept.split())[:limit].strip() or None


def named(value: str | bytes | None) -> str | None:
    """Like text, and None for the usual placeholders."""
    cleaned = text(value)
    return None if cleaned is None or cleaned.lower() in _PLACEHOLDERS else cleaned


def number(value: str | None, *, low: int = 0, high: int = 2**63 - 1) -> int | None:
    """A decimal number within bounds, else None."""
    digits = (value or "").strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > 20:
        return None
    found = int(digits)
    return found if low <= found <= high else None
