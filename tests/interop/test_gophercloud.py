"""Gophercloud, which Terraform's OpenStack provider and Metal3 are made of, drives a machine's whole life."""

import json
import os
import subprocess

import pytest

from tests.fakes.serving import boot_sector
from tests.interop import gophers

WITHIN_S = 120


# A compiler of 70 MB is fetched and a library compiled with it: a minute and more before the first request.
@pytest.mark.nightly
def test_gophercloud_takes_a_machine_through_its_life(cloud, typed, home, tmp_path):
    program = gophers.build(tmp_path)
    disk = tmp_path / "disk.img"
    disk.write_bytes(boot_sector() + bytes(4096))
    line = f"openstack image create --disk-format raw --container-format bare --public --file {disk} gopher-disk"
    image = typed.shows(line)["id"]
    variables = {"PATH": os.environ["PATH"], "HOME": str(home), "OS_CLIENT_CONFIG_FILE": str(home / "clouds.yaml"),
                 "OS_CLOUD": "rackwright", "SSL_CERT_FILE": str(cloud.ca)}  # fmt: skip
    argv = [program, "gopher-1", "gopher-disk"]
    done = subprocess.run(argv, env=variables, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert "admin" in seen.pop("projects")
    assert seen == {
        "image": image, "driver": "fake-hardware", "changed": ["r1", 50], "allocated": True, "power": "power on",
        "listed": True,
    }  # fmt: skip
    typed.does(f"openstack image delete {image}")
