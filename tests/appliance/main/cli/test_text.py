import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from appliance.main.cli.text import formula_proof, inert, inert_json, natural_key


@given(st.text())
def test_nothing_that_acts_on_a_terminal_survives(text: str) -> None:
    shown = inert(text)
    assert all(unicodedata.category(ch) not in {"Cc", "Cs", "Zl", "Zp"} for ch in shown)
    assert not any(
        unicodedata.bidirectional(ch) in {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI"} for ch in shown
    )


@given(st.text(alphabet=st.characters(categories=("Lu", "Ll", "Nd", "Po", "Zs"))))
def test_ordinary_text_stays(text: str) -> None:
    assert inert(text) == text


def test_lines_stay_when_asked() -> None:
    assert inert("a\tb\n\x1b[2J\x9b", keep_lines=True) == "a\tb\n\\x1b[2J\\x9b"


@given(st.recursive(st.text() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_keeps_its_meaning(document: object) -> None:
    text = inert_json(json.dumps(document, ensure_ascii=False))
    assert json.loads(text) == document
    assert inert(text) == text


@given(st.text(max_size=8))
def test_no_cell_is_a_formula(cell: str) -> None:
    shown = formula_proof(cell)
    if shown[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        assert shown == cell
        float(cell.replace(",", "").replace(".", "") or "x")  # a number, and nothing else


def test_numbers_stay_numbers() -> None:
    assert [formula_proof(cell) for cell in ("-5", "+1.5", "=1+1", "-cmd", "@x", "-1+cmd")] == [
        "-5", "+1.5", "'=1+1", "'-cmd", "'@x", "'-1+cmd",
    ]  # fmt: skip


def test_names_sort_as_people_count() -> None:
    assert sorted(["r1-n10", "r1-n2", "R1-n1"], key=natural_key) == ["R1-n1", "r1-n2", "r1-n10"]


@given(st.lists(st.text()))
def test_any_names_can_be_sorted(names: list[str]) -> None:
    assert len(sorted(names, key=natural_key)) == len(names)
