import shutil
from pathlib import Path

import pytest

from images import ramdisk_apt


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not installed")
def test_the_closure_is_named_whatever_is_installed_here(tmp_path):
    if not any(Path("/var/lib/apt/lists").glob("*_Packages*")):
        pytest.skip("apt has no lists; `apt-get update` fetches them")
    names = ramdisk_apt.resolve(["kmod"], tmp_path)
    assert any(name.startswith("kmod_") for name in names)
    assert any(name.startswith("libc6_") for name in names)
    assert names == sorted(names)


def test_an_unpacked_tree_is_kept_and_a_new_version_replaces_it(tmp_path, monkeypatch):
    calls = []

    def run(argv, *, timeout_s):
        calls.append(argv[0])
        if argv[0] == "dpkg-deb":
            (Path(argv[3]) / "file").touch()
        return ""

    monkeypatch.setattr(ramdisk_apt.tools, "run", run)
    archives = tmp_path / "debs"
    archives.mkdir()
    for name in ("a_1_all.deb", "a_2_all.deb"):
        (archives / name).touch()
    first = ramdisk_apt.unpack(["a"], ["a_1_all.deb"], tmp_path, print)
    assert (first / "file").exists()
    assert ramdisk_apt.unpack(["a"], ["a_1_all.deb"], tmp_path, print) == first
    assert calls == ["dpkg-deb"]
    (archives / "a_2_all.deb").touch()
    second = ramdisk_apt.unpack(["a"], ["a_2_all.deb"], tmp_path, print)
    assert not first.exists()
    assert second != first
    assert [path.name for path in archives.glob("*.deb")] == ["a_2_all.deb"]
