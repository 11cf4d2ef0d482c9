"""The machine's own apt sources for one release, and no others: an image is built from what the operator configured.

Only entries whose suites all belong to the release are taken (`bookworm`, `bookworm-updates`, `bookworm-security`), so
a third party's repository for some tool of the appliance's host never gets into an image.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from images.errors import NoSource

APT_DIRECTORY = Path("/etc/apt")
SUFFIXES = ("", "-updates", "-security")
ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One deb822 stanza, reduced to what matters here. signed_by: a path, or an ASCII-armoured key, or empty."""

    uris: str
    suites: tuple[str, ...]
    components: str
    signed_by: str

    def stanza(self) -> str:
        lines = ["Types: deb", f"URIs: {self.uris}", f"Suites: {' '.join(self.suites)}"]
        lines.append(f"Components: {self.components}")
        if self.signed_by:
            lines.append(f"Signed-By: {self.signed_by}")
        return "\n".join(lines) + "\n"


def for_release(codename: str, directory: Path = APT_DIRECTORY) -> list[Source]:
    """Sources of the release, in apt's own order. Raises NoSource when there are none."""
    wanted = {codename + suffix for suffix in SUFFIXES}
    found = [source for source in _all(directory) if source.suites and set(source.suites) <= wanted]
    if not any(codename in source.suites for source in found):
        raise NoSource(f"apt has no source for {codename}; add one below {directory}/sources.list.d")
    return found


def _all(directory: Path) -> Iterator[Source]:
    parts = directory / "sources.list.d"
    files = [directory / "sources.list", *sorted(parts.glob("*.list")), *sorted(parts.glob("*.sources"))]
    for file in files:
        if file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            yield from deb822(text) if file.suffix == ".sources" else one_line(text)


def one_line(text: str) -> Iterator[Source]:
    """Entries of a `sources.list`; spec: sources.list(5), one-line style."""
    for raw in text.splitlines():
        match = ONE_LINE.match(raw.split("#", 1)[0].strip())
        if match:
            options = dict(part.split("=", 1) for part in (match["options"] or "").split() if "=" in part)
            yield Source(
                uris=match["uri"],
                suites=(match["suite"],),
                components=match["components"].strip(),
                signed_by=options.get("signed-by", ""),
            )


def deb822(text: str) -> Iterator[Source]:
    """Entries of a `.sources` file; a disabled stanza and one without `deb` are left out."""
    text = re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)
    for stanza in re.split(r"\n\s*\n", text):
        fields = _fields(stanza)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        yield Source(
            uris=fields.get("uris", ""),
            suites=tuple(fields.get("suites", "").split()),
            components=fields.get("components", ""),
            signed_by=fields.get("signed-by", ""),
        )


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line[:1] in (" ", "\t") and name:
            fields[name] += "\n" + line
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields
