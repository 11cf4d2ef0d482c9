"""What an installed system would boot: its kernel, initrd and kernel line, read out of its boot loader's files. Pure.

grub.cfg is a program; only its plainest form is understood (the first menu entry, `set` of plain values, `linux` and
`initrd` lines), which is what grub-mkconfig writes. The other form is that of the Boot Loader Specification, type 1
(uapi-group.org/specifications/specs/boot_loader_specification). Nothing is executed, and what is not understood gives
None, which means: let the firmware boot the disk.
"""

import re
from typing import NamedTuple

MAX_TEXT = 1024 * 1024
_WORD = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|((?:[^\s'"\\]|\\.)+)""")
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")
_LOADS = ("linux", "linux16", "linuxefi")
_INITRDS = ("initrd", "initrd16", "initrdefi")


class Entry(NamedTuple):
    """Paths as the loader sees them: absolute in the file system that it chose."""

    kernel: str
    initrds: tuple[str, ...]
    command_line: str


def from_grub(text: str) -> Entry | None:
    """The first entry that has a kernel; lines outside of any entry count as one, since small images have no menu."""
    variables: dict[str, str] = {}
    kernel: list[str] | None = None
    initrds: list[str] = []
    for line in text[:MAX_TEXT].replace("\\\n", " ").splitlines():
        raw = _words(line.strip())
        if not raw or raw[0].startswith("#"):
            continue
        word = raw[0]
        if word == "set" and len(raw) == 2 and "=" in raw[1]:
            name, _, value = raw[1].partition("=")
            variables[name] = _expanded(value, variables)
        elif word in _LOADS and len(raw) > 1:
            if kernel is not None:
                break
            kernel = _split([_expanded(item, variables) for item in raw[1:]])
        elif word in _INITRDS and kernel is not None and not initrds:
            initrds = _split([_expanded(item, variables) for item in raw[1:]])
    if not kernel:
        return None
    return Entry(_plain(kernel[0]), tuple(_plain(path) for path in initrds), " ".join(kernel[1:]))


def from_loader_entry(text: str, environment: str = "") -> Entry | None:
    """A `.conf` of loader/entries. environment: grubenv, which holds `kernelopts` on some systems."""
    variables = dict(line.split("=", 1) for line in environment[:MAX_TEXT].splitlines() if "=" in line)
    fields: dict[str, list[str]] = {}
    for line in text[:MAX_TEXT].splitlines():
        key, _, value = line.strip().partition(" ")
        if key and not key.startswith("#"):
            fields.setdefault(key, []).append(_expanded(value.strip(), variables))
    if "linux" not in fields:
        return None
    initrds = tuple(path for value in fields.get("initrd", []) for path in value.split())
    return Entry(fields["linux"][0], initrds, " ".join(" ".join(fields.get("options", [])).split()))


def _words(line: str) -> list[str]:
    """Words of a line, with the quotes taken off; a word may be glued together of several quoted parts."""
    words: list[str] = []
    end = -1
    for match in _WORD.finditer(line):
        single, double, bare = match.groups()
        part = single if single is not None else re.sub(r"\\(.)", r"\1", double if double is not None else bare)
        if match.start() == end and words:
            words[-1] += part
        else:
            words.append(part)
        end = match.end()
    return words


def _expanded(text: str, variables: dict[str, str]) -> str:
    return _VARIABLE.sub(lambda match: variables.get(match[1] or match[2], ""), text)


def _split(words: list[str]) -> list[str]:
    """A variable may hold several words or none."""
    return [part for word in words for part in word.split()]


def _plain(path: str) -> str:
    """Without GRUB's device in front: `($root)/boot/vmlinuz`, which has become `()/boot/vmlinuz`."""
    return re.sub(r"^\([^)]*\)", "", path)
