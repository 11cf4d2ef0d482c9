"""User-data: what kind it is, whether cloud-init will understand it, and how a machine is made to call home.

The user's bytes are never changed and nothing in them is rendered. What we have to say to cloud-init goes into the
vendor-data beside it.
"""

import shlex
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from enum import Enum
from typing import Any

import jsonschema
import yaml

from images.errors import ImageError

MAX_USER_DATA = 64 * 1024
MAX_UNPACKED = 1024 * 1024
MAX_PROBLEMS = 50
MAX_NODES = 100_000
MAX_PARTS_DEEP = 2
CONFIG_TYPES = ("text/cloud-config",)


class Kind(Enum):
    """The forms that cloud-init knows, by their first line (cloud-init docs, "User-data formats")."""

    CLOUD_CONFIG = "cloud-config"
    SCRIPT = "script"
    MULTIPART = "multipart"
    GZIP = "gzip"
    JINJA = "jinja"
    INCLUDE = "include"
    BOOTHOOK = "boothook"
    PART_HANDLER = "part-handler"
    ARCHIVE = "cloud-config-archive"
    IGNITION = "ignition"
    EMPTY = "empty"
    UNKNOWN = "unknown"


FIRST_LINES = (
    (b"## template: jinja", Kind.JINJA),
    (b"#cloud-config-archive", Kind.ARCHIVE),
    (b"#cloud-config", Kind.CLOUD_CONFIG),
    (b"#include", Kind.INCLUDE),
    (b"#cloud-boothook", Kind.BOOTHOOK),
    (b"#part-handler", Kind.PART_HANDLER),
    (b"#!", Kind.SCRIPT),
)
HEADER_NAMES = (b"content-type:", b"mime-version:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """line and column count from 1, 0 where unknown. path: as `runcmd.0`, empty for the whole document."""

    line: int
    column: int
    path: str
    message: str


class TooLong(ImageError):
    """The user-data is longer than cloud platforms carry."""


def detect(user_data: bytes) -> Kind:
    """By content only."""
    if user_data[:2] == b"\x1f\x8b":
        return Kind.GZIP
    start = user_data.lstrip(b"\xef\xbb\xbf")
    if not start.strip():
        return Kind.EMPTY
    for mark, kind in FIRST_LINES:
        if start.startswith(mark):
            return kind
    if start[:200].lower().startswith(HEADER_NAMES):
        return Kind.MULTIPART
    if start.lstrip().startswith(b"{") and b'"ignition"' in start:
        return Kind.IGNITION
    return Kind.UNKNOWN


def validate(user_data: bytes, schema: Mapping[str, Any] | None) -> list[Problem]:
    """What cloud-init would stumble over, at most MAX_PROBLEMS, in order of their lines; empty if it is well.

    schema: cloud-init's own, from the image (`schema-cloud-config-v1.json`); None checks the syntax only. Templates are
    not rendered, hence not checked; scripts and includes are taken as they are. Raises TooLong.
    """
    if len(user_data) > MAX_USER_DATA:
        raise TooLong(f"user-data is {len(user_data)} bytes long; {MAX_USER_DATA} are allowed")
    try:
        found = list(_document(user_data, schema, depth=0))
    except RecursionError:
        found = [_problem("it is nested too deeply")]
    return sorted(found, key=lambda problem: (problem.line, problem.column))[:MAX_PROBLEMS]


def _problem(message: str, line: int = 0, column: int = 0, path: str = "") -> Problem:
    return Problem(line=line, column=column, path=path, message=message[:300])


def _document(data: bytes, schema: Mapping[str, Any] | None, *, depth: int) -> Iterator[Problem]:
    kind = detect(data)
    if kind is Kind.GZIP and not depth:
        unpacked = _unpacked(data)
        if unpacked is None:
            yield _problem("the gzip data is broken or unfolds to more than 1 MiB")
        else:
            yield from _document(unpacked, schema, depth=depth + 1)
    elif kind is Kind.MULTIPART and depth < MAX_PARTS_DEEP:
        for part in message_from_bytes(data, policy=policy.compat32).walk():
            body = part.get_payload(decode=True)
            if not part.is_multipart() and isinstance(body, bytes) and part.get_content_type() in CONFIG_TYPES:
                yield from _cloud_config(body, schema)
    elif kind is Kind.CLOUD_CONFIG:
        yield from _cloud_config(data, schema)
    elif kind is Kind.UNKNOWN:
        yield _problem("cloud-init ignores this: the first line must be #cloud-config, #! and so on", 1, 1)


def _unpacked(data: bytes) -> bytes | None:
    worker = zlib.decompressobj(wbits=31)
    try:
        unpacked = worker.decompress(data, MAX_UNPACKED)
    except zlib.error:
        return None
    return unpacked if worker.eof else None


def _cloud_config(data: bytes, schema: Mapping[str, Any] | None) -> Iterator[Problem]:
    try:
        root = yaml.compose(data, Loader=yaml.SafeLoader)
        if root is None:
            return
        if _size(root, {}) > MAX_NODES:
            yield _problem("it unfolds to too many values: aliases are multiplied, or refer to themselves")
            return
        value = yaml.safe_load(data)
    except yaml.MarkedYAMLError as failure:
        mark = failure.problem_mark or failure.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        yield _problem(f"not valid YAML: {failure.problem or failure.context or failure}", *place)
        return
    except (yaml.YAMLError, ValueError) as failure:  # ValueError: a date such as 2024-13-45
        yield _problem(f"not valid YAML: {failure}")
        return
    if not isinstance(value, dict):
        yield _problem("a cloud-config is a list of `key: value`", 1, 1)
        return
    yield from _doubled(root)
    if schema is not None:
        for error in jsonschema.Draft4Validator(schema).iter_errors(value):
            yield _placed(error, root)


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for once aliases are followed; more than MAX_NODES if it holds itself."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MAX_NODES + 1  # what an alias to an unfinished node sees
    total = 1
    if isinstance(node, yaml.SequenceNode):
        total += sum(_size(child, known) for child in node.value)
    elif isinstance(node, yaml.MappingNode):
        total += sum(_size(key, known) + _size(child, known) for key, child in node.value)
    known[id(node)] = total
    return total


def _doubled(root: yaml.Node) -> Iterator[Problem]:
    """Keys of the top level that are given twice: YAML lets the last one win, and nobody means that."""
    seen: set[str] = set()
    for key, _ in root.value if isinstance(root, yaml.MappingNode) else []:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                place = (key.start_mark.line + 1, key.start_mark.column + 1)
                yield _problem(f"the key {key.value} is given twice", *place, path=key.value)
            seen.add(key.value)


def _placed(error: jsonschema.ValidationError, root: yaml.Node) -> Problem:
    """The problem at the place in the text that its path leads to."""
    node = root
    for step in error.absolute_path:
        if isinstance(node, yaml.MappingNode):
            node = next((child for key, child in node.value if key.value == str(step)), node)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
    mark = node.start_mark
    path = ".".join(str(step) for step in error.absolute_path)
    return _problem(error.message, mark.line + 1, mark.column + 1, path)


def call_home_vendor_data(url: str) -> bytes:
    """Vendor-data that reports to the url when cloud-init's last stage runs, in the form of cloud-init's phone_home.

    A script and not a `phone_home:` key: cloud-init lets the user's key replace the vendor's, so a user's own would
    silence us, and the module warns of each type of SSH key that the host does not have. Runs once per instance.
    """
    return CALL_HOME.replace("@URL@", shlex.quote(url)).encode()


# Whatever of curl, wget and Python there is; cloud-init itself is Python, so one of them always is.
CALL_HOME = """\
#!/bin/sh
# Tells the appliance that installed this machine that it is up. Six tries, two minutes at most.
url=@URL@
key=$(cat /etc/ssh/ssh_host_ed25519_key.pub 2>/dev/null)
id=$(cat /var/lib/cloud/data/instance-id 2>/dev/null)
name=$(uname -n)
for pause in 1 2 4 8 15 0; do
  if command -v curl >/dev/null 2>&1; then
    curl -fsS -m 15 --data-urlencode "instance_id=$id" --data-urlencode "hostname=$name" \\
      --data-urlencode "pub_key_ed25519=$key" "$url" && exit 0
  else
    python=$(command -v python3 || command -v python || echo /usr/libexec/platform-python)
    "$python" - "$url" "$id" "$name" "$key" <<'END' && exit 0
import sys, urllib.parse, urllib.request
url, instance, name, key = sys.argv[1:]
form = {"instance_id": instance, "hostname": name, "pub_key_ed25519": key}
urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), 15)
END
  fi
  sleep "$pause"
done
echo "the appliance could not be told that this machine is up" >&2
exit 1
"""
