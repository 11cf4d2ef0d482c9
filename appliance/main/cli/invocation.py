"""One run of the command: what the shared options said, the client made on first need, prompts and notes.

stdout belongs to `output`; everything here that speaks, speaks on stderr.
"""

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.main.cli.columns import Kind
from appliance.main.cli.exits import Exit, Failure, usage
from appliance.main.cli.output import Style, show_list, show_one
from appliance.main.cli.place import Asked, Place, resolve
from appliance.main.cli.text import inert

if TYPE_CHECKING:
    from appliance.main.client import Client


@dataclass(slots=True, kw_only=True)
class Invocation:
    """environment is read once here; commands do not look at os.environ."""

    asked: Asked = field(default_factory=Asked)
    style: Style = field(default_factory=Style)
    no_input: bool = False
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    _place: Place | None = None
    _client: "Client | None" = None

    def place(self) -> Place:
        """Where the appliance is."""
        if self._place is None:
            self._place = resolve(self.asked, self.environment)
        return self._place

    def client(self, *, anonymous: bool = False) -> "Client":
        """The API. anonymous: for `login`, which has no token yet."""
        place = self.place()
        if not anonymous and not place.token:
            raise Failure(
                f"not logged in to {place.url}",
                exit_code=Exit.DENIED,
                kind="unauthenticated",
                next_step=self.login_command(),
            )
        if self._client is None:
            from appliance.main.client import Client

            self._client = Client(url=place.url, ca=place.ca, token=place.token)
        return self._client

    def login_command(self) -> str:
        """What to type to log in to this place."""
        if self.asked.state:
            return f"rackwright login --state {self.asked.state}"
        if self.asked.url:
            return f"rackwright login --url {self.asked.url}" + (f" --ca {self.asked.ca}" if self.asked.ca else "")
        return "rackwright login"

    def show(self, kind: Kind, items: Iterable[dict[str, Any]]) -> int:
        """A list to stdout."""
        return show_list(self.style, kind, items)

    def show_one(self, kind: Kind, item: dict[str, Any]) -> None:
        """One thing to stdout."""
        show_one(self.style, kind, item)

    def note(self, text: str) -> None:
        """A line for people, on stderr."""
        print(inert(text), file=sys.stderr, flush=True)

    def can_ask(self) -> bool:
        """Whether a question would reach a person."""
        return not self.no_input and sys.stdin.isatty()

    def confirm(self, question: str, *, yes: bool) -> None:
        """Go on only after a yes; where nobody can be asked, only with --yes."""
        if yes:
            return
        if not self.can_ask():
            raise usage(f"{question}: this needs a yes", why="nobody can be asked here", next_step="add --yes")
        print(f"{inert(question)} [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise Failure("not done", why="the answer was not yes", exit_code=Exit.FAILED, kind="declined")

    def password(self, prompt: str, file: Path | None, *, option: str, again: bool = False) -> str:
        """A password from a file's first line, `-` for standard input, or a person; never from argv."""
        if file is not None:
            return read_secret(file)
        if not self.can_ask():
            raise usage(
                f"{prompt} is needed and nobody can be asked", next_step=f"{option} FILE   (- for standard input)"
            )
        from getpass import getpass

        typed = getpass(f"{prompt}: ")
        if again and getpass(f"{prompt}, again: ") != typed:
            raise usage("the two passwords differ")
        return typed


def read_secret(file: Path) -> str:
    """The first line of a file, without its line end. `-` is standard input."""
    try:
        with sys.stdin if str(file) == "-" else file.open(encoding="utf-8") as stream:
            secret = stream.readline(4096).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as cause:
        raise usage(f"the secret in {file} cannot be read", why=str(cause)) from cause
    if not secret:
        raise usage(f"the first line of {file} is empty")
    return secret
