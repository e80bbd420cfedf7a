# SPDX-License-Identifier: GPL-2.0
"""The device tree that Xen on ARM boots from: QEMU's own, with ours appended.

Kernels and initial file systems lie in the machine's memory before Xen starts; what
they are, and which domains there are, stands in the tree as Xen's documents
docs/misc/arm/device-tree/booting.txt and docs/features/dom0less.pandoc define it.
All of it is source, which dtc merges, so that a user's source can change any of it.
"""

import re
import subprocess
from pathlib import Path

from bed.base import Failure

HERE = Path(__file__).parent

RAM = 0x40000000
MIB = 1 << 20

# Where QEMU puts the device tree.
TREE_AT = 0x48000000

# A hole, and what a module is aligned to, for kernels like that.
STEP = 2 * MIB

# The PCIe bridge's registers (address, size, both in two cells) and its last bus.
ECAM = {"arm64": ("0x40 0x10000000", "0 0x10000000", "0xff"), "arm": ("0 0x3f000000", "0 0x01000000", "0x0f")}

# Where QEMU has the SMMU, and what makes Xen's driver translate for the bridge: it wants each stream
# listed, that is bus << 8 | device << 3 | function, here function 0 of all devices of bus 0. What is
# not listed is stopped, without a word.
SMMU = "/smmuv3@9050000"
STREAMS = ", ".join(f"<&{{{SMMU}}} {device << 3:#x}>" for device in range(32))

# In the partial tree, of a bridge that Xen has an IOMMU translate for.
BEHIND = "/delete-property/ xen,force-assign-without-iommu; /delete-property/ xen,dma-unprotected;"


def mebibytes(size):
    """The number of MiB in a size like 512M, 6G or 512."""
    return int(size.rstrip("MG")) * (1024 if size.endswith("G") else 1)


def cells(number):
    """A number in two cells."""
    return f"{number >> 32:#x} {number & 0xffffffff:#x}"


def quoted(text):
    """A string of device-tree source."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def default_pass(arch, in_domu, props, more=""):
    """What a driver domain gets by default: two devices with DMA, if it is under test. `props` is for the PCIe
    bridge, `more` is source."""
    address, size, last_bus = ECAM[arch]
    text = (HERE / "pass.dts.in").read_text()
    if in_domu:
        text += (HERE / "pass-devices.dts.in").read_text()
        text = text.replace("ECAM_SIZE", size).replace("ECAM", address).replace("LAST_BUS", last_bus)
    # Merged, so that a property can be deleted too.
    return text + (f"/ {{ passthrough {{ pcie@10000000 {{ {props} }}; }}; }};\n" if props else "") + more


def holes(step, memory, taken):
    """Where memory is taken from Xen: each multiple of step, but not in the range `taken` or where the tree lies."""
    return [address for address in range(RAM + step, RAM + memory, step)
            if address != TREE_AT and address not in taken]


def to_blob(source, result, whose):
    """Compile a source file."""
    done = subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", result, source],
                          check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Failure(f"dtc refuses {whose}: {done.stderr.replace(f'{result.parent}/', '').partition(chr(10))[0]}")


def to_source(blob):
    """The source of a compiled tree."""
    return subprocess.check_output(["dtc", "-q", "-I", "dtb", "-O", "dts", blob], text=True)


def make(args, work, qemu, xen_args, linux_args):
    """Make work/dtb for the machine that the words `qemu` describe; returns QEMU's words that load the modules.

    linux_args has the command line of each domain; work holds kernel and initrd-DOMAIN.
    """
    memory = mebibytes(args.mem) * MIB
    # Above Xen and its device tree, and the same for all machines but the smallest:
    # where the modules lie decides in which pieces a domain's memory comes.
    first = at = RAM + (512 if memory >= 1024 * MIB else 256) * MIB
    nodes = dict.fromkeys(linux_args, "")
    loaders = []

    def place(domain, kind, name, bootargs=None):
        nonlocal at
        size = (work / name).stat().st_size
        nodes[domain] += (f'module@{at:x} {{\ncompatible = "multiboot,{kind}", "multiboot,module";\n'
                          f"reg = <{cells(at)} {cells(size)}>;\n"
                          + (f"bootargs = {quoted(bootargs)};\n" if bootargs else "") + "};\n")
        loaders.extend(("-device", f"loader,file={work / name},addr={at:#x},force-raw=on"))
        at = ((at + size) | (STEP - 1)) + 1
        if at > RAM + memory:
            raise Failure(f"--mem {args.mem} is too small for the kernels and initial file systems")

    for domain, command_line in linux_args.items():
        place(domain, "kernel", "kernel", command_line)
        place(domain, "ramdisk", f"initrd-{domain}")
    domu = ""
    if args.domu:
        source = args.pass_ or work / "pass.dts"
        if not args.pass_:
            in_domu = args.test_in == "domu"
            behind = [BEHIND] if in_domu and args.smmu == "xen" else []
            source.write_text(default_pass(args.arch, in_domu, " ".join(behind + args.pass_props),
                                           " ".join(args.pass_dts)))
        to_blob(source, work / "pass.dtb", "--pass")
        place("domu", "device-tree", "pass.dtb")
        domu = (f'/ {{ chosen {{ domU1 {{\ncompatible = "xen,domain"; #address-cells = <2>; #size-cells = <2>;\n'
                f"cpus = <{args.smp}>; memory = <{cells(mebibytes(args.domu) * 1024)}>;\n"
                f'vpl011; xen,enhanced = "no-xenstore";\n{nodes["domu"]}}}; }}; }};\n'
                f"/ {{ chosen {{ domU1 {{ {' '.join(args.domu_props)} }}; }}; }};\n")
        for path in re.findall(r'xen,path = "(.*?)";', to_source(work / "pass.dtb")):
            domu += f"&{{{path}}} {{ xen,passthrough; }};\n"

    done = subprocess.run([*qemu, "-machine", f"dumpdtb={work}/machine.dtb", "-serial", "null"], check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Failure(f"QEMU ended with status {done.returncode}: {done.stderr.strip().rpartition(chr(10))[2]}")
    taken = holes(mebibytes(args.hole_every) * MIB, memory, range(first, at)) if args.hole_every else ()
    machine = to_source(work / "machine.dtb")
    reserved = "".join(f" /memreserve/ {address:#x} {STEP:#x};" for address in taken)
    machine = machine.replace("/dts-v1/;", f"/dts-v1/;{reserved}", 1)
    machine += (f"/ {{ chosen {{\n#address-cells = <2>; #size-cells = <2>;\nxen,xen-bootargs = {quoted(xen_args)};\n"
                f"{nodes.get('dom0', '')}}}; }};\n{domu}")
    if args.smmu == "xen":
        machine += f"&{{/pcie@10000000}} {{ iommus = {STREAMS}; }};\n"
    for file in args.dts:
        try:
            with open(file, encoding="utf-8") as text:
                machine += text.read()
        except OSError:
            raise Failure(f"--dts: there is no file {file}") from None
    (work / "machine.dts").write_text(machine)
    to_blob(work / "machine.dts", work / "dtb", "the machine's tree with --dts, --pass, --domu-props")
    return loaders
