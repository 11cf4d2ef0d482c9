import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxe.errors import FileMissing, FileRefused
from pxe.tftp.files import Tree


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "boot"
    (root / "grub").mkdir(parents=True)
    (root / "snponly.efi").write_bytes(b"efi")
    (root / "grub" / "grub.cfg").write_bytes(b"cfg")
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    return Tree(root)


def read(tree, name):
    opened = tree.open(name)
    try:
        return os.read(opened, 100)
    finally:
        os.close(opened)


def test_files(tree):
    assert read(tree, "snponly.efi") == b"efi"
    assert read(tree, "grub/grub.cfg") == b"cfg"


@pytest.mark.parametrize("name", ["nothing", "grub/nothing", "nothing/nothing"])
def test_missing(tree, name):
    with pytest.raises(FileMissing):
        tree.open(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        ".",
        "..",
        "../secret",
        "../../etc/shadow",
        "/etc/shadow",
        "..\\..\\x",
        "grub/../../secret",
        "grub/../snponly.efi",
        "%2e%2e/secret",
        "./././snponly.efi",
        "snponly.efi\0",
        "grub//grub.cfg",
        "link",
        "up/secret",
        "pipe",
        "grub",
        "snponly.efi/x",
        ".hidden",
        "é",
        "a/" * 20 + "b",
        "x" * 2000,
    ],
)
def test_refused(tree, name):
    with pytest.raises(FileRefused):
        tree.open(name)


@given(st.text(max_size=40))
def test_any_name_opens_nothing_outside(name):
    with pytest.raises((FileMissing, FileRefused)):
        os.close(Tree("/nonexistent-root").open(name))
