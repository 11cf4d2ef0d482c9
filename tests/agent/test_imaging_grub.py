from hypothesis import given
from hypothesis import strategies as st

from agent.imaging_grub import Entry, from_grub, from_loader_entry

# Of a Debian 12 cloud image, shortened.
DEBIAN = """\
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
fi
set default="0"
set linux_gfx_mode=keep
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-a1' {
	load_video
	insmod gzio
	search --no-floppy --fs-uuid --set=root a1b2
	echo	'Loading Linux 6.1.0-18-cloud-amd64 ...'
	linux	/boot/vmlinuz-6.1.0-18-cloud-amd64 root=UUID=a1b2 ro  console=tty0 console="ttyS0,115200" $vt_handoff
	echo	'Loading initial ramdisk ...'
	initrd	/boot/initrd.img-6.1.0-18-cloud-amd64
}
submenu 'Advanced options' {
	menuentry 'recovery' {
		linux	/boot/vmlinuz-6.1.0-18-cloud-amd64 root=UUID=a1b2 ro single
		initrd	/boot/initrd.img-6.1.0-18-cloud-amd64
	}
}
"""


def test_debian():
    assert from_grub(DEBIAN) == Entry(
        "/boot/vmlinuz-6.1.0-18-cloud-amd64",
        ("/boot/initrd.img-6.1.0-18-cloud-amd64",),
        "root=UUID=a1b2 ro console=tty0 console=ttyS0,115200",
    )


def test_variables_devices_and_several_initrds():
    text = "set kern=/vmlinuz\nlinux ($root)${kern} quiet a='b c'\ninitrd /ucode.img \\\n /initrd.img\nboot\n"
    assert from_grub(text) == Entry("/vmlinuz", ("/ucode.img", "/initrd.img"), "quiet a=b c")
    assert from_grub("linuxefi /v\n") == Entry("/v", (), "")


def test_no_kernel():
    assert from_grub("set timeout=0\nconfigfile /other.cfg\n") is None
    assert from_grub("# linux /vmlinuz\n") is None
    assert from_loader_entry("title x\n") is None


def test_loader_entry():
    text = (
        "title Fedora\nversion 6.7\nlinux /vmlinuz-6.7\ninitrd /ucode.img\ninitrd /initramfs-6.7.img $tuned\n"
        "options root=UUID=a ro $kernelopts\n# comment\n"
    )
    entry = from_loader_entry(text, "kernelopts=quiet splash\n")
    assert entry == Entry("/vmlinuz-6.7", ("/ucode.img", "/initramfs-6.7.img"), "root=UUID=a ro quiet splash")


@given(st.text(max_size=300))
def test_any_text_is_read(text):
    from_grub(text)
    from_grub(f"linux {text}\ninitrd {text}")
    from_loader_entry(f"linux {text}")
