"""Text from machines made harmless for terminals and spreadsheets.

Asset tags, host names, SEL lines and console output come from machines that we do not trust. A terminal acts on C0 and
C1 control characters and reorders on bidi marks; a spreadsheet runs cells that start like a formula.
"""

import re

# C0, DEL, C1; soft hyphen; Arabic letter mark; zero-width and bidi marks, line and paragraph separators; bidi
# embeddings, overrides and isolates; byte order mark; interlinear annotations; tag characters; lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
_UNSAFE_BUT_LINES = re.compile(_UNSAFE.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
_FORMULA = re.compile(r"[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?\d[\d.,]*(e[+-]?\d+)?\Z", re.IGNORECASE)


def inert(text: str, *, keep_lines: bool = False) -> str:
    r"""Each character that a terminal could act on becomes a visible escape, such as `\x1b`.

    keep_lines: newline and tab stay themselves.
    """
    return (_UNSAFE_BUT_LINES if keep_lines else _UNSAFE).sub(_visible, text)


def inert_json(document: str) -> str:
    """A JSON text with the same meaning, in which no character can act on a terminal."""
    return _UNSAFE_BUT_LINES.sub(_json_escape, document)


def has_unsafe(document: str) -> bool:
    """Whether a text of several lines holds a character that a terminal could act on."""
    return _UNSAFE_BUT_LINES.search(document) is not None


def formula_proof(cell: str) -> str:
    """A CSV cell that no spreadsheet takes for a formula: a leading apostrophe before `= + - @`; numbers stay."""
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.match(cell) else cell


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Sort key under which `r1-n10` comes after `r1-n2`."""
    return [
        (0, int(piece), "") if piece.isascii() and piece.isdigit() else (1, 0, piece)
        for piece in re.split(r"([0-9]{1,18})", text.lower())
        if piece
    ]


def _visible(match: re.Match[str]) -> str:
    point = ord(match.group())
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def _json_escape(match: re.Match[str]) -> str:
    point = ord(match.group())
    if point < 0x10000:
        return f"\\u{point:04x}"
    point -= 0x10000
    return f"\\u{0xD800 + (point >> 10):04x}\\u{0xDC00 + (point & 0x3FF):04x}"
