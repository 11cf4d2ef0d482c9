"""What goes into the agent ramdisk: literal tables only.

Not here: how it is fetched (ramdisk_apt) and packed (ramdisk). A change of any table gives a new recipe hash and so a
rebuild. Sizes are those of Debian 12 on amd64.
"""

# The kernel is the generic one: the `cloud` flavour has no AHCI, no e1000 and no IPMI.
PACKAGES = (
    "linux-image-amd64",
    "busybox-static",
    "python3-minimal",
    "libpython3-stdlib",
    "kmod",
    "libzstd1",
    "hdparm",
    "dropbear-bin",
)

# Programs outside busybox, each with its user. What Python can do by itself (partition tables, image streams, IPMI,
# LLDP, SMBIOS, NVMe format, discard, kexec) is done by the agent and needs no program.
PROGRAMS = (
    "kmod",  # coldplug; busybox's modprobe reads no zstd modules
    "hdparm",  # agent.secure_erase: ATA secure erase
    "dropbear",  # agent.rescue: the way in, started only there
    "dropbearkey",
)
# Libraries that Python opens by name, beyond those that programs and modules are linked with.
LIBRARIES = (
    "libzstd.so.1",  # agent.imaging
)
KMOD_NAMES = ("modprobe", "insmod", "rmmod", "lsmod")
BUSYBOX_NAMES = (
    "sh",
    "mount",
    "umount",
    "blockdev",
    "partprobe",
    "udhcpc",
    "ip",
    "cat",
    "ls",
    "dd",
    "dmesg",
    "ps",
    "sync",
    "reboot",
    "poweroff",
    "vi",
    "wget",
    "ping",
    "hexdump",
    "mkdir",
    "mknod",
    "tail",
    "top",
    "free",
    "df",
    "kill",
)

# Below kernel/; a folder means everything in it, dependencies and soft dependencies follow by themselves.
# Left out on purpose: GPU, sound, wireless, file systems other than those of our images; drivers that do nothing
# without firmware files, which `main` does not carry (bnx2, bnx2x, qla2xxx, liquidio).
MODULES = (
    "arch/x86/crypto/crc32c-intel.ko",
    "crypto/crc32c_generic.ko",
    "drivers/ata/ahci.ko",
    "drivers/ata/ata_generic.ko",
    "drivers/ata/ata_piix.ko",
    "drivers/block/loop.ko",
    "drivers/block/virtio_blk.ko",
    "drivers/char/hw_random/virtio-rng.ko",
    "drivers/char/ipmi/ipmi_devintf.ko",
    "drivers/char/ipmi/ipmi_si.ko",
    "drivers/char/ipmi/ipmi_ssif.ko",
    "drivers/hid/usbhid/usbhid.ko",
    "drivers/hid/hid-generic.ko",
    "drivers/hv/hv_vmbus.ko",
    "drivers/md/md-mod.ko",
    "drivers/net/ethernet/amazon",
    "drivers/net/ethernet/atheros/atl1c",
    "drivers/net/ethernet/atheros/alx",
    "drivers/net/ethernet/aquantia",
    "drivers/net/ethernet/broadcom/bnxt",
    "drivers/net/ethernet/broadcom/tg3.ko",
    "drivers/net/ethernet/chelsio/cxgb4/cxgb4.ko",
    "drivers/net/ethernet/cisco/enic",
    "drivers/net/ethernet/emulex/benet",
    "drivers/net/ethernet/intel/e1000",
    "drivers/net/ethernet/intel/e1000e",
    "drivers/net/ethernet/intel/i40e",
    "drivers/net/ethernet/intel/ice/ice.ko",
    "drivers/net/ethernet/intel/igb",
    "drivers/net/ethernet/intel/igc",
    "drivers/net/ethernet/intel/ixgbe",
    "drivers/net/ethernet/mellanox/mlx4/mlx4_en.ko",
    "drivers/net/ethernet/mellanox/mlx5/core/mlx5_core.ko",
    "drivers/net/ethernet/realtek/8139cp.ko",
    "drivers/net/ethernet/realtek/r8169.ko",
    "drivers/net/ethernet/sfc/sfc.ko",
    "drivers/net/hyperv",
    "drivers/net/phy/broadcom.ko",
    "drivers/net/phy/realtek.ko",
    "drivers/net/usb/cdc_ether.ko",
    "drivers/net/virtio_net.ko",
    "drivers/net/vmxnet3",
    "drivers/nvme/host/nvme.ko",
    "drivers/pci/controller/vmd.ko",
    "drivers/scsi/aacraid",
    "drivers/scsi/hpsa.ko",
    "drivers/scsi/hv_storvsc.ko",
    "drivers/scsi/megaraid/megaraid_sas.ko",
    "drivers/scsi/mpi3mr",
    "drivers/scsi/mpt3sas",
    "drivers/scsi/sd_mod.ko",
    "drivers/scsi/sg.ko",
    "drivers/scsi/smartpqi",
    "drivers/scsi/virtio_scsi.ko",
    "drivers/scsi/vmw_pvscsi.ko",
    "drivers/usb/host/ehci-pci.ko",
    "drivers/usb/host/xhci-pci.ko",
    "drivers/usb/storage/uas.ko",
    "drivers/usb/storage/usb-storage.ko",
    "drivers/virtio/virtio_balloon.ko",
    "drivers/virtio/virtio_pci.ko",
    "fs/btrfs",
    "fs/efivarfs",
    "fs/ext4",
    "fs/fat/vfat.ko",
    "fs/isofs",
    "fs/nls/nls_ascii.ko",
    "fs/nls/nls_cp437.ko",
    "fs/nls/nls_utf8.ko",
    "fs/xfs",
)

# Python modules beyond those that the agent's sources import by name: imported lazily by the standard library itself.
PYTHON_EXTRA = (
    "encodings.ascii",
    "encodings.cp437",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.utf_8",
    "encodings.utf_16_le",
    "encodings.hex_codec",
    "traceback",
    "zipimport",
    "runpy",
)
