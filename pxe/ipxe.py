"""iPXE scripts as text. Pure. Every value is checked against a grammar first, so that none can end a line, begin a
variable (`${...}`) or add a kernel parameter. Secrets are arguments and are not kept.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Literal

from pxe.errors import UnsafeValue
from pxe.types import Mac

Platform = Literal["efi", "pcbios"]

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_SECRET = re.compile(r"[A-Za-z0-9_-]{16,128}\Z")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:,/=@+-]{0,199}\Z")
_MOST_WORDS = 32

DEFAULT_WORDS = ("console=tty0", "console=ttyS0,115200", "quiet")
"""quiet: the kernel would print its command line, and so the boot secret, on the serial console."""


def agent_script(
    *,
    server: IPv4Address,
    mac: Mac,
    ca_sha256: str,
    boot_secret: str,
    http_port: int = 8080,
    api_port: int = 8444,
    kernel_words: Sequence[str] = DEFAULT_WORDS,
) -> str:
    """Boots the agent. ca_sha256: hex of the DER form of the CA certificate. Raises UnsafeValue."""
    if len(kernel_words) > _MOST_WORDS:
        raise UnsafeValue("too many kernel parameters")
    http = f"http://{IPv4Address(server)}:{_port(http_port)}"
    base = f"{http}/boot"
    words = [
        "initrd=initrd",
        *(_fits(_WORD, word, "a kernel parameter") for word in kernel_words),
        f"rackwright.http={http}",
        f"rackwright.api=https://{IPv4Address(server)}:{_port(api_port)}",
        f"rackwright.ca={_fits(_SHA256, ca_sha256, 'a SHA-256 in hex')}",
        f"rackwright.boot={_fits(_SECRET, boot_secret, 'a boot secret', show=False)}",
        f"BOOTIF=01-{_fits(_MAC, mac, 'a MAC address').replace(':', '-')}",
    ]
    lines = [
        "#!ipxe",
        f"kernel {base}/vmlinuz {' '.join(words)}",
        f"initrd --name initrd {base}/initrd",
        "boot",
    ]
    return "\n".join(lines) + "\n"


def local_boot_script(platform: Platform, *, why: str = "") -> str:
    """Boots the machine's own disk.

    UEFI firmware goes on with its next boot entry when iPXE exits. A BIOS may not, so the first disk is started
    directly there, and iPXE exits when there is none. why: shown on the machine's console; unsafe characters are
    dropped.
    """
    shown = re.sub(r"[^A-Za-z0-9 .,:_-]", "", why)[:120]
    start = "exit" if platform == "efi" else "sanboot --no-describe --drive 0x80 || exit"
    return f"#!ipxe\necho Rackwright: own disk {shown}\n{start}\n"


def _fits(grammar: re.Pattern[str], text: str, what: str, *, show: bool = True) -> str:
    if not grammar.match(text):
        raise UnsafeValue(f"{text[:60]!r} is not {what}" if show else f"the text is not {what}")
    return text


def _port(number: int) -> int:
    if not 0 < number < 65536:
        raise UnsafeValue(f"{number} is not a port")
    return number
