"""`vagrant validate` on our Vagrantfile, where Vagrant is installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("vagrant") is None, reason="vagrant is not installed (apt-get install vagrant)")
def test_vagrant_accepts_the_file(tmp_path):
    plugin = Path("/usr/share/vagrant-plugins/plugins.d/vagrant-libvirt.json").exists()
    # Without the plug-in Vagrant knows no libvirt and refuses to look any further, unless told to.
    words = ["vagrant", "validate", *([] if plugin else ["--ignore-provider"])]
    # Vagrant keeps notes beside the file and in the home directory; neither is the repository's or the user's.
    homes = {"VAGRANT_DOTFILE_PATH": str(tmp_path / "dot"), "VAGRANT_HOME": str(tmp_path / "home")}
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "VAGRANT_CWD": str(ROOT), **homes}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
