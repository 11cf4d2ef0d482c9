"""Processors from /proc/cpuinfo. Pure."""

import re
from typing import Any

from agent.inventory.clean import text

_MAX_FLAGS = 512


def parse(cpuinfo: str, architecture: str) -> dict[str, Any]:
    """model, sockets, cores, threads, flags, virtualization, architecture.

    A virtual machine may give no physical id: then all is one socket per processor block, as the kernel sees it.
    """
    blocks = [_fields(block) for block in cpuinfo.strip().split("\n\n") if "processor" in block]
    first = blocks[0] if blocks else {}
    sockets = {block.get("physical id", "0") for block in blocks}
    cores = {(block.get("physical id", "0"), block.get("core id", str(n))) for n, block in enumerate(blocks)}
    flags = [flag for flag in first.get("flags", "").split() if re.fullmatch(r"[a-z0-9_.]{1,32}", flag)][:_MAX_FLAGS]
    return {
        "model": text(first.get("model name")),
        "sockets": len(sockets),
        "cores": len(cores),
        "threads": len(blocks),
        "flags": flags,
        "virtualization": next((name for name in ("vmx", "svm") if name in flags), None),
        "architecture": architecture,
    }


def _fields(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
