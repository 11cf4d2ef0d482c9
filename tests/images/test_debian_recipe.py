import subprocess

import pytest
import yaml

from images import bootdisk, debian_recipe
from images.debian_recipe import CLOUD_CONFIG, EXCLUDED_MODULES, INITRAMFS_MODULES


def test_cloud_config_names_only_local_datasources_and_runs_each_module_once():
    config = yaml.safe_load(CLOUD_CONFIG)
    assert config["datasource_list"] == ["ConfigDrive", "NoCloud", "None"]
    stages = [config[f"cloud_{stage}_modules"] for stage in ("init", "config", "final")]
    names = [name for stage in stages for name in stage]
    assert len(names) == len(set(names))
    assert {"growpart", "users-groups", "ssh", "write-files"} <= set(stages[0])
    final = stages[2]
    # The machine calls home when the user's own scripts have run, and packages come before them.
    assert final.index("runcmd") < final.index("scripts-user") < final.index("scripts-vendor")
    assert final.index("apt-configure") < final.index("package-update-upgrade-install") < final.index("scripts-user")


def test_nothing_that_the_initramfs_needs_is_left_out():
    left_out = {part.rpartition("/")[2] for part in EXCLUDED_MODULES}
    assert not left_out & {name.replace("_", "-") for name in INITRAMFS_MODULES}


@pytest.mark.parametrize("text", [debian_recipe.NETPLAN, debian_recipe.GENERATOR])
def test_scripts_are_shell(text):
    subprocess.run(["sh", "-n"], input=text.encode(), check=True)


def test_grub_config_is_one_that_the_agent_understands():
    from agent.imaging_grub import Entry, from_grub

    text = bootdisk.grub_config("7e57ab1e-0000", "rw console=ttyS0")
    assert from_grub(text) == Entry("/vmlinuz", ("/initrd.img",), "root=UUID=7e57ab1e-0000 rw console=ttyS0")
