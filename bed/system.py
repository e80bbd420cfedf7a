# SPDX-License-Identifier: GPL-2.0
"""The driver in a whole system: Xen with its toolstack, guests, driver domains, real disks
and networks, an IOMMU that tells of every stray DMA. Shows live what happens:

    scripts/bed system blk net

Each step boots once. Its script in tests/system runs in dom0 and prints KTAP; what guests
have written to disks and sent to the network is looked at here when the machine has ended.
tests/test_system.py runs the same steps as tests.

To add a step, write tests/system/NAME.sh, which begins with ". /system/lib.sh", and a row of
STEPS. All guests have one kernel, that of dom0 too (flavour "system"), and one initial file
system, in which tests/system/guest.sh takes orders from dom0.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from bed import base, initrd, ktap, media, smmu, toolstack
from bed.base import TOP, Failure
from bed.build import Kernel, install_kselftest
from bed.known import edu_devices, one_of

SCRIPTS = TOP / "tests/system"
FLAVOUR = "system"

# Where a disk's partition begins, what of it is read by default, and what may be written behind that.
PART, READ, WRITE = 1 << 20, 32 << 20, 31 << 20

# The program of dma_map_benchmark, wherever a version has it.
BENCHMARK = "tools/**/dma/dma_map_benchmark.c"

# What goes over a network.
SENT = 3000000

# An IOMMU that Xen drives, strictly for dom0 too: it stops each DMA to what the domain does not own,
# and Xen tells of it. credit2 can leave all processors idle on a busy host.
JUDGE = ("-device", "intel-iommu,intremap=on")
JUDGED_XEN = "sched=credit iommu=verbose,debug dom0-iommu=strict,map-inclusive"
# What kernels that watch themselves say of DMA, and of free memory; of other parts of theirs they say more.
REPORT = re.compile(r"WARNING: (CPU: \d+ PID: \d+ at )?"
                    r"(kernel/dma|drivers/xen/(dma|swiotlb)|arch/x86/xen/mmu|"
                    r"mm/(page_alloc|page_reporting|page_isolation|cma|memory_hotplug))|DMA-API: ")
FAULT = re.compile(r"\(XEN\) .*DMAR:\[DMA (Read|Write)\].* fault addr ([0-9a-f]+)")


@dataclass(frozen=True)
class Step:
    """What is booted for a script of tests/system.

    Its script is the one that is named as the step up to a hyphen.

    `disks` are images, by the words for QEMU's device, of which each has a partition with random bytes (`throttle`
    is for their speed); `nets` are network cards, whose other end is a network of QEMU's own. Each of `makes` puts
    more into the directory where all of it lies, and returns words for QEMU. Where it is `judged`, an IOMMU watches.
    """

    name: str
    about: str
    disks: dict = ()
    nets: tuple = ()
    devices: tuple = ()
    makes: tuple = ()
    boot: tuple = ()
    read: int = READ
    dom0_mem: str = "2G"
    mem: str = "6G"
    throttle: str = ""
    machine: str = "q35,kernel-irqchip=split"
    judged: bool = True
    timeout: int = 1500

    @property
    def script(self):
        """What runs in dom0."""
        return SCRIPTS / f"{self.name.partition('-')[0]}.sh"


# Disks that have all address bits, and one before them that has 32; a controller to give to others.
FAST = {"ahci": "ide-hd,bus=ide.0", "nvme": "nvme,serial=system"}
DISKS = {"ata_piix": "ide-hd,bus=piix.0", **FAST}
PIIX = ("-device", "piix3-ide,id=piix")
GIVEN = {"ahci": "ide-hd,bus=ahci.0"}
AHCI = ("-device", "ahci,id=ahci,addr=7")

# Two network cards that are connected with each other.
HUB = tuple(word for number, side in enumerate(("left", "right"), 1) for word in (
    "-netdev", f"hubport,hubid=0,id={side}", "-device", f"e1000,netdev={side},mac=52:54:00:00:01:{number:02x}"))

# Controllers by their drivers: what makes one, and the disk behind it.
CONTROLLERS = {
    "sym53c8xx": ("lsi53c895a,id=lsi", "scsi-hd,bus=lsi.0"),
    "am53c974": ("am53c974,id=esp", "scsi-hd,bus=esp.0"),
    "megaraid_sas": ("megasas,id=mega", "scsi-hd,bus=mega.0"),
    # It wants a name of the disk's that is its own.
    "mptsas": ("mptsas1068,id=mpt", "scsi-hd,bus=mpt.0,wwn=0x5000c50015ea71ac"),
    "vmw_pvscsi": ("pvscsi,id=pvscsi", "scsi-hd,bus=pvscsi.0"),
    "ehci-pci": ("usb-ehci,id=ehci", "usb-storage,bus=ehci.0"),
    "xhci_hcd": ("qemu-xhci,id=xhci", "usb-storage,bus=xhci.0"),
    "uas": ("qemu-xhci,id=xhci-uas -device usb-uas,id=uas,bus=xhci-uas.0", "scsi-hd,bus=uas.0"),
    "sdhci-pci": ("sdhci-pci", "sd-card"),
}
NICS = ("pcnet", "i82557b", "tulip", "e1000e", "vmxnet3")


def devices(name, about, *without, **words):
    """The step of all controllers and network cards but those."""
    behind = {driver: row for driver, row in CONTROLLERS.items() if driver not in without}
    return Step(f"devices-{name}", about, disks={driver: disk for driver, (_, disk) in behind.items()}, nets=NICS,
                devices=tuple(word for card, _ in behind.values() for word in f"-device {card}".split()), **words)


STEPS = {step.name: step for step in (
    Step("blk", "a guest on dom0's disks: IDE, AHCI, NVMe",
         disks=DISKS, devices=PIIX),
    # Now and then QEMU 7.2 dies of a device that is at work when its domain is destroyed; so in soak,
    # where 10 dies after half an hour when two of its threads run processors while devices come and go.
    Step("pci", "driver domains: edu, disk controllers, a network card", boot=("--qemu-version", "10"),
         disks={**GIVEN, "nvme": f"{FAST['nvme']},addr=8"}, nets=("e1000,addr=9",), devices=(*edu_devices(2), *AHCI)),
    Step("serve", "a storage domain and a network domain serve a guest", disks=GIVEN, nets=("e1000,addr=9",),
         devices=AHCI),
    Step("balloon", "dom0 loses memory and gets it back while its disks are read",
         disks=DISKS, devices=PIIX),
    Step("suspend", "dom0 suspends to memory while its disks are read", disks=DISKS, devices=PIIX, nets=("e1000",)),
    Step("hotplug", "dom0 gets more memory than it was booted with, and DMA reaches it", read=768 << 20,
         disks=FAST, dom0_mem="640M",
         boot=("--append", "memhp_default_state=online", "--xen-append", "dom0_mem=640M,max:2G")),
    Step("judge", "the kselftest, while an IOMMU watches", devices=edu_devices(),
         boot=("--append", "xen_dma.max=128M xen_dma.idle=2 xen_dma.coherent_pooled=0")),
    Step("dmabuf", "a buffer of a dma-buf heap, and devices of 32 bits", devices=edu_devices()),
    Step("iommu", "a device that an IOMMU of the kernel's own serves", devices=edu_devices(1)),
    Step("bypass", "a screen that does not go through the DMA API, and so can't work", makes=(media.bypassing,)),
    Step("stray", "DMA past the API, which the IOMMU has to report", devices=edu_devices(2),
         boot=("--append", "xen_dma.coherent_cache=0")),
    Step("faults", "the n-th exchange or allocation fails, over a driver domain's life",
         disks={**GIVEN, "nvme": f"{FAST['nvme']},addr=8"}, devices=AHCI, timeout=3600),
    Step("soak", "everything at once, while exchanges fail, for MINUTES (5)",
         disks=DISKS | {"own": "nvme,serial=own,addr=9"}, devices=(*PIIX, *edu_devices(4)),
         boot=("--qemu-version", "10", "--accel", "tcg,thread=single",
               "--append", "xen_dma.coherent_pooled=0 xen_dma.coherent_cache=0")),
    Step("benchmark", "the kernel's own tests of its DMA API: dma_map_benchmark, dmapool_test", devices=edu_devices(1)),
    Step("share", "dma-bufs are shared with a guest"),
    Step("share-forced", "the same with all DMA bounced", boot=("--append", "swiotlb=force")),
    Step("net", "guests on the networks of dom0's cards, and jumbo frames between them", nets=("e1000", "rtl8139"),
         devices=HUB),
    Step("stacks", "encryption, a mirror, discard", disks=FAST),
    Step("stacks-forced", "the same with all DMA bounced", boot=("--append", "swiotlb=force"),
         disks=FAST),
    # QEMU's lsi53c895a fetches its program over the bus from its own memory, which no IOMMU lets through.
    devices("q35", "controllers and network cards, an IOMMU watches", "sym53c8xx", "am53c974"),
    # Where am53c974 shares its interrupt, stock's driver dies of the first one: it asks for it too early.
    devices("pc", "the same on an older machine", "am53c974", machine="pc", judged=False),
    Step("nvme", "requests of any size", read=24 << 20, disks={"nvme": "nvme,serial=system,mdts=0"}),
    Step("cmb", "a disk whose controller has the queues in its own memory",
         disks={"nvme": "nvme,serial=system,cmb_size_mb=16"}),
    Step("deep", "eight SCSI disks as deep as they go, all bounced", read=16 << 20,
         disks={f"deep{number}": f"scsi-hd,bus=pvscsi.0,serial=deep{number}" for number in range(8)},
         devices=("-device", "pvscsi,id=pvscsi"), throttle=",throttling.iops-total=10",
         boot=("--append", "swiotlb=force vmw_pvscsi.ring_pages=32 vmw_pvscsi.cmd_per_lun=64")),
    Step("sound", "tones, also when there is no memory for a card", makes=(media.sound,), devices=edu_devices(1),
         boot=("--append", "xen_dma.coherent_pooled=0 xen_dma.coherent_cache=0")),
    Step("sound-forced", "the same with all DMA bounced", makes=(media.sound,), devices=edu_devices(1),
         boot=("--append", "swiotlb=force xen_dma.coherent_pooled=0 xen_dma.coherent_cache=0")),
    Step("folios", "files in large folios, from memory in pieces", makes=(media.files,), devices=edu_devices(1),
         judged=False, timeout=5400, boot=("--icount", "--smp", "1", "--append", "xen_dma.defrag=auto")),
    Step("defrag", "free memory is put together beside CMA, hot-plug and disks", disks=FAST, devices=edu_devices(1),
         dom0_mem="768M", timeout=3600,
         boot=("--append", "xen_dma.defrag=auto cma=64M memhp_default_state=online",
               "--xen-append", "dom0_mem=768M,max:2G")),
    Step("pieces", "a driver domain on a host whose memory is in pieces", devices=edu_devices(2), timeout=5400,
         boot=("--icount", "--smp", "1")),
    Step("picture", "a picture on a screen", makes=(media.picture,)),
    Step("picture-forced", "the same with all DMA bounced", makes=(media.picture,), boot=("--append", "swiotlb=force")),
)}

# What bed/cost.py boots, and nobody else; nothing else is to be at work, so nobody watches.
COST = Step("cost", "what a guest's disks and network cost", disks=DISKS, devices=PIIX, nets=("e1000",), judged=False,
            timeout=7200)


def digest(data):
    """What tells that bytes are the same."""
    return hashlib.sha256(data).hexdigest()


def make_disk(path, size):
    """An image with a partition of random bytes; returns the sum of what is read of it."""
    data = os.urandom(size)
    path.write_bytes(b"")
    os.truncate(path, PART + size + WRITE)
    subprocess.run(["/usr/sbin/sfdisk", "-q", "--label", "dos", path], input=f"start={PART // 512}, type=83\n".encode(),
                   check=True, stdout=subprocess.DEVNULL)
    with open(path, "r+b") as file:
        file.seek(PART)
        file.write(data)
    return digest(data)


def make_media(step, place):
    """The disks, and what goes over the networks; returns QEMU's words for all devices."""
    words, known = list(step.devices), []
    for name, device in dict(step.disks).items():
        known.append(f"{name} {step.read} {make_disk(place / name, step.read)}\n")
        words += ["-drive", f"if=none,id={name},format=raw,file={place / name}" + step.throttle,
                  "-device", f"{device},drive={name}"]
    known.append(f"disks {' '.join(dict(step.disks))}\nnics {len(step.nets)}\n")
    if step.nets:
        (place / "tftp").mkdir()
        data = os.urandom(SENT)
        (place / "tftp/sent").write_bytes(data)
        known.append(f"net {SENT} {digest(data)}\n")
    for number, device in enumerate(step.nets, 2):
        received = place / f"received-{number}"
        words += ["-netdev", f"user,id=net{number},restrict=on,net=10.0.{number}.0/24,tftp={place / 'tftp'},"
                  f"guestfwd=tcp:10.0.{number}.100:8000-cmd:dd of={received} bs=64k status=none",
                  "-device", f"{device},netdev=net{number},mac=52:54:00:00:00:{number:02x}"]
    (place / "media").write_text("".join(known))
    return words


def install_programs(kernel, tree, place):
    """What domains run, built for a kernel from a tree with the kselftest: that in place/install, the steps' own
    programs in place/bin."""
    install_kselftest(kernel, tree, place)
    base.make_dirs(place / "bin")
    for source in (*SCRIPTS.glob("*.c"), *tree.glob(BENCHMARK)):
        with base.stage(f"compile {source.name}", base.log_path(f"system-{source.stem}")) as run:
            # Headers of the kernel's own count only where there are no others.
            run(["gcc", "-static", "-O2", "-o", place / "bin" / source.stem, source,
                 "-idirafter", tree / "include", "-idirafter", tree / "include/uapi", "-luring"])


def minutes():
    """How long the step soak takes."""
    word = os.environ.get("MINUTES") or "5"
    if not re.fullmatch("[1-9][0-9]*", word):
        raise Failure(f"MINUTES wants a positive number, not '{word}'")
    return int(word)


def prepare(step, kernel, programs, place):
    """What scripts/boot is told; makes all that is booted in the empty directory `place`."""
    words = make_media(step, place)
    system = place / "system"
    shutil.copytree(SCRIPTS, system)
    words += [word for make in step.makes for word in make(place)]
    shutil.copy(place / "media", system / "media")
    shutil.copy(kernel.image, system / "kernel")
    (system / "minutes").write_text(f"{minutes()}\n")
    shutil.copy(kernel.builddir / "mm/dmapool_test.ko", system)
    settings = {"arch": "x86", "domain": "guest", "nonce": "0", "word": "guest", "stay": "y", "way": "console"}
    files = [*toolstack.files(), f"{programs}/install:/kselftest", f"{programs}/bin:/system/bin"]
    initrd.make(system / "initrd", shutil.which("busybox"), settings, script=SCRIPTS / "guest.sh",
                files=[*files, f"{SCRIPTS / 'hotplug'}:/etc/xen/scripts"])
    return ["--kernel", kernel.image, "--timeout", step.timeout + 60 * minutes(), "--mem", step.mem,
            "--dom0-mem", step.dom0_mem, "--machine", step.machine,
            "--append", f"loglevel={5 if kernel.flavour == 'debug' else 4}",
            *(["--xen-append", JUDGED_XEN] if step.judged else []),
            *(word for file in (*files, f"{system}:/system") for word in ("--file", file)),
            "--run", step.script, *step.boot, "--", *words, *(JUDGE if step.judged else ())]


def look_at_host(place, lines):
    """What the script told of as written or sent, against what is here: results like its own."""
    for line in lines:
        if found := re.match(r"# wrote (\S+) (\d+) (\d+) ([0-9a-f]+)$", line):
            name, offset, size = found[1], int(found[2]), int(found[3])
            with open(place / name, "rb") as file:
                file.seek(offset)
                right = digest(file.read(size)) == found[4]
            yield ktap.Result(f"host.wrote_{name}_{offset >> 20}", right, group="host")
        elif found := re.match(r"# sent (\d+) ([0-9a-f]+)$", line):
            received = place / f"received-{found[1]}"
            right = received.exists() and digest(received.read_bytes()) == found[2]
            yield ktap.Result(f"host.sent_{found[1]}", right, group="host")
        elif found := re.match(r"# (played|shown) (.+)$", line):
            yield media.look(place, *found.groups())


def look_at_judge(console, lines):
    """Each DMA that the IOMMU stopped must have been announced, and the other way round."""
    watched = re.sub(r"system: judge off.*?(?:system: judge on|\Z)", "", "\n".join(console), flags=re.DOTALL)
    faults = {(how.lower(), int(at, 16)) for how, at in FAULT.findall(watched)}
    strays = {(how, int(at, 16) & -4096) for how, _, at in smmu.STRAY.findall("\n".join(lines))}
    yield ktap.Result("judge.watches", any("Intel VT-d Interrupt Remapping enabled" in line for line in console),
                      group="judge")
    yield from (ktap.Result(f"judge.stopped_{how}_{at:#x}", False, group="judge") for how, at in faults - strays)
    yield from (ktap.Result(f"judge.stray_{how}_{at:#x}", stray in faults, group="judge")
                for stray in strays for how, at in [stray])


def look_at_console(console):
    """What the kernel reports of DMA itself, of dom0 or of a guest whose console is there too."""
    reports = [line for line in console if REPORT.search(line)]
    yield ktap.Result("host.no_reports", not reports, diagnostics=reports, group="host")


def results(step, place, console, lines):
    """All results of a step."""
    yield from ktap.results(lines)
    yield from look_at_host(place, lines)
    yield from look_at_console(console)
    if step.judged:
        yield from look_at_judge(console, lines)


def arguments(parser):
    """What can be said on the command line."""
    parser.add_argument("--flavour", default=FLAVOUR, metavar="F", help=f"the kernel's: debug, or by default {FLAVOUR}")
    parser.add_argument("step", nargs="*", metavar="STEP",
                        help="; ".join(f"{step.name} ({step.about})" for step in STEPS.values()))


def show(step, kernel, programs):
    """Run a step, its output shown as it comes; returns the number of its failures."""
    with tempfile.TemporaryDirectory(prefix="xen-dma-system.") as place:
        words = prepare(step, kernel, programs, Path(place))
        lines = []
        with subprocess.Popen([str(word) for word in (TOP / "scripts/boot", "--quiet", *words)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace") as process:
            for line in process.stdout:
                lines.append(line.rstrip("\r\n"))
                print(lines[-1], flush=True)
        log = sorted((base.cache() / "log").glob(f"boot-*-{process.pid}.log"))[-1]
        found = list(results(step, Path(place), log.read_text(errors="replace").replace("\r", "").splitlines(), lines))
    if process.returncode:
        found.append(ktap.Result(f"host.boot_ended_with_{process.returncode}", False, group="host"))
    bad = [result for result in found if not result.ok or result.skipped]
    for result in found:
        if result.group in ("host", "judge"):
            print(f"{'ok' if result.ok else 'not ok'} {result.name}", *result.diagnostics[:5], sep="\n    ")
    print(f"{step.name}: {len(found) - len(bad)} passed, {len(bad)} failed (console: {log})", flush=True)
    return len(bad)


def main(args):
    """Run the chosen steps; 0 when nothing failed."""
    names = args.step or os.environ.get("STEPS", "").replace(",", " ").split() or list(STEPS)
    steps = [STEPS[one_of("step", name, STEPS)] for name in names]
    base.need("fdisk", "xfsprogs", "busybox-static", "cpio", "qemu-system-x86", "liburing-dev")
    kernel = Kernel.from_environment(flavour=args.flavour)
    if kernel.arch != "x86":
        raise Failure("the steps are for x86")
    # The programs are in the tree that has our driver.
    ours = replace(kernel, stock=False)
    for each in {kernel, ours}:
        each.build()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="xen-dma-programs.") as place:
        install_programs(kernel, ours.tree, Path(place))
        for step in steps:
            print(f"==> {step.name}: {step.about}", flush=True)
            failed += show(step, kernel, place)
    return 1 if failed else 0
