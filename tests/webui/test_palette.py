"""The colours can be told apart: every pair that the style sheet uses, in both schemes (WCAG 2.2, 1.4.3 and 1.4.11)."""

import re
from importlib.resources import files

import pytest

CSS = (files("webui") / "static" / "console.css").read_text()
PAIRS = {
    name: colours for name, *colours in re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", CSS)
}
STATES = ("busy", "active", "free", "failed", "hold", "new", "managed")
TEXT = [
    *((text, ground) for text in ("text", "muted", "link") for ground in ("page", "soft")),
    *((state, f"{state}-soft") for state in STATES),
    *((state, ground) for state in STATES for ground in ("page", "soft")),
    *((text, f"{state}-soft") for text in ("text", "muted", "link") for state in ("failed", "busy", "hold", "new")),
    ("on-solid", "solid"),
    ("page", "failed"),
]
SHAPES = [
    *((name, "page") for name in PAIRS if name.startswith("phase-")),
    ("edge", "page"),
    ("edge", "soft"),
    ("link", "page"),
    ("link", "soft"),
]


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_measure_is_right():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("pair", TEXT, ids="-on-".join)
def test_text_can_be_read(pair, scheme):
    text, ground = pair
    assert contrast(PAIRS[text][scheme], PAIRS[ground][scheme]) >= 4.5


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("pair", SHAPES, ids="-on-".join)
def test_bars_borders_and_focus_can_be_seen(pair, scheme):
    shape, ground = pair
    assert contrast(PAIRS[shape][scheme], PAIRS[ground][scheme]) >= 3


def test_no_colour_is_named_outside_of_the_palette():
    rules = CSS.partition("\n}\n")[2]
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(", rules)
