"""A root tree becomes a disk that BIOS and UEFI boot: GPT, BIOS boot partition, ESP and an ext4 root file system.

No loop device, nbd, device mapper or mount: sfdisk, mke2fs -d, mtools and grub-mkimage, which all work on plain files.
The ESP holds Debian's signed shim and GRUB at the fallback path, so Secure Boot works and no boot variable is needed.
grub.cfg names /vmlinuz and /initrd.img, the links that each kernel package moves, so nothing has to be run afterwards.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from images import tools

MIB = 1024 * 1024
SECTOR = 512
BIOS_START = 2048  # sectors; 1 MiB long
ESP_START_MIB, ESP_MIB = 2, 64
ROOT_START_MIB = ESP_START_MIB + ESP_MIB
TYPE_BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
TYPE_ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
TYPE_ROOT_X86_64 = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
CORE_MODULES = (
    "biosdisk", "part_gpt", "ext2", "search", "search_label", "search_fs_uuid", "linux", "normal", "minicmd",
    "configfile", "echo", "test", "serial", "ls", "boot",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFiles:
    """Where the loader's files are on the building machine."""

    shim: Path
    grub_efi: Path
    grub_pc: Path  # directory of the i386-pc modules and boot.img


def grub_config(root_uuid: str, command_line: str) -> str:
    """grub.cfg: one entry, no menu, no wait. custom.cfg in /boot/grub, if there is one, may change anything."""
    return (
        "set timeout=0\n"
        f"search --no-floppy --fs-uuid --set=root {root_uuid}\n"
        'menuentry "Debian" {\n'
        f"  linux /vmlinuz root=UUID={root_uuid} {command_line}\n"
        "  initrd /initrd.img\n"
        "}\n"
        "if [ -f /boot/grub/custom.cfg ]; then configfile /boot/grub/custom.cfg; fi\n"
    )


def assemble(tree: Path, out: Path, *, work: Path, size_mib: int, root_uuid: str, boot: BootFiles, config: str) -> None:
    """Write the raw disk `out` (sparse) from the root tree. work: a scratch directory on the same file system."""
    (tree / "boot/grub").mkdir(parents=True, exist_ok=True)
    (tree / "boot/grub/grub.cfg").write_text(config)
    root = work / "root.ext4"
    _sparse(root, (size_mib - ROOT_START_MIB - 1) * MIB)
    tools.run(
        [
            "mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-U", root_uuid, "-m", "1", "-N", "65536",
            "-E", f"hash_seed={root_uuid},lazy_itable_init=1,lazy_journal_init=1,nodiscard", "-J", "size=16",
            "-d", str(tree), str(root),
        ],
        timeout_s=600,
    )  # fmt: skip
    _sparse(out, size_mib * MIB)
    _partition(out)
    _copy_into(_esp(work, boot, config), out, ESP_START_MIB * MIB)
    _copy_into(root, out, ROOT_START_MIB * MIB)
    _embed_bios(out, work, boot.grub_pc, root_uuid)
    root.unlink()


def _sparse(path: Path, size: int) -> None:
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def _partition(out: Path) -> None:
    table = (
        "label: gpt\nfirst-lba: 2048\n"
        f"1 : start={BIOS_START}, size=2048, type={TYPE_BIOS_BOOT}, name=bios\n"
        f"2 : start={ESP_START_MIB}MiB, size={ESP_MIB}MiB, type={TYPE_ESP}, name=esp\n"
        f"3 : start={ROOT_START_MIB}MiB, type={TYPE_ROOT_X86_64}, name=root\n"
    )
    tools.run(["sfdisk", "-q", "--no-reread", "--no-tell-kernel", str(out)], stdin=table.encode(), timeout_s=60)


def _esp(work: Path, boot: BootFiles, config: str) -> Path:
    esp, text = work / "esp", work / "grub.cfg"
    _sparse(esp, ESP_MIB * MIB)
    text.write_text(config)
    tools.run(["mkfs.vfat", "-F", "32", "-n", "ESP", str(esp)], timeout_s=60)
    tools.run(["mmd", "-i", str(esp), "::EFI", "::EFI/BOOT", "::EFI/debian"], timeout_s=60)
    for source, target in (
        (boot.shim, "::EFI/BOOT/BOOTX64.EFI"),
        (boot.grub_efi, "::EFI/BOOT/grubx64.efi"),
        (text, "::EFI/debian/grub.cfg"),  # the prefix that is compiled into Debian's signed GRUB
    ):
        tools.run(["mcopy", "-i", str(esp), str(source), target], timeout_s=60)
    return esp


def _embed_bios(out: Path, work: Path, grub: Path, root_uuid: str) -> None:
    """boot.img into the MBR and core.img into the BIOS boot partition, as grub-bios-setup would, but on a file.

    Source: grub-core/boot/i386/pc/boot.S and diskboot.S for the offsets of the fields that are patched.
    """
    early, core_path = work / "early.cfg", work / "core.img"
    # The early parser of GRUB knows one command per line and no semicolon.
    early.write_text(f"search --no-floppy --fs-uuid --set=root {root_uuid}\nset prefix=($root)/boot/grub\n")
    argv = [
        "grub-mkimage",
        "-d",
        str(grub),
        "-O",
        "i386-pc",
        "-o",
        str(core_path),
        "-p",
        "/boot/grub",
        "-c",
        str(early),
    ]
    tools.run([*argv, *CORE_MODULES], timeout_s=120)
    loader, core = bytearray((grub / "boot.img").read_bytes()), bytearray(core_path.read_bytes())
    core += bytes(-len(core) % SECTOR)
    loader[0x5C:0x64] = struct.pack("<Q", BIOS_START)  # where core.img begins
    loader[0x66:0x68] = b"\x90\x90"  # the jump that distrusts the BIOS drive number becomes two NOPs
    core[500:512] = struct.pack("<QHH", BIOS_START + 1, len(core) // SECTOR - 1, 0x820)  # the rest of core.img
    with out.open("r+b") as file:
        file.write(loader[:440])  # up to the partition table of the protective MBR
        file.seek(BIOS_START * SECTOR)
        file.write(core)


def _copy_into(source: Path, out: Path, offset: int) -> None:
    """Copy a file into the disk at an offset, leaving holes where the source has nothing but zeros."""
    zeros = bytes(64 * 1024)
    with source.open("rb") as reader, out.open("r+b") as writer:
        position = offset
        while block := reader.read(len(zeros)):
            if block != zeros[: len(block)]:
                writer.seek(position)
                writer.write(block)
            position += len(block)
