"""Run the functional tests of an OpenStack client unmodified; one JSON line for each that ended, on standard output.

    python run_theirs.py PACKAGE|MODULE…        inside the clients' environment

Each line: {"test", "outcome": "passed" | "failed" | "skipped", "why", "seconds"}. What the tests print goes to stderr.
"""

import importlib
import json
import os
import pkgutil
import sys
import time
import traceback
import unittest
from collections.abc import Iterator
from types import TracebackType

Fault = tuple[type[BaseException], BaseException, TracebackType]
REPORT = os.fdopen(os.dup(1), "w", buffering=1)


class Reporter(unittest.TestResult):
    """A test is passed when nothing else was said about it."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, tuple[str, str]] = {}
        self._began = 0.0

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().startTest(test)
        self._began = time.monotonic()

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().stopTest(test)
        outcome, why = self._said.pop(test.id(), ("passed", ""))
        report(test.id(), outcome, why, time.monotonic() - self._began)

    def addError(self, test: unittest.TestCase, err: Fault) -> None:  # noqa: N802
        self._say(test, "failed", "".join(traceback.format_exception(*err)))

    addFailure = addError  # noqa: N815

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        self._say(test, "skipped", reason)

    def addExpectedFailure(self, test: unittest.TestCase, err: Fault) -> None:  # noqa: N802
        """As its authors expect it."""

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        self._say(test, "failed", "its authors expect it to fail")

    def _say(self, test: unittest.TestCase, outcome: str, why: str) -> None:
        if not isinstance(test, unittest.TestCase):  # what setUpClass or an import met: no test of its own starts
            report(str(test.id()), outcome, why, 0.0)
        elif self._said.get(test.id(), ("", ""))[0] != "failed":
            self._said[test.id()] = (outcome, why)


def report(test: str, outcome: str, why: str, seconds: float) -> None:
    print(json.dumps({"test": test, "outcome": outcome, "why": why[-6000:], "seconds": round(seconds, 2)}), file=REPORT)


def modules(name: str) -> Iterator[str]:
    root = importlib.import_module(name)
    if not hasattr(root, "__path__"):
        yield name
    for found in pkgutil.walk_packages(getattr(root, "__path__", ()), prefix=f"{name}."):
        if found.name.rpartition(".")[2].startswith("test_"):
            yield found.name


def main(names: list[str]) -> None:
    os.dup2(2, 1)
    loader = unittest.TestLoader()
    wanted = [one for name in names for one in modules(name)]
    unittest.TestSuite(loader.loadTestsFromName(name) for name in wanted).run(Reporter())


if __name__ == "__main__":
    main(sys.argv[1:])
