"""The Debian image in real (emulated) machines: written by the agent in the ramdisk and started by kexec on BIOS;
written by the same code on this machine and booted by UEFI. Each calls home.

The image and the ramdisk are kept in the stories' cache; the first run fetches about 200 MB of Debian packages.
QEMU's own user network is used, so the machines reach nothing but this process.
"""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from agent import imaging
from images import configdrive, debian, importer, ramdisk, userdata
from images.ramdisk_cpio import archive, file
from tests.fakes.image_server import TOKEN, FormReceiver, ImageServer
from tests.fakes.story_cache import IMAGES, RAMDISK, TREE

BUILD = TREE / ".build"
MAC = "52:54:00:0a:0c:01"
DISK = 6 * 1024**3
OVMF = Path("/usr/share/OVMF")

pytestmark = [
    pytest.mark.story,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(os.geteuid() != 0, reason="mmdebstrap in root mode needs root"),
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86 is not installed"),
]

# Posts what cloud-init thought of itself, once it has ended.
CHECK = """\
#cloud-config
runcmd:
- [systemd-run, --no-block, sh, -c, 'while [ ! -s /run/cloud-init/result.json ]; do sleep 1; done;
   curl -s --data-urlencode result@/run/cloud-init/result.json
   --data-urlencode "warnings=$(grep -E "WARN|ERROR|Traceback" /var/log/cloud-init.log)"
   --data-urlencode "failed=$(systemctl --failed --plain --no-legend)"
   --data-urlencode "sudo=$(sudo -u debian sudo -n id -un)" --data-urlencode "size=$(df --output=size / | tail -n 1)"
   --data-urlencode "keys=$(cat ~debian/.ssh/authorized_keys)" URL/checked']
"""
OWN_PHONE = """\
#cloud-config
phone_home: {url: "URL/own", post: [hostname], tries: 2}
runcmd: [curl -s -d a=b URL/runcmd]
"""
WRITE = """\
import json, os, sys
sys.path.insert(0, "/agent.pyz")
from agent import imaging
result = imaging.write_image(json.load(open("/params.json")), print, lambda: False)
print("WRITTEN", json.dumps(result), flush=True)
imaging.load_kexec({}, print, lambda: False)
os.sync()
import ctypes
ctypes.CDLL(None).reboot(0x45584543)
"""
INIT = """\
#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs devtmpfs /dev; mount -t tmpfs tmpfs /run
exec </dev/console >/dev/console 2>&1
/usr/sbin/modprobe -a virtio_pci virtio_net virtio_blk ext4
until ip link set eth0 up; do sleep 0.2; done
ip addr add 10.0.2.15/24 dev eth0
exec python3 -I -S /write.py
"""


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """(the built image, its stream's description, the stream's files)."""
    out = BUILD / "images"
    out.mkdir(parents=True, exist_ok=True)
    built = debian.build(out / "debian-12.raw", IMAGES, report=print)
    folder = tmp_path_factory.mktemp("stream")
    prepared = importer.prepare(built.path, folder, image_sha256=built.sha256, declared="raw")
    return built, prepared.to_json(), {path.name: path.read_bytes() for path in folder.iterdir()}


def drive(home_port, user_data):
    """The config drive as the appliance makes it; 10.0.2.2 is this machine."""
    url = f"http://10.0.2.2:{home_port}"
    meta = {"uuid": "story", "hostname": "story1", "name": "story1", "public_keys": {"k": "ssh-ed25519 AAAA story"}}
    link = {"id": "boot", "type": "phy", "ethernet_mac_address": MAC}
    network = {"id": "boot4", "type": "ipv4_dhcp", "link": "boot", "network_id": "boot"}
    data = {"links": [link], "networks": [network], "services": []}
    vendor = userdata.call_home_vendor_data(f"{url}/call-home")
    text = user_data.replace("URL", url).encode()
    return base64.b64encode(configdrive.build(meta, data, text, vendor)).decode()


def params(image, server, home, user_data):
    port = server.base_url.split(":")[2].split("/")[0]
    return {
        "stream": image[1],
        "base_url": f"http://10.0.2.2:{port}/image/some-uuid",
        "token": TOKEN,
        "root_device": {"serial": "ROOT"},
        "config_drive": drive(home.url.rpartition(":")[2], user_data),
    }


class Machine:
    def __init__(self, folder, disk, extra):
        self.console = folder / "console"
        argv = [
            "qemu-system-x86_64",
            "-nodefaults",
            "-display",
            "none",
            "-serial",
            f"file:{self.console}",
            "-no-reboot",
        ]
        argv += ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max", "-m", "1024", "-device", "virtio-rng-pci"]
        argv += ["-drive", f"if=none,id=d0,file={disk},format=raw,cache=unsafe,discard=unmap"]
        argv += ["-device", "virtio-blk-pci,drive=d0,serial=ROOT"]
        argv += ["-netdev", "user,id=n0", "-device", f"virtio-net-pci,netdev=n0,romfile=,mac={MAC}", *extra]
        self._argv = argv

    def __enter__(self):
        self._process = subprocess.Popen(self._argv)
        self._begin = time.monotonic()
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def await_form(self, home, path, limit_s):
        while not any(place == path for place, _ in home.forms):
            said = self.console.read_text(errors="replace") if self.console.exists() else ""
            assert self._process.poll() is None, said[-3000:]
            assert time.monotonic() - self._begin < limit_s, said[-3000:]
            time.sleep(0.2)
        seconds = time.monotonic() - self._begin
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        print(f"{path} after {seconds:.1f} s, {cpu:.1f} s of processor time")
        return next(form for place, form in home.forms if place == path)


def test_the_image_is_small_and_comes_from_the_cache(image):
    built = image[0]
    assert built.used_bytes <= 350_000_000
    assert image[1]["data_bytes"] <= 110_000_000
    again = debian.build(BUILD / "images/debian-12.raw", IMAGES, report=print)
    assert again.is_from_cache
    assert again.sha256 == built.sha256
    schema = json.loads(built.schema.read_text())
    assert userdata.validate(CHECK.encode(), schema) == []
    assert [p.path for p in userdata.validate(b"#cloud-config\nruncmd: ls\n", schema)] == ["runcmd"]


def test_the_agent_writes_it_in_a_machine_and_goes_there_by_kexec(image, tmp_path):
    info = ramdisk.build(BUILD / "boot", RAMDISK, report=print)
    disk = tmp_path / "disk"
    with disk.open("wb") as out:
        out.truncate(DISK)
        out.write(b"old data" * 1_000_000)
    with ImageServer(image[2]) as server, FormReceiver() as home:
        extra = [
            file("story.sh", INIT.encode(), executable=True),
            file("write.py", WRITE.encode()),
            file("params.json", json.dumps(params(image, server, home, CHECK)).encode()),
        ]
        initrd = tmp_path / "initrd"
        initrd.write_bytes(info.initrd.read_bytes() + archive(extra))
        words = "console=ttyS0,115200 rdinit=/story.sh net.ifnames=0 quiet"
        boot = ["-machine", "pc,graphics=off", "-kernel", str(info.vmlinuz), "-initrd", str(initrd), "-append", words]
        with Machine(tmp_path, disk, boot) as machine:
            form = machine.await_form(home, "/call-home", 600)
            checked = machine.await_form(home, "/checked", 700)
    assert form["hostname"] == ["story1"]
    assert form["instance_id"] == ["story"]
    assert form["pub_key_ed25519"][0].startswith("ssh-ed25519 ")
    assert json.loads(checked["result"][0])["v1"]["errors"] == []
    assert json.loads(checked["result"][0])["v1"]["datasource"].startswith("DataSourceConfigDrive")
    assert checked["warnings"] == [""]
    assert checked["failed"] == [""]
    assert checked["sudo"] == ["root"]
    assert checked["keys"] == ["ssh-ed25519 AAAA story"]
    assert int(checked["size"][0]) > 0.9 * (DISK - 200 * 1024**2) / 1024
    said = machine.console.read_text(errors="replace")
    print(next(line for line in said.splitlines() if line.startswith("WRITTEN")))


@pytest.mark.skipif(not (OVMF / "OVMF_CODE_4M.fd").exists(), reason="ovmf is not installed")
def test_uefi_boots_it_and_the_users_own_phone_home_is_kept(image, tmp_path):
    root = tmp_path / "root"
    (root / "sys/devices/virtio0/block/vda").mkdir(parents=True)
    (root / "sys/block").mkdir()
    (root / "sys/block/vda").symlink_to("../devices/virtio0/block/vda")
    (root / "sys/block/vda/size").write_text(str(DISK // 512))
    (root / "sys/block/vda/serial").write_text("ROOT")
    (root / "dev").mkdir()
    with (root / "dev/vda").open("wb") as out:
        out.truncate(DISK)
    with ImageServer(image[2]) as server, FormReceiver() as home:
        wanted = params(image, server, home, OWN_PHONE) | {"base_url": server.base_url}
        imaging.write_image(wanted, print, lambda: False, root=root)
        shutil.copyfile(OVMF / "OVMF_VARS_4M.fd", tmp_path / "vars")
        flash = [
            f"if=pflash,format=raw,readonly=on,file={OVMF}/OVMF_CODE_4M.fd",
            f"if=pflash,format=raw,file={tmp_path}/vars",
        ]
        boot = ["-machine", "q35", *(word for item in flash for word in ("-drive", item))]
        with Machine(tmp_path, root / "dev/vda", boot) as machine:
            machine.await_form(home, "/call-home", 600)
            machine.await_form(home, "/own", 700)
    # The machine is called up when the user's commands have run.
    assert [path for path, _ in home.forms] == ["/runcmd", "/call-home", "/own"]
