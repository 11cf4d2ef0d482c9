"""How data reaches stdout: one item or a list, in each of the formats of `-o`. Nothing else is written to stdout.

A terminal gets a fitted table; a pipe gets tab-separated lines with everything in them. JSON documents carry `format`,
such as `rackwright.node-list/1`: the number changes when a field changes its meaning or goes away.
"""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from appliance.main.cli.columns import Column, Kind, dig
from appliance.main.cli.exits import usage
from appliance.main.cli.text import formula_proof, has_unsafe, inert, inert_json, natural_key

Json = dict[str, Any]

EMPTY: tuple[object, ...] = (None, "", [], {})
"""Values that a table shows as `-` and a CSV as an empty cell."""

FORMATS = ("table", "wide", "plain", "json", "jsonl", "yaml", "csv", "name")


@dataclass(slots=True, kw_only=True)
class Style:
    """What the options said about output. chosen: a format, or None for table on a terminal and plain in a pipe."""

    chosen: str | None = None
    fields: str | None = None
    sort: str | None = None
    headers: bool = True

    @property
    def format(self) -> str:
        """The format in force."""
        return self.chosen or ("table" if sys.stdout.isatty() else "plain")

    @property
    def is_json(self) -> bool:
        """Whether errors should be JSON too."""
        return self.chosen in {"json", "jsonl"}


def show_list(style: Style, kind: Kind, items: Iterable[Json]) -> int:
    """Write a list; gives the number of items. Formats that allow it are written while pages arrive."""
    rows: Iterator[Json] = iter(items)
    first = next(rows, None)
    if first is not None:
        rows = chain([first], rows)
    if style.sort:
        rows = iter(_sorted(list(rows), kind, style.sort, first))
    columns = _columns(style, kind, first)
    counted = _Counting(rows)
    match style.format:
        case "json" | "yaml" as form:
            document = {
                "format": f"rackwright.{kind.name}-list/1",
                "items": [_picked(style, columns, i) for i in counted],
            }
            _document(form, document)
        case "jsonl":
            for item in counted:
                _line(inert_json(json.dumps(_picked(style, columns, item), ensure_ascii=False)))
        case "name":
            for item in counted:
                _line(inert(_name(kind, item)))
        case "csv":
            _csv(style, columns, counted)
        case "plain":
            _plain(style, columns, counted)
        case _:
            _table(style, kind, columns, list(counted))
    return counted.number


def show_one(style: Style, kind: Kind, item: Json) -> None:
    """Write one thing: all its fields, one a line, or a document."""
    match style.format:
        case "json" | "yaml" | "jsonl" as form:
            columns = _columns(style, kind, item)
            body = _picked(style, columns, item)
            _document(form, body if style.fields else {"format": f"rackwright.{kind.name}/1", **body})
        case "name":
            _line(inert(_name(kind, item)))
        case "csv":
            _csv(style, _columns(style, kind, item) or _all_columns(item), [item])
        case form:
            columns = _columns(style, kind, item) if style.fields else _all_columns(item)
            pairs = [(column.name, cell(_value(column, item))) for column in columns]
            if form == "plain":
                for name, text in pairs:
                    _line(f"{name}\t{inert(text)}")
            else:
                from appliance.main.cli.table import print_pairs

                print_pairs(pairs)


def cell(value: object) -> str:
    """A value as the text of a cell, before it is made inert."""
    match value:
        case _ if value in EMPTY:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.3f}".rstrip("0").rstrip(".")
        case list() if all(isinstance(entry, str | int) for entry in value):
            return ",".join(str(entry) for entry in value)
        case list() | dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def write_json(document: object) -> None:
    """A document as the appliance sent it, indented."""
    _line(inert_json(json.dumps(document, ensure_ascii=False, indent=2)))


class _Counting:
    """An iterator that knows how many went through."""

    def __init__(self, rows: Iterator[Json]) -> None:
        self._rows = rows
        self.number = 0

    def __iter__(self) -> Iterator[Json]:
        for row in self._rows:
            self.number += 1
            yield row


def _columns(style: Style, kind: Kind, sample: Json | None) -> list[Column]:
    if not style.fields:
        wide = style.format in {"wide", "csv"}
        own = [column for column in kind.columns if wide or not column.wide]
        return own or (_all_columns(sample) if sample else [])
    named = {column.name: column for column in kind.columns}
    known = list(dict.fromkeys([*named, *kind.fields, *(_paths(sample) if sample else ())]))
    chosen = []
    for asked in (piece.strip() for piece in style.fields.split(",")):
        if not asked:
            continue
        if known and asked not in known:
            raise _unknown_field(asked, known)
        chosen.append(named.get(asked) or Column(name=asked, source=asked, drop=0))
    if not chosen:
        raise usage("--fields names no field", next_step=f"one or more of {', '.join(known[:12])}")
    return chosen


def _unknown_field(asked: str, known: Sequence[str]) -> Exception:
    from difflib import get_close_matches

    near = get_close_matches(asked, known, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(repr(word) for word in near)}?" if near else f"one of {', '.join(known[:16])}"
    return usage(f"there is no field {asked!r}", next_step=hint)


def _paths(item: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    for key, value in item.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _paths(value, f"{prefix}{key}.")


def _all_columns(item: Json) -> list[Column]:
    found: list[Column] = []
    for key, value in item.items():
        if isinstance(value, Mapping) and value and all(not isinstance(inner, dict | list) for inner in value.values()):
            found += [Column(name=f"{key}.{inner}", source=f"{key}.{inner}") for inner in value]
        else:
            found.append(Column(name=key, source=key))
    return found


def _value(column: Column, item: Json) -> object:
    if not isinstance(column.source, str):
        return column.source(item)
    return item[column.source] if column.source in item else dig(item, column.source)


def _picked(style: Style, columns: Sequence[Column], item: Json) -> Json:
    return {column.name: _value(column, item) for column in columns} if style.fields else item


def _sorted(items: list[Json], kind: Kind, sort: str, sample: Json | None) -> list[Json]:
    descending, name = sort.startswith("-"), sort.lstrip("+-")
    column = _columns(Style(fields=name, chosen="wide"), kind, sample)[0]

    def key(item: Json) -> tuple[bool, float, list[tuple[int, int, str]]]:
        value = _value(column, item)
        number = float(value) if isinstance(value, int | float) else 0.0
        return value is None, number, natural_key("" if value is None else str(value))

    return sorted(items, key=key, reverse=descending)


def _name(kind: Kind, item: Json) -> str:
    return next((str(item[key]) for key in kind.identity if item.get(key) is not None), "-")


def _document(form: str, document: Json) -> None:
    if form == "yaml":
        import yaml

        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
        if has_unsafe(text):  # plain ASCII has the same meaning, with everything else escaped
            text = yaml.safe_dump(document, sort_keys=False, allow_unicode=False, width=1000)
        sys.stdout.write(text)
    elif form == "jsonl":
        _line(inert_json(json.dumps(document, ensure_ascii=False)))
    else:
        write_json(document)


def _csv(style: Style, columns: Sequence[Column], items: Iterable[Json]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if style.headers:
        writer.writerow([column.name for column in columns])
    for item in items:
        values = [_value(column, item) for column in columns]
        writer.writerow(["" if value in EMPTY else formula_proof(inert(cell(value))) for value in values])


def _plain(style: Style, columns: Sequence[Column], items: Iterable[Json]) -> None:
    if style.headers and columns:
        _line("\t".join(column.name.upper() for column in columns))
    for item in items:
        _line("\t".join(inert(cell(_value(column, item))) for column in columns))


def _table(style: Style, kind: Kind, columns: Sequence[Column], items: Sequence[Json]) -> None:
    from appliance.main.cli.table import print_table

    if not items:
        if sys.stdout.isatty():
            print(kind.empty or f"no {kind.plural}", file=sys.stderr)
        return
    rows = [[inert(cell(_value(column, item))) for column in columns] for item in items]
    print_table(columns, rows, headers=style.headers, keep_all=bool(style.fields), is_wide=style.format == "wide")


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")
