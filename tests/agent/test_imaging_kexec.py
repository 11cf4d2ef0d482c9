import pytest

from agent import imaging_kexec
from agent.errors import Refused
from agent.imaging_grub import Entry
from agent.imaging_kexec import find_entry, inside


@pytest.fixture
def system(tmp_path):
    root = tmp_path / "system"
    (root / "boot/grub").mkdir(parents=True)
    (root / "boot/vmlinuz-6").write_text("kernel")
    (root / "boot/initrd-6").write_text("initrd")
    (root / "vmlinuz").symlink_to("boot/vmlinuz-6")
    (root / "initrd.img").symlink_to("/boot/initrd-6")
    (root / "boot/grub/grub.cfg").write_text("linux /vmlinuz ro\ninitrd /initrd.img\n")
    (tmp_path / "secret").write_text("of the ramdisk")
    return root


def test_links_are_followed_inside(system):
    assert inside(system, "/vmlinuz") == system / "boot/vmlinuz-6"
    assert inside(system, "/initrd.img") == system / "boot/initrd-6"
    assert inside(system, "boot/../boot/./initrd-6") == system / "boot/initrd-6"


def test_no_link_leads_out(system):
    (system / "up").symlink_to("../../../secret")
    (system / "loop").symlink_to("loop")
    assert inside(system, "/up") is None
    assert inside(system, "../secret") is None
    assert inside(system, "/loop") is None
    assert inside(system, "/absent") is None


def test_the_entry_and_its_files_are_found(system, tmp_path):
    entry = find_entry(system)
    assert entry == Entry("/vmlinuz", ("/initrd.img",), "ro")
    kernel, initrds = imaging_kexec._files(entry, system, [tmp_path, system])
    assert (kernel.name, [path.name for path in initrds]) == ("vmlinuz-6", ["initrd-6"])
    with pytest.raises(Refused, match="not on the disk"):
        imaging_kexec._files(Entry("/other", (), ""), system, [system])


def test_loader_entries_come_first_and_the_newest_wins(system):
    folder = system / "boot/loader/entries"
    folder.mkdir(parents=True)
    for name, kernel in (("a-6.1.conf", "/k61"), ("a-6.7.conf", "/k67"), ("a-0-rescue.conf", "/rescue")):
        (folder / name).write_text(f"linux {kernel}\n")
    assert find_entry(system).kernel == "/k67"


def test_a_disk_that_nobody_knows_is_refused(tmp_path):
    (tmp_path / "sys/block").mkdir(parents=True)
    with pytest.raises(Refused, match="not known which disk"):
        imaging_kexec.load_kexec({}, lambda _: None, lambda: False, root=tmp_path)
    with pytest.raises(Refused, match="not known which disk"):
        imaging_kexec.load_kexec({"disk": "/dev/vda"}, lambda _: None, lambda: False, root=tmp_path)


def test_a_disk_without_a_file_system_is_refused(tmp_path):
    (tmp_path / "sys/block/vda").mkdir(parents=True)
    (tmp_path / "sys/block/vda/size").write_text("20480")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/vda").write_bytes(bytes(1 << 20))
    imaging_kexec.remember(tmp_path, "/dev/vda")
    with pytest.raises(Refused, match="no boot loader"):
        imaging_kexec.load_kexec({}, lambda _: None, lambda: False, root=tmp_path)


def test_several_initrds_become_one(tmp_path):
    import contextlib
    import os

    (tmp_path / "a").write_bytes(b"abcde")
    (tmp_path / "b").write_bytes(b"f")
    with contextlib.ExitStack() as stack:
        handle = imaging_kexec._joined([tmp_path / "a", tmp_path / "b"], stack)
        assert os.read(handle, 100) == b"abcde\0\0\0f\0\0\0"
        assert imaging_kexec._joined([], stack) == -1
