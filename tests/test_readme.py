"""The README says what the program does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.domain import lifecycle

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_drawing_is_the_table_that_the_program_runs_on():
    drawn = re.search(r"<!-- lifecycle -->\n```mermaid\n(.*?)\n```\n<!-- /lifecycle -->", README, re.DOTALL)[1]
    assert drawn == lifecycle.draw().rstrip()


@pytest.mark.parametrize("line", sorted(set(re.findall(r"rackwright ((?:[a-z][a-z-]+ ){1,2})", README))))
def test_every_command_that_it_names_exists(line):
    words = line.split()
    done = subprocess.run(
        [sys.executable, "-m", "appliance", *words, "--help"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_make_targets_that_it_names_exist():
    targets = set(re.findall(r"^([a-z-]+):", (Path(__file__).parent.parent / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"[`#] ?make ([a-z-]+)", README)) <= targets
