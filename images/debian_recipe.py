"""What the Debian image is made of: packages, what is left out of them, and the files that we add. Tables, no work.

Left out by dpkg's own `path-exclude`, which stays in the image, so an upgrade of a package on the node leaves the same
things out. cloud-init is the cost of a first boot: each module listed below is imported by each boot, so modules for
software that the image does not have are not listed.
"""

from enum import Enum


class Kernel(Enum):
    """cloud: virtual machines (virtio, NVMe, Hyper-V, Xen). generic: real servers, about 160 MB more."""

    CLOUD = "cloud"
    GENERIC = "generic"


CODENAMES = {"debian-12": "bookworm"}

PACKAGES = (
    "ca-certificates",
    "cloud-guest-utils",
    "cloud-init",
    "curl",
    "dbus",
    "initramfs-tools",
    "iproute2",
    "iputils-ping",
    "kmod",
    "less",
    "libpam-systemd",
    "netbase",
    "netplan.io",
    "openssh-server",
    "sudo",
    "systemd-resolved",
    "systemd-sysv",
    "systemd-timesyncd",
    "tzdata",
    "udev",
    "usr-is-merged",  # else `usrmerge`, which brings 47 MB of Perl
    "zstd",
)
KERNEL_PACKAGES = {Kernel.CLOUD: "linux-image-cloud-amd64", Kernel.GENERIC: "linux-image-amd64"}

# Fetched into the tree's apt cache and unpacked outside of it: the boot loader's files, not its packages.
BOOT_PACKAGES = ("shim-signed", "grub-efi-amd64-signed", "grub-pc-bin")

EXCLUDED = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/lintian/*",
    "/usr/share/bug/*",
    "/usr/share/locale/*",
    "/usr/share/i18n/locales/cns11643_stroke",
    "/usr/share/i18n/locales/iso14651_t1_pinyin",
    "/usr/lib/udev/hwdb.d/20-*",  # names of vendors, 20 MB with the compiled form
    "/lib/udev/hwdb.d/20-*",
)
INCLUDED = ("/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias")

# Below kernel/ in the modules: what neither a server nor a virtual machine of ours uses.
EXCLUDED_MODULES = (
    "drivers/comedi", "drivers/staging", "drivers/media", "drivers/isdn", "drivers/iio", "drivers/bluetooth",
    "drivers/net/wireless", "drivers/net/wwan", "drivers/net/can", "drivers/net/arcnet", "drivers/net/hamradio",
    "drivers/net/ieee802154", "drivers/net/plip", "drivers/net/slip", "drivers/net/usb", "drivers/nfc",
    "drivers/gpu/drm/amd", "drivers/gpu/drm/i915", "drivers/gpu/drm/nouveau", "drivers/gpu/drm/radeon",
    "drivers/gpu/drm/gma500", "drivers/gpu/drm/vmwgfx", "drivers/input/touchscreen", "drivers/input/joystick",
    "drivers/input/tablet", "drivers/video", "drivers/usb/gadget", "drivers/usb/misc", "drivers/usb/atm",
    "drivers/block/drbd", "drivers/block/aoe", "drivers/block/rbd", "drivers/pcmcia", "drivers/parport",
    "drivers/firewire", "drivers/mtd", "drivers/mmc", "drivers/memstick", "drivers/auxdisplay", "drivers/greybus",
    "drivers/atm", "drivers/leds", "drivers/ssb", "drivers/bcma", "drivers/xen/xenfs", "drivers/target", "sound",
    "net/rds", "net/tipc", "net/smc", "net/dccp", "net/ceph", "net/wireless", "net/mac80211", "net/bluetooth",
    "net/nfc", "net/can", "net/ax25", "net/netrom", "net/rose", "net/atm", "net/batman-adv", "net/ieee802154",
    "net/mac802154", "net/6lowpan", "net/appletalk", "net/x25", "net/lapb", "net/phonet", "net/rxrpc", "net/sctp",
    "fs/ceph", "fs/ocfs2", "fs/gfs2", "fs/jfs", "fs/reiserfs", "fs/hfs", "fs/hfsplus", "fs/ufs", "fs/afs", "fs/coda",
    "fs/orangefs", "fs/nilfs2", "fs/jffs2", "fs/ubifs", "fs/f2fs", "fs/minix", "fs/ntfs3", "fs/ntfs", "fs/dlm",
    "fs/affs", "fs/befs", "fs/bfs", "fs/qnx4", "fs/qnx6", "fs/sysv", "fs/omfs", "fs/romfs", "fs/hpfs", "fs/efs",
    "fs/adfs", "fs/freevxfs", "fs/ksmbd",
)  # fmt: skip

# The modules of the initramfs: what can hold a root file system, and no more.
INITRAMFS_MODULES = (
    "virtio_pci", "virtio_blk", "virtio_scsi", "nvme", "sd_mod", "ahci", "ata_piix", "ata_generic", "xen_blkfront",
    "hv_storvsc", "vmw_pvscsi", "megaraid_sas", "mpt3sas", "mpi3mr", "smartpqi", "hpsa", "aacraid", "ext4", "crc32c",
    "crc32c_generic", "crc32c_intel",
)  # fmt: skip

# Placed before the packages are configured: the initramfs takes its file system check from fstab. Nothing in the image
# writes to the ESP, so that is not mounted by itself.
EARLY_FILES = {
    "etc/fstab": "UUID=@ROOT@ / ext4 noatime,errors=remount-ro 0 1\nLABEL=ESP /boot/efi vfat umask=0077,noauto 0 0\n",
    "etc/initramfs-tools/conf.d/image": "MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=19\n",
    "etc/initramfs-tools/hooks/image": (
        '#!/bin/sh\n[ "$1" = prereqs ] && exit 0\n. /usr/share/initramfs-tools/hook-functions\n'
        f"manual_add_modules {' '.join(INITRAMFS_MODULES)}\n"
    ),
}

# The four processes of cloud-init cost about 4 s each in an emulated machine before they do anything. The `config`
# stage has nothing that must happen between `init` and `final`, so its modules run first in `final` and its unit is
# masked. scripts-vendor comes after the user's scripts, since it is by it that a machine calls home.
CLOUD_CONFIG = """\
# How this image wants cloud-init to be; user-data overrides each key.
datasource_list: [ ConfigDrive, NoCloud, None ]
locale: C.UTF-8
ssh_genkeytypes: [ed25519]
apt: {preserve_sources_list: true}
cloud_init_modules: [seed_random, bootcmd, write-files, growpart, resizefs, disk_setup, mounts, set_hostname,
  update_hostname, update_etc_hosts, ca-certs, users-groups, ssh]
cloud_config_modules: []
cloud_final_modules: [ssh-import-id, locale, set-passwords, apt-configure, ntp, timezone, runcmd,
  package-update-upgrade-install, write-files-deferred, scripts-per-once, scripts-per-boot, scripts-per-instance,
  scripts-user, scripts-vendor, ssh-authkey-fingerprints, phone-home, final-message, power-state-change]
"""

# cloud-init calls `netplan generate` and `netplan info`; the Python front end takes 3 s of an emulated processor for
# what a C program and a constant can answer. Everything else goes to the real one.
NETPLAN = """\
#!/bin/sh
# Quick answers for cloud-init at boot; the rest is /usr/sbin/netplan.
[ "$*" = generate ] && exec /usr/libexec/netplan/generate
[ "$*" = info ] && [ -s /usr/local/share/netplan-info ] && exec cat /usr/local/share/netplan-info
exec /usr/sbin/netplan "$@"
"""

# Debian's generator asks ds-identify, a shell script that looks at every disk and at the firmware's tables, 4 s of an
# emulated processor, which datasources could be there. There are three, and cloud-init finds out by itself.
GENERATOR = """\
#!/bin/sh
# Enables cloud-init, unless the kernel line or /etc/cloud/cloud-init.disabled says no.
read -r line </proc/cmdline
case " $line " in *" cloud-init=disabled "*) exit 0 ;; esac
[ -e /etc/cloud/cloud-init.disabled ] && exit 0
mkdir -p /run/cloud-init "$2/multi-user.target.wants"
ln -sf /lib/systemd/system/cloud-init.target "$2/multi-user.target.wants/cloud-init.target"
: >/run/cloud-init/enabled
"""
PROGRAMS = {"usr/local/sbin/netplan": NETPLAN, "etc/systemd/system-generators/cloud-init-generator": GENERATOR}

FILES = {
    "etc/cloud/cloud.cfg.d/90_image.cfg": CLOUD_CONFIG,
    "etc/hostname": "localhost\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    "etc/machine-id": "",
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/kernel-img.conf": "do_symlinks = yes\n",
}

MASKED_UNITS = (
    "apt-daily.timer",
    "cloud-config.service",
    "cloud-init-hotplugd.socket",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-pstore.service",
)

# The last console= becomes /dev/console, where systemd and cloud-init speak. rw: the initramfs has checked the file
# system by then, so that a remount and a second check are spared.
COMMAND_LINE = "rw console=tty0 console=ttyS0,115200"
