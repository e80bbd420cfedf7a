# SPDX-License-Identifier: GPL-2.0
"""What the bed knows: kernel series, architectures, hypervisors, the test device.

Each fact stands here once.
"""

from dataclasses import dataclass

from bed.base import Failure

# Kernel series, the first is the default; and the suites of Debian that hold their
# source: "+" for all that the system itself uses of that release.
KERNELS = {"6.12": "bookworm-backports", "7.3": "trixie-backports", "6.1": "+bookworm"}

# The series that can run User Mode Linux on more than one processor.
UML_KERNEL = "7.3"

# Hypervisors, the first is the default.
XENS = {"4.17": "+bookworm", "4.20": "trixie"}

# QEMUs other than the one that is installed, by the suite of Debian that holds them: one whose
# SMMUv3 has the second stage, which Xen needs.
QEMUS = {"10": "bookworm-backports"}

# Flavours: the configurations in configs/ARCH-NAME.config, each laid over the one before.
FLAVOURS = {
    ("x86", "test"): ("test",),
    ("x86", "debug"): ("test", "debug"),
    ("x86", "race"): ("test", "race"),
    ("x86", "system"): ("test", "system"),
    ("x86", "trace"): ("test", "trace"),
    ("arm64", "test"): ("test",),
    ("arm64", "debug"): ("test", "debug"),
    ("arm64", "rt"): ("test", "rt"),
    ("arm", "test"): ("test",),
    ("um", "test"): ("test",),
    ("um", "debug"): ("test", "debug"),
}


@dataclass(frozen=True)
class Arch:
    """An architecture: its names elsewhere, its image, the machine QEMU makes of it."""

    name: str
    debian: str
    cross: str
    targets: tuple
    image: str
    packages: tuple
    qemu: str = ""
    qemu_package: str = ""
    machine: str = ""
    cpu: str = ""
    smp: int = 1
    mem: str = ""
    dom0_mem: str = ""


ARCHES = {arch.name: arch for arch in (
    Arch("x86", "amd64", "", ("bzImage", "modules"), "arch/x86/boot/bzImage", (),
         "qemu-system-x86_64", "qemu-system-x86", "q35", "Opteron_G3,misalignsse=off", 2, "6G", "2G"),
    # With one processor the emulated ARM machines boot several times faster.
    Arch("arm64", "arm64", "aarch64-linux-gnu-", ("Image", "modules"), "arch/arm64/boot/Image",
         ("gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"),
         "qemu-system-aarch64", "qemu-system-arm", "virt,virtualization=on,gic-version=3", "cortex-a57", 1, "4G",
         "512M"),
    # What lies above 4 GiB is out of reach: Xen's heap, and the PCIe bridge's registers.
    Arch("arm", "armhf", "arm-linux-gnueabihf-", ("zImage", "modules"), "arch/arm/boot/zImage",
         ("gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross"),
         "qemu-system-arm", "qemu-system-arm", "virt,virtualization=on,highmem=off", "cortex-a15", 1, "2G", "512M"),
    Arch("um", "amd64", "", ("linux",), "linux", ()),
)}

BUILD_PACKAGES = ("make", "gcc", "libc6-dev", "flex", "bison", "bc", "perl", "libelf-dev", "libssl-dev", "ccache",
                  "lz4", "rsync")


def edu_devices(count=16):
    """QEMU's arguments for that many edu devices: witnesses work side by side, for each
    transfer takes one 100 ms."""
    words = []
    for address in range(4, 4 + count):
        words += ["-device", f"edu,dma_mask=0xffffffffffffffff,addr={address:#x}"]
    return words


def one_of(what, name, known):
    """Refuse a name that is not known."""
    if name not in known:
        raise Failure(f"unknown {what} '{name}' (known: {' '.join(known)})")
    return name
