"""Every key of the configuration has an effect: some module reads it from its section."""

import ast
from dataclasses import fields
from pathlib import Path

import pytest

from appliance.config import Config
from appliance.domain import node_steps
from appliance.flows import fake
from appliance.services import setup

TREE = Path(__file__).parents[2] / "appliance"
SECTIONS = {section.name: section.type for section in fields(Config) if section.name != "state"}
# Read through Config.database_url, which is in config.py itself.
ELSEWHERE = {("database", "url"): ".database_url"}
KEYS = [(section, key.name) for section, kind in SECTIONS.items() for key in fields(kind)]
SOURCES = {path: path.read_text() for path in TREE.rglob("*.py") if path.name != "config.py"}


def read_in(source: str) -> set[tuple[str, str]]:
    """(section, key) of each `….section.key`, and of `name.key` where the file says `name = ….section`."""
    tree = ast.parse(source)
    section_of = {
        target.id: node.value.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute) and node.value.attr in SECTIONS
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            match node.value:
                case ast.Attribute(attr=section):
                    found.add((section, node.attr))
                case ast.Name(id=name) if name in section_of:
                    found.add((section_of[name], node.attr))
    return found


READ = set().union(*(read_in(text) for text in SOURCES.values()))


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_somebody_reads_it(section, key):
    if section == "fake":  # read as a whole, by kind of delay: each must be one that some act takes
        acts = {work.delay for work in fake.WORKS.values()} | {interface for interface, _step in node_steps.FAKE}
        assert any(".fake.delays" in text for text in SOURCES.values())
        assert key in acts
        return
    if wanted := ELSEWHERE.get((section, key)):
        assert any(wanted in text for text in SOURCES.values())
        return
    assert (section, key) in READ


def test_the_search_is_not_fooled_by_another_thing_of_the_same_name():
    found = read_in("a = context.config.netboot\nb = a.domain\nc = config.api.listen\nd = job.keep")
    assert {("netboot", "domain"), ("api", "listen")} <= found
    assert "keep" not in {key for _section, key in found}


def test_the_first_file_shows_every_key_with_its_default(tmp_path):
    text = setup.configuration_text(listen=None, names=(), database_url=None)
    said = "\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines()[3:])
    said = said.replace("url = ", "# url = ")  # None cannot be written down
    assert Config.parse(tmp_path, said, tmp_path / "rackwright.toml") == Config(state=tmp_path)
    for section, kind in SECTIONS.items():
        for key in fields(kind):
            assert f"{key.metadata['key'] or key.name} = " in text, (section, key.name)
