# SPDX-License-Identifier: GPL-2.0
"""The beds: what is booted, with which kernels, and which scripts of the kselftest run in it.

To add a bed, add a row to BEDS: a name of its own, the scripts in the order in which they
are to run, the kernels, and words for scripts/boot. A test that is impossible there is
named in `impossible`: it must then be skipped, and no other may. `main` are the kernels
that make check boots, all others are for make check-all. On a stock kernel exactly those
tests must fail that tools/testing/selftests/xen-dma/stock-failures lists (on ARM
arm-stock-failures, with the bed's name before them); so a bed with a stock kernel needs its
failures there. A new script of the kselftest goes into the row of each bed that can run it.
"""

from dataclasses import dataclass

from bed.known import edu_devices


@dataclass(frozen=True)
class Bed:
    """A row of the table. A kernel is "6.12", "6.12-stock", or "6.12-FLAVOUR"."""

    name: str
    scripts: str
    kernels: str = "6.12 6.12-stock"
    boot: tuple = ()
    impossible: str = ""
    arch: str = "arm64"
    main: str = ""              # of the kernels
    environment: str = ""       # for the scripts
    dts: str = ""               # appended to the machine's device tree
    beside: str = ""            # what runs in the other domain
    disks: tuple = ()           # name in the domain, MiB, and words for QEMU's drive and device
    hypervisor: str = ""        # a variant of bed/hypervisor.py, in place of Debian's
    timeout: int = 900          # seconds for the boot; three times that with a flavour

    def __str__(self):
        return f"{self.arch}-{self.name}".rstrip("-")

    @property
    def is_judged(self):
        """Does Xen drive an SMMU that devices are behind? Then there must be no event of it but those that
        the script arm_stray causes, which must all be there."""
        return ("--smmu", "xen") in zip(self.boot, self.boot[1:])


# The stock lists' names for a test begin with the bed's, except on x86.
X86 = Bed("", "boot_message map sync sg limits figures named growth exhaust coherent mmap parallel disk_read "
          "coherent_atomic coherent_balloon coherent_exhaust coherent_fault coherent_conserve",
          "6.12 6.12-stock 7.3 6.1 6.12-debug 6.12-race",
          ("--append", "xen_dma.max=128M xen_dma.idle=2 xen_dma.coherent_pooled=0"),
          arch="x86", main="6.12 6.12-stock", environment="XDT_IDLE=2", timeout=1800,
          disks=(("sda", 16, "", "ide-hd,bus=ide.0"), ("nvme0n1", 16, "", "nvme,serial=check")))

# What is exchanged is tested above; here small coherent memory comes from the aperture.
POOLED = Bed("pooled", "map sg limits exhaust coherent parallel dmabuf", "6.12 7.3 6.12-debug",
             ("--append", "xen_dma.max=128M xen_dma.idle=2"), arch="x86", main="6.12", timeout=1800)

# Elsewhere on x86 memory stays scattered; here the driver puts it together.
DEFRAG = [Bed(f"defrag{order}", "defrag", kernels,
              ("--append", f"xen_dma.idle=2 xen_dma.defrag={order}"),
              arch="x86", environment=f"XDT_ORDER={order}", timeout=1800)
          for order, kernels in ((9, "6.12 7.3 6.1 6.12-debug 6.12-race"), (3, "6.12"))]

# Four disks that are always bounced for, and so slow that all their commands are under way.
DEEP = Bed("deep", "disk_depth", "6.12 7.3", ("--append", "swiotlb=force xen_dma.max=64M"), arch="x86",
           disks=tuple((f"sd{name}", 64, ",throttling.iops-total=30", f"ide-hd,bus=ide.{nr}")
                       for nr, name in enumerate("abcd")))

# In this order: on stock, pages move that grants were mapped at.
OWN = "arm_map arm_masks arm_sg arm_foreign"

# What is not possible where all memory is in one run, or on one side of 4 GiB.
CROSSING = "xdt_arm_map.across_runs xdt_arm_sg.across_runs xdt_arm_sg.beside_crossing"
ONE_SIDE = "xdt_arm_foreign.bounced_pages xdt_arm_foreign.bounced_list xdt_arm_foreign.bounced_sync"
ONE_RUN = f"{CROSSING} {ONE_SIDE}"

# Device trees of dom0: a device that does not see the caches, one that an IOMMU is said
# to protect, one that bounces through a pool of its own.
NONCOHERENT = "/ { pcie@10000000 { /delete-property/ dma-coherent; }; };"
SAFE = "/ { pcie@10000000 { xen,dma-safe; }; };"
RESTRICTED = """
/ {
	reserved-memory {
		#address-cells = <2>;
		#size-cells = <2>;
		ranges;
		pool: pool@d0000000 {
			compatible = "restricted-dma-pool";
			reg = <0 0xd0000000 0 0x400000>;
		};
	};
	pcie@10000000 { memory-region = <&pool>; };
};
"""

# A device that does not see the caches, and memory that the kernel does not map.
NO_MAP = NONCOHERENT + """
/ {
	reserved-memory {
		#address-cells = <2>;
		#size-cells = <2>;
		ranges;
		carveout@d0000000 {
			reg = <0 0xd0000000 0 0x200000>;
			no-map;
		};
	};
};
"""

# Buses that see the machine through windows. Of each: bus address, machine address, size.
WINDOWS = "/ {{ pcie@10000000 {{ dma-ranges = {}; }}; }};"
LARGE = ("--mem", "6G", "--dom0-mem", "5G", "--append", "xen_dma.size=4M xen_dma.max=512M")
NONE_BEYOND = "xdt_arm_windows.bounced xdt_arm_windows.largest xdt_arm_windows.growth"


def windows(name, *rows, kernels="6.12 6.12-stock", dts="", **more):
    """A bed of a dom0 of 5 GiB, from 1 GiB on, whose PCIe devices see the machine through windows."""
    cells = ", ".join("<0x02000000 " + " ".join(f"{number >> 32:#x} {number & 0xffffffff:#x}" for number in row) + ">"
                      for row in rows)
    return Bed(f"windows-{name}", "arm_windows", kernels, LARGE, dts=WINDOWS.format(cells) + dts, **more)


GIB = 1 << 30

# Driver domains: their memory in one run or in four; one whose device does not see the caches.
DOMU = ("--domu", "256M")
DOMU_4 = ("--domu", "512M", "--hole-every", "256M")

# With our hypervisor: it has no hypercall that tells; only that one tells.
UNANSWERED = ("--domu-props", 'test,answer = "nothing";')
UNPUBLISHED = ("--domu-props", "test,publish-nothing;")


def pieces(memory, order):
    """A driver domain whose memory is in pieces of 2^order pages, of which nobody tells."""
    return (*UNPUBLISHED, *UNANSWERED, "--domu", memory, "--domu-props", f"test,extent-order = <{order}>;")


APART = ("--pass-props", "/delete-property/ dma-coherent;")
UNPROBED = ("--append", "xen_dma_probe=off")
UNSAID = ("--pass-props", "/delete-property/ xen,dma-unprotected;")
UNPROBEABLE = ("--xen-append", "gnttab_max_maptrack_frames=0")
ONLY_ASKED = DOMU + UNPUBLISHED + UNPROBED

# dma-ranges of the bus, written by who knows the offsets: right for stock's own memory
# too, as long as that stays where it is.
RANGES_1 = ("--pass-props", "dma-ranges = <0x02000000 1 0x20000000 0 0x40000000 0 0x10000000>;")
RANGES_4 = ("--pass-props", "dma-ranges = <0x02000000 1 0x08000000 0 0x40000000 0 0x08000000>, "
            "<0x02000000 1 0x18000000 0 0x48000000 0 0x08000000>, "
            "<0x02000000 1 0x28000000 0 0x50000000 0 0x08000000>, "
            "<0x02000000 0 0x88000000 0 0x58000000 0 0x08000000>;")

# Behind an SMMU: one that Xen drives, in which case the domain may have no other device; one that
# translates to machine addresses and nothing else, so that a domain is as if there were none, but
# watched; and one that dom0 drives.
SMMU = ("--smmu", "xen")
ALONE = ("--pass-dts", "/ { passthrough { /delete-node/ fw-cfg@9020000; }; };")
FENCE = (*SMMU, "--pass-props", "xen,dma-unprotected;", "--xen-append", "dma-fence")
FENCE_DOM0 = (*SMMU, "--xen-append", "dma-fence")
OWN_SMMU = ("--smmu", "linux")
# Given to a domain along with the bridge: it finds its own memory, but what it translates to is wrong.
SMMU_TOO = ("--pass-dts", """
/ { passthrough {
	smmu: smmuv3@9050000 {
		compatible = "arm,smmu-v3";
		reg = <0 0x09050000 0 0x20000>;
		#iommu-cells = <1>;
		dma-coherent;
		xen,reg = <0 0x09050000 0 0x20000 0 0x09050000>;
		xen,path = "/smmuv3@9050000";
		xen,force-assign-without-iommu;
		xen,dma-unprotected;
	};
	pcie@10000000 { iommu-map = <0 &smmu 0 0x10000>; };
}; };
""")

# What pages of others are not where an IOMMU translates: apart, though they are neighbours.
TRANSLATED = ONE_RUN + " xdt_arm_foreign.straddling"

# Where some devices are behind one, one that has no node counts as one that is not.
MIXED = ONE_RUN + " xdt_arm_map.borrowed_node"

# What strays are impossible in a domain that is mapped 1:1.
ONE_ADDRESS = " xdt_arm_stray.other_address xdt_arm_stray.given_back xdt_arm_stray.given_back_again"

OFFER = "cd /kselftest/xen-dma && XDT_OFFER_TO={} ./arm_offer.sh\n"
TO_DOM0 = {"boot": (*DOMU, "--test-in", "dom0"), "environment": "XDT_OFFER_FROM=1", "beside": OFFER.format(0)}
TO_DOMU = {"environment": "XDT_OFFER_FROM=0", "beside": OFFER.format(1)}

ARM64 = [
    # 1:1; the device reaches all memory, or does not see the caches
    Bed("dom0-3g", "map sync sg parallel arm_map arm_masks arm_sg", "6.12 7.3 6.12-stock 6.12-rt",
        ("--dom0-mem", "3G", "--smp", "2"),
        CROSSING + " xdt_map.straddling_pages xdt_sg.from_pages xdt_sg.appended_pages"),
    Bed("dom0", OWN + " arm_moved", "6.12 6.12-stock 6.12-debug 6.12-rt 6.1", (), ONE_RUN, main="6.12"),
    Bed("dom0-noncoherent", OWN + " arm_noncoherent", impossible=ONE_RUN, dts=NONCOHERENT, main="6.12"),
    Bed("restricted", "arm_restricted", dts=RESTRICTED),
    Bed("no-map", "arm_nomap", "6.12 7.3", dts=NO_MAP, main="6.12"),
    Bed("safe-dom0", "arm_safe", dts=SAFE),
    # dma-ranges as on the Raspberry Pi 5 and 4, with more memory than the window, and with less
    windows("pi5-3g", (16 * GIB, GIB, 3 * GIB)),
    windows("pi5-8g", (16 * GIB, GIB, 8 * GIB), impossible=NONE_BEYOND),
    windows("pi4", (0, 0, 3 * GIB), main="6.12"),
    windows("soc", (3 * GIB, GIB, GIB)),
    windows("noncoherent", (16 * GIB, GIB, 3 * GIB), dts=NONCOHERENT),
    # Above all that devices of 35 bits use; only to high memory, on either side; two of them, where
    # stock takes no mask with which anything would be bounced
    windows("36", (32 * GIB, GIB, 3 * GIB)),
    windows("high", (0, 4 * GIB, 4 * GIB), main="6.12"),
    windows("36-high", (32 * GIB, 4 * GIB, 4 * GIB)),
    windows("two", (0, GIB + GIB // 4, GIB // 4), (16 * GIB, 4 * GIB, GIB), kernels="6.12"),
    # An unmodified hypervisor: probed
    Bed("domu-1", OWN + " arm_fwcfg arm_moved", "6.12 6.12-stock 6.12-debug 6.12-rt 6.1", DOMU, ONE_RUN,
        main="6.12"),
    Bed("domu-noncoherent", OWN + " arm_noncoherent arm_moved", boot=DOMU + APART, impossible=ONE_RUN),
    Bed("domu-4", OWN + " arm_moved", "6.12 7.3 6.1 6.12-stock", DOMU_4, main="6.12"),
    Bed("domu-6", "arm_map arm_sg arm_moved", "6.12 7.3",
        ("--mem", "6G", "--domu", "768M", "--hole-every", "256M")),
    # At work before all memory is probed: a large domain; in pieces of which one is low; one of small pieces
    # (Pages that left and came back meanwhile may be runs of their own, with nothing free around.)
    Bed("learning", "arm_learning arm_masks arm_moved", "6.12 7.3", ("--mem", "8G", "--domu", "2G"), ONE_RUN,
        environment="XDT_EARLY=1", main="6.12"),
    Bed("learning-6", "arm_learning arm_map arm_masks arm_sg", "6.12",
        ("--mem", "6G", "--domu", "768M", "--hole-every", "256M")),
    Bed("learning-narrow", "arm_narrow", "6.12", ("--mem", "8G", "--domu", "2G")),
    Bed("learning-2m", "arm_learning arm_map", "6.12", pieces("1G", 9), hypervisor="dma"),
    # A fragmented host: 2 MiB pieces that are no neighbours. And cache colouring: single pages.
    Bed("domu-2m", "arm_pieces arm_map arm_sg arm_foreign arm_grant_dma arm_moved", "6.12", pieces("512M", 9), ONE_SIDE,
        hypervisor="dma", main="6.12"),
    Bed("domu-pages", "arm_pieces", boot=pieces("256M", 0), hypervisor="dma", main="6.12"),
    Bed("domu-small", "arm_small", "6.12", (*pieces("768M", 0), "--hole-every", "256M"), hypervisor="dma",
        main="6.12"),
    Bed("domu-4.20", "arm_map arm_foreign arm_fwcfg", "6.12", (*DOMU, "--xen-version", "4.20"), ONE_RUN),
    # The hypervisor tells when it is asked: of all memory, and of what kind the devices are
    Bed("asked-1", "arm_source arm_map arm_fwcfg arm_moved", "6.12 7.3", ONLY_ASKED, ONE_RUN, hypervisor="dma",
        environment="XDT_SOURCE=hypercall", main="6.12"),
    Bed("asked-4", "arm_source arm_map arm_sg arm_foreign arm_moved", "6.12", DOMU_4 + UNPUBLISHED + UNPROBED,
        hypervisor="dma", environment="XDT_SOURCE=hypercall", main="6.12"),
    Bed("asked-unsaid", "arm_source arm_map", "6.12", ONLY_ASKED + UNSAID, ONE_RUN, hypervisor="dma",
        environment="XDT_SOURCE=hypercall"),
    Bed("asked-mixed", "arm_source arm_map arm_fwcfg", "6.12", (*ONLY_ASKED, "--domu-props", 'test,answer = "mixed";'),
        ONE_RUN, hypervisor="dma", environment="XDT_SOURCE=hypercall-mixed"),
    Bed("asked-mixed-unsaid", "arm_source arm_safe arm_unsaid", "6.12",
        (*ONLY_ASKED, *UNSAID, "--domu-props", 'test,answer = "mixed";'),
        hypervisor="dma", environment="XDT_SOURCE=hypercall-mixed"),
    Bed("asked-translated", "arm_source arm_safe", "6.12", (*ONLY_ASKED, "--domu-props", 'test,answer = "translated";'),
        hypervisor="dma", environment="XDT_SOURCE=translated XDT_TRANSLATED=1"),
    # Told by the command line, by the hypervisor, by nobody
    Bed("param-1", "arm_map arm_moved", impossible=ONE_RUN, main="6.12",
        boot=(*DOMU, "--append", "xen_dma_probe=off xen_dma_offset=0xe0000000")),
    Bed("published-1", "arm_map arm_fwcfg arm_moved", boot=DOMU + UNANSWERED, impossible=ONE_RUN, hypervisor="dma"),
    Bed("published-4", "arm_map arm_sg arm_moved", "6.12 7.3", DOMU_4 + UNANSWERED, hypervisor="dma", main="6.12"),
    Bed("refused", "arm_refused arm_again", "6.12 7.3 6.1 6.12-stock", DOMU + UNPROBED, environment="XDT_BED=refused",
        main="6.12"),
    Bed("ranges-1", OWN + " arm_moved", boot=DOMU + UNPROBED + RANGES_1, impossible=ONE_RUN),
    Bed("ranges-4", "arm_map arm_moved", boot=DOMU_4 + UNPROBED + RANGES_4, main="6.12"),
    # Nobody says that there is no IOMMU, so there is one; but the command line may say it
    Bed("unsaid", "arm_safe arm_unsaid", "6.12 6.12-stock", DOMU + UNSAID, main="6.12"),
    Bed("said-by-param", "arm_map arm_fwcfg", "6.12", (*DOMU, *UNSAID, "--append", "xen_dma_probe=on"), ONE_RUN),
    # A hypervisor that maps no grants, so that probing tells nothing, but the next source does. The
    # disk's driver asks for DMA; it has no interrupt.
    Bed("ranges-unprobeable", "boot_message", "6.12", DOMU + UNPROBEABLE + RANGES_1,
        disks=(("nvme0n1", 1, "", "nvme,serial=check"),)),
    # On stock it is chance what of these gets pages that have moved.
    Bed("ranges-4-others", "arm_masks arm_sg arm_foreign arm_grant_dma", "6.12", DOMU_4 + UNPROBED + RANGES_4),
    Bed("ranges-probed", "arm_map arm_moved", "6.12", DOMU + RANGES_1, ONE_RUN),
    # An IOMMU: for no device (above); for all, which Xen, the command line or nobody says; for some
    Bed("smmu-dom0", OWN + " arm_stray arm_moved", "6.12 6.12-stock", SMMU, ONE_RUN + ONE_ADDRESS,
        environment="XDT_STRAY=1", hypervisor="plain"),
    Bed("smmu-published", "arm_safe arm_map arm_stray", "6.12", SMMU + DOMU + ALONE + UNANSWERED, ONE_RUN,
        environment="XDT_IOMMU=1 XDT_STRAY=1", hypervisor="dma"),
    Bed("smmu-param", "arm_safe arm_map arm_stray", "6.12",
        (*SMMU, *DOMU, *ALONE, "--append", "xen_dma_offset=translated"), ONE_RUN,
        environment="XDT_IOMMU=1 XDT_STRAY=1", hypervisor="plain"),
    Bed("smmu-domu", "arm_safe arm_unsaid " + OWN + " arm_stray arm_moved", "6.12 7.3 6.1 6.12-stock",
        SMMU + DOMU + ALONE, TRANSLATED, environment="XDT_IOMMU=1 XDT_STRAY=1", hypervisor="plain", main="6.12"),
    Bed("smmu-some", "arm_safe arm_map arm_fwcfg arm_stray", "6.12 6.12-stock", SMMU + DOMU, MIXED,
        environment="XDT_IOMMU=1 XDT_STRAY=1", hypervisor="plain", main="6.12"),
    Bed("smmu-some-safe", "arm_safe arm_map arm_fwcfg arm_stray", "6.12",
        (*SMMU, *DOMU, "--pass-props", "xen,dma-safe;", "--append", "xen_dma_offset=0xe0000000"), MIXED,
        environment="XDT_IOMMU=1 XDT_STRAY=1", hypervisor="plain"),
    # Machine addresses, and a judge of them
    # (It lets nobody through to registers, and arm_map reads a peer's.)
    Bed("fence-dom0", "arm_masks arm_sg arm_foreign arm_stray arm_moved", "6.12", FENCE_DOM0, ONE_RUN + ONE_ADDRESS,
        environment="XDT_STRAY=1", hypervisor="fence"),
    Bed("fence-domu-1", OWN + " arm_fwcfg arm_stray arm_moved", "6.12 6.1 6.12-stock", FENCE + DOMU, ONE_RUN,
        environment="XDT_STRAY=1", hypervisor="fence", main="6.12"),
    Bed("fence-domu-4", OWN + " arm_stray arm_moved", "6.12 7.3", FENCE + DOMU_4, environment="XDT_STRAY=1",
        hypervisor="fence"),
    # An IOMMU that the kernel drives: translating, or letting all through
    Bed("own-smmu", "arm_iommu", "6.12 7.3 6.12-stock", OWN_SMMU, environment="XDT_WINDOW=iommu", main="6.12"),
    Bed("own-smmu-identity", OWN + " arm_moved", "6.12 7.3", (*OWN_SMMU, "--append", "iommu.passthrough=1"), ONE_RUN),
    Bed("own-smmu-domu", "arm_refused", "6.12 7.3", OWN_SMMU + DOMU + SMMU_TOO,
        environment="XDT_BED=refused XDT_WINDOW=none", main="6.12"),
    # The same is said where QEMU has no IOMMU; the addresses tell
    Bed("translated", "arm_safe", "6.12", hypervisor="dma",
        boot=(*DOMU, *UNANSWERED, "--domu-props", "test,xen,dma-translated;")),
    # Another domain's pages
    Bed("to-dom0", "arm_foreign_dom", "6.12 7.3 6.12-stock", **TO_DOM0),
    Bed("to-domu", "arm_foreign_dom", "6.12 7.3 6.1 6.12-stock", DOMU, **TO_DOMU, main="6.12"),
    Bed("fence-to-domu", "arm_foreign_dom", "6.12", FENCE + DOMU, **TO_DOMU, hypervisor="fence"),
    Bed("to-dom0-noncoherent", "arm_foreign_dom", **TO_DOM0, dts=NONCOHERENT),
    Bed("to-domu-noncoherent", "arm_foreign_dom", boot=DOMU + APART, **TO_DOMU),
]

# What says where memory is makes no sense: properties of the hypervisor's node, and the
# one line that the driver then has to say.
ROWS = "test,xen,dma-ranges"
WRONG = {
    "empty": ("xen,dma-offset: does not have two cells", "test,xen,dma-offset;"),
    "cells": ("xen,dma-offset: does not have two cells", "test,xen,dma-offset = <1 2 3>;"),
    "one-cell": ("xen,dma-offset: does not have two cells", "test,xen,dma-offset = <0xe0000000>;"),
    "unaligned": ("xen,dma-offset: is not aligned to pages", "test,xen,dma-offset = <0 0x800>;"),
    "overflow": ("xen,dma-offset: a range overflows", "test,xen,dma-offset = <0x7fffffff 0>;"),
    "rows-empty": ("xen,dma-ranges: is empty", f"{ROWS};"),
    "rows-cut": ("xen,dma-ranges: does not consist of whole rows", f"{ROWS} = <1 0 0 0x40000000 0>;"),
    "rows-overlap": ("xen,dma-ranges: ranges overlap",
                     f"{ROWS} = <1 0x20000000 0 0x40000000 0 0x2000000>, <1 0x30000000 0 0x41000000 0 0x1000000>;"),
    "rows-outside": ("xen,dma-ranges: a range lies outside the memory",
                     f"{ROWS} = <1 0x20000000 0 0x80000000 0 0x1000000>;"),
    "rows-overflow": ("xen,dma-ranges: a range overflows", f"{ROWS} = <0xffffffff 0 0 0x40000000 0 0x1000000>;"),
    "translated-and-offset": ("xen,dma-translated: contradicts what is said of offsets",
                              "test,xen,dma-translated; test,xen,dma-offset = <0 0xe0000000>;"),
    "contradiction": ("xen,dma-ranges: contradicts xen,dma-offset",
                      f"test,xen,dma-offset = <0 0xe0000000>; {ROWS} = <1 0x30000000 0 0x40000000 0 0x10000000>;"),
}


def wrong(name, message, *boot, answer=UNANSWERED):
    """A bed where the driver complains in these words."""
    return Bed(f"wrong-{name}", "arm_messages", "6.12", (*DOMU, *answer, *boot),
               environment=f"XDT_MESSAGE='{message}'", hypervisor="dma")


MESSAGES = [wrong(name, f"xen-dma: /hypervisor: {message}, DMA is refused", "--domu-props", properties)
            for name, (message, properties) in WRONG.items()]
# What was true of another boot.
OTHERWISE = "xen-dma: memory at 0x40000000 is at 0x120000000 in the machine, and not at {} as {} says"
MESSAGES.append(wrong("offset-of-another-boot", OTHERWISE.format("0x110000000", "xen,dma-offset"),
                      "--domu-props", "test,xen,dma-offset = <0 0xd0000000>;"))
MESSAGES.append(wrong("offset-zero", OTHERWISE.format("0x40000000", "xen,dma-offset"),
                      "--domu-props", "test,xen,dma-offset = <0 0>;"))
MESSAGES.append(wrong("param-zero", OTHERWISE.format("0x40000000", "xen_dma_offset"),
                      "--domu-props", "test,publish-nothing;", "--append", "xen_dma_offset=0"))
MESSAGES.append(wrong("param-of-another-boot", OTHERWISE.format("0x110000000", "xen_dma_offset"),
                      "--domu-props", "test,publish-nothing;", "--append", "xen_dma_offset=0xd0000000"))
MESSAGES.append(wrong("param", "xen-dma: xen_dma_offset=4[+]x:1: takes <start>",
                      "--domu-props", "test,publish-nothing;", "--append", "xen_dma_offset=4+x:1"))
MESSAGES.append(wrong("answer", "xen-dma: what the hypervisor answers: extents overlap, or are not in order, "
                      "DMA is refused", answer=("--domu-props", 'test,answer = "overlap";')))

ARM = [
    Bed("dom0", OWN + " arm_moved", "6.12", ("--mem", "1G"), ONE_RUN, "arm"),
    Bed("domu", OWN + " arm_moved", "6.12", ("--mem", "1G", "--domu", "256M"), ONE_RUN, "arm"),
]

BEDS = [X86, POOLED, *DEFRAG, DEEP, *ARM64, *MESSAGES, *ARM]

# What the watchers of a flavour want to be told at boot.
FLAVOUR_BOOT = {"debug": ("--append", "page_poison=1")}

# QEMU's arguments for every bed.
DEVICES = edu_devices()
