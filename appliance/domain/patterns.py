r"""Regular expressions from outside, matched in bounded time: no back-tracking, so no pattern can take long.

A pattern is turned into a small automaton, and all of its states advance together over the text (Thompson 1968): the
work is at most MAX_STATES times MAX_TEXT. Taken: literals, `.`, classes, `\d \w \s` and their opposites, groups, `|`,
`* + ? {m,n}` (lazy ones answer alike), `^ $ \b`, and `(?i)` in front. Back-references and look-arounds are refused.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.domain.errors import Invalid

MAX_PATTERN = 256
MAX_STATES = 1000
MAX_TEXT = 4096
_MAX_REPEAT = 100
_MAX_NESTING = 20

Test = Callable[[str], bool]
_CLASSES: dict[str, Test] = {
    "d": str.isdecimal,
    "w": lambda c: c.isalnum() or c == "_",
    "s": str.isspace,
    "D": lambda c: not c.isdecimal(),
    "W": lambda c: not (c.isalnum() or c == "_"),
    "S": lambda c: not c.isspace(),
}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}


@dataclass(slots=True)
class _State:
    """test: the character that leads to `out`; without one, an empty step to each of `outs`, if `at` allows it."""

    test: Test | None = None
    at: str = ""
    outs: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of the automaton between two states."""

    start: int
    end: int


class Pattern:
    """A compiled pattern. Raises Invalid when it is too long, too rich or not a pattern."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_PATTERN:
            raise Invalid(f"a regular expression has at most {MAX_PATTERN} characters")
        reader = _Reader(text)
        part = reader.read()
        self._states, self._start, self._end = reader.states, part.start, part.end
        self._fold = reader.fold

    def found_in(self, text: str) -> bool:
        """Does any part of the text fit?"""
        return self._run(text, anywhere=True)

    def fits_from_start(self, text: str) -> bool:
        """Does the whole text fit?"""
        return self._run(text, anywhere=False)

    def _run(self, text: str, *, anywhere: bool) -> bool:
        text = text[:MAX_TEXT]
        text = text.lower() if self._fold else text
        now = self._close({self._start}, text, 0)
        for position, character in enumerate(text):
            if anywhere and self._end in now:
                return True
            step = {
                state.outs[0] for state in map(self._states.__getitem__, now) if state.test and state.test(character)
            }
            if anywhere:
                step.add(self._start)
            elif not step:
                return False
            now = self._close(step, text, position + 1)
        return self._end in now

    def _close(self, states: set[int], text: str, position: int) -> set[int]:
        """The states and all that empty steps reach from them."""
        seen, ahead = set(states), list(states)
        while ahead:
            state = self._states[ahead.pop()]
            if state.test is None and _holds(state.at, text, position):
                fresh = [number for number in state.outs if number not in seen]
                seen.update(fresh)
                ahead += fresh
        return seen


def _holds(at: str, text: str, position: int) -> bool:
    if at == "^":
        return position == 0
    if at == "$":
        return position == len(text)
    if at in {"b", "B"}:
        before = position > 0 and _CLASSES["w"](text[position - 1])
        after = position < len(text) and _CLASSES["w"](text[position])
        return (before != after) == (at == "b")
    return True


class _Reader:
    """Reads a pattern by recursive descent and builds the automaton on the way."""

    def __init__(self, text: str) -> None:
        self.fold = text.startswith("(?i)")
        self._text = text[4:] if self.fold else text
        self._at = 0
        self._depth = 0
        self.states: list[_State] = []

    def read(self) -> _Part:
        part = self._either()
        if self._at < len(self._text):
            raise _bad(f"an unmatched {self._text[self._at]!r}")
        return part

    def _new(self, test: Test | None = None, at: str = "", outs: list[int] | None = None) -> int:
        if len(self.states) >= MAX_STATES:
            raise _bad(f"more than {MAX_STATES} states")
        self.states.append(_State(test, at, outs or []))
        return len(self.states) - 1

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        if self._at >= len(self._text):
            raise _bad("it ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _join(self, first: _Part, second: _Part) -> _Part:
        self.states[first.end].outs.append(second.start)
        return _Part(first.start, second.end)

    def _empty(self, at: str = "") -> _Part:
        end = self._new()
        return _Part(self._new(at=at, outs=[end]), end)

    def _either(self) -> _Part:
        parts = [self._sequence()]
        while self._peek() == "|":
            self._take()
            parts.append(self._sequence())
        if len(parts) == 1:
            return parts[0]
        end = self._new()
        for part in parts:
            self.states[part.end].outs.append(end)
        return _Part(self._new(outs=[part.start for part in parts]), end)

    def _sequence(self) -> _Part:
        whole = self._empty()
        while self._peek() not in {"", "|", ")"}:
            whole = self._join(whole, self._repeated())
        return whole

    def _repeated(self) -> _Part:
        begin = self._at
        part = self._atom()
        after = self._at
        low, high = self._times()
        if (low, high) == (1, 1):
            return part
        if self._peek() in {"*", "+"} or (self._peek() == "{" and self._braces() is not None):
            raise _bad("a repeat of a repeat")
        return self._repeat(begin, after, low, high)

    def _repeat(self, begin: int, after: int, low: int, high: int | None) -> _Part:
        """The atom between two places of the text, read anew for each copy."""
        resume = self._at
        whole = self._empty()
        for _ in range(low):
            whole = self._join(whole, self._copy(begin))
        if high is None:
            whole = self._join(whole, self._star(self._copy(begin)))
        for _ in range((high or 0) - low):
            whole = self._join(whole, self._maybe(self._copy(begin)))
        assert self._at in {after, resume}
        self._at = resume
        return whole

    def _copy(self, begin: int) -> _Part:
        self._at = begin
        return self._atom()

    def _star(self, part: _Part) -> _Part:
        end = self._new()
        loop = self._new(outs=[part.start, end])
        self.states[part.end].outs.append(loop)
        return _Part(loop, end)

    def _maybe(self, part: _Part) -> _Part:
        end = self._new()
        self.states[part.end].outs.append(end)
        return _Part(self._new(outs=[part.start, end]), end)

    def _times(self) -> tuple[int, int | None]:
        found = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self._peek())
        if found is not None:
            self._take()
        elif self._peek() == "{":
            found = self._braces()
        if found is None:
            return 1, 1
        if self._peek() == "?":
            self._take()
        return found

    def _braces(self) -> tuple[int, int | None] | None:
        """`{m}`, `{m,}`, `{,n}` or `{m,n}`; anything else in braces stands for itself."""
        inside, closed, _rest = self._text[self._at + 1 :].partition("}")
        low, comma, high = inside.partition(",")
        is_numeric = all(part.isascii() and part.isdigit() for part in (low, high) if part)
        if not closed or not (low or high) or not is_numeric:
            return None
        least, most = int((low or "0")[:4]), int(high[:4]) if high else None
        if max(least, most or 0) > _MAX_REPEAT or (most is not None and most < least):
            raise _bad(f"a repeat is at most {_MAX_REPEAT} times, the lower bound first")
        self._at += len(inside) + 2
        return least, most if comma else least

    def _atom(self) -> _Part:
        character = self._take()
        if character == "(":
            return self._group()
        if character == "[":
            return self._leaf(self._class())
        if character == ".":
            return self._leaf(lambda c: c != "\n")
        if character in {"^", "$"}:
            return self._empty(character)
        if character == "\\":
            return self._escape()
        if character in {"*", "+", "?"}:
            raise _bad("nothing to repeat")
        return self._leaf(self._literal(character))

    def _leaf(self, test: Test) -> _Part:
        end = self._new()
        return _Part(self._new(test=test, outs=[end]), end)

    def _literal(self, character: str) -> Test:
        wanted = character.lower() if self.fold else character
        return lambda c: c == wanted

    def _group(self) -> _Part:
        self._depth += 1
        if self._depth > _MAX_NESTING:
            raise _bad(f"groups nested more than {_MAX_NESTING} deep")
        if self._peek() == "?":
            self._take()
            if self._take() != ":":
                raise _bad("of the (?…) groups only (?:…)")
        part = self._either()
        if self._take() != ")":
            raise _bad("a group that is not closed")
        self._depth -= 1
        return part

    def _escape(self) -> _Part:
        character = self._take()
        if character in {"b", "B"}:
            return self._empty(character)
        if character in _CLASSES:
            return self._leaf(_CLASSES[character])
        return self._leaf(self._literal(self._plain(character)))

    def _plain(self, character: str) -> str:
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character.isalnum():
            raise _bad(f"\\{character}, which is not offered here")
        return character

    def _class(self) -> Test:
        is_negated = self._peek() == "^"
        if is_negated:
            self._take()
        tests: list[Test] = []
        while self._peek() != "]" or not tests:
            tests.append(self._member())
        self._take()
        return (lambda c: not any(test(c) for test in tests)) if is_negated else lambda c: any(t(c) for t in tests)

    def _member(self) -> Test:
        character = self._take()
        if character == "\\":
            character = self._take()
            if character in _CLASSES:
                return _CLASSES[character]
            character = self._plain(character)
        if self._peek() != "-" or self._text[self._at + 1 : self._at + 2] in {"]", ""}:
            return self._literal(character)
        self._take()
        last = self._take()
        last = self._plain(self._take()) if last == "\\" else last
        if last < character:
            raise _bad("a range that runs backwards")
        if self.fold:
            return lambda c: character <= c <= last or character <= c.upper() <= last
        return lambda c: character <= c <= last


def _bad(what: str) -> Invalid:
    return Invalid(f"not a regular expression that can be used here: {what}")
