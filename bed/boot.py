# SPDX-License-Identifier: GPL-2.0
"""Boot Xen and a dom0 under QEMU, run a script in it, and return its status: a tool for
trying anyone's module on the system it is meant for. On ARM the script may run in a
driver domain as well, which Xen boots without a toolstack.

The initial file system is made on the spot from a static busybox. How the script ended
comes back as a kernel message that carries a random word, so that nothing else on the
console can be taken for it. What stands behind -- goes to QEMU."""

import gzip
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bed import base, build, console, devicetree, fetch, initrd
from bed.base import Failure
from bed.known import ARCHES, FLAVOURS, KERNELS, QEMUS, one_of

# The exit status when the boot could not begin.
STATUS = 120

EXIT = """\
Exit status: the script's own; but
  120  the boot could not begin: bad usage, or something is missing
  121  a kernel panicked, or reported an Oops or a BUG, or its domain crashed
  122  the hypervisor crashed
  123  the machine ended without a word of the script (or a module did not load)
  124  time-out
Each of 121 to 124 shows the console's last lines on the standard error. The
console is always kept in a log file, which a failure names. A WARNING of the kernel
is no failure; --append panic_on_warn=1 makes it one.
"""

# Where a kernel talks, on a bare machine and as a domain.
CONSOLES = {
    ("x86", "bare"): "console=ttyS0,115200 earlyprintk=serial,ttyS0,115200",
    ("x86", "dom0"): "console=hvc0 earlyprintk=xen",
    ("arm", "bare"): "console=ttyAMA0 earlycon=pl011,0x9000000",
    ("arm", "dom0"): "console=hvc0 earlycon=xenboot",
    ("arm", "domu"): "console=ttyAMA0 earlycon=pl011,mmio32,0x22000000",
}

MACHINES = {name: arch for name, arch in ARCHES.items() if arch.qemu}


def defaults(field):
    """What an option is by default on each architecture, for the help."""
    return "default: " + ", ".join(f"{getattr(arch, field)} ({name})" for name, arch in MACHINES.items())


def arguments(parser):
    """The options."""
    parser.epilog = EXIT
    parser.usage = "scripts/boot [option]... [-- QEMU ARGUMENT...]"

    def group(title):
        return parser.add_argument_group(title).add_argument
    several = {"action": "append", "default": []}

    add = group("what is booted")
    add("--arch", metavar="A", default=os.environ.get("ARCH") or "x86", help=f"{', '.join(MACHINES)} (default: x86)")
    add("--kver", metavar="V", help=f"{' '.join(KERNELS)}; the first is the default")
    add("--flavour", metavar="F", default=os.environ.get("FLAVOUR") or "test",
        help=f"{', '.join(dict.fromkeys(name for arch, name in FLAVOURS if arch in MACHINES))} (default: test)")
    add("--stock", action="store_true", default=None, help="the kernel without our graft")
    add("--kernel", metavar="FILE", help="this bzImage (arm64: Image, arm: zImage) in place of scripts/bed build's")
    add("--xen", metavar="FILE", help="this hypervisor (x86: ELF, or gzipped ELF) instead of Debian's")
    add("--xen-version", metavar="V", help="Debian's hypervisor of this version (see scripts/bed fetch --help)")
    add("--qemu-version", metavar="V",
        help=f"Debian's QEMU of this version ({', '.join(QEMUS)}) instead of the installed one")
    add("--bare", action="store_true", help="no hypervisor: the same kernel straight on the machine")

    add = group("what runs in it")
    add("--module", metavar="FILE.ko", **several, help="load it before the script; may be repeated, in this order")
    add("--file", metavar="SRC:DST", **several, help="put a file or directory there; may be repeated")
    add("--run", metavar="SCRIPT", help="run it as root and end with it; without, the boot itself is all")
    add("--append", metavar="ARGS", **several, help="more for the kernel's command line")
    add("--xen-append", metavar="ARGS", **several, help="more for the hypervisor's command line")
    add("--quiet", action="store_true",
        help="show only what the script prints, free of kernel messages (through a second serial port; on ARM, "
             "where a script sees a pipe, line by line through the console); the console goes to its log")

    add = group("the machine")
    add("--smp", metavar="N", help=f"processors; {defaults('smp')}")
    add("--mem", metavar="M", help=f"its memory; {defaults('mem')}")
    add("--dom0-mem", metavar="M", help=f"dom0's part of it; {defaults('dom0_mem')}")
    add("--machine", metavar="M", help=f"q35, pc, or what else QEMU takes; {defaults('machine')}")
    add("--cpu", metavar="C", help=f"{defaults('cpu')}; on x86 that is one on which a PV dom0 boots")
    add("--accel", metavar="A", default="tcg", help="tcg (the default), tcg,thread=single, or kvm (x86 only)")
    add("--icount", action="store_true", help="time counts instructions, so that costs repeat; one processor")
    add("--timeout", metavar="S",
        help="give up after S seconds; default: 300, with a flavour other than test 900, with --icount 1800")
    arm_only = [
        add("--smmu", metavar="WHO",
            help="an SMMUv3 that the PCIe bridge is behind (arm64), with QEMU 10. WHO drives it: xen, which needs a "
                 "hypervisor with the driver (scripts/bed hypervisor), or linux, where Xen has none, as Debian's"),
        add("--dts", metavar="FILE", **several,
            help="device-tree source, appended to that of the machine (ARM); may be repeated: "
                 "/ { pcie@10000000 { /delete-property/ dma-coherent; }; };"),
        add("--hole-every", metavar="SIZE",
            help="leave a hole in the memory that Xen may use at each multiple of SIZE, so that a domain comes in "
                 "pieces of half of it (ARM): with 256M a domU of 512M is in four pieces, one of 768M in six")]

    add = group("a driver domain (ARM)")
    arm_only.append(add("--domu", metavar="SIZE",
                        help="boot one with this much memory instead of dom0; the script runs in it, --append and "
                             "--module are for it"))
    domu_only = [
        add("--test-in", metavar="D", help="dom0 or domu (the default): boot both, and run the script in D"),
        add("--beside", metavar="SCRIPT",
            help="boot both, and run this in the other one, which lives on after it (--file is for both)"),
        add("--beside-append", metavar="ARGS", **several, help="for the other one's kernel"),
        add("--beside-module", metavar="FILE.ko", **several, help="for the other one"),
        add("--pass", metavar="FILE", dest="pass_", type=Path,
            help="device-tree source of its partial tree. The host's nodes that an xen,path there names are passed "
                 "through. Without: fw_cfg and the PCIe host bridge, coherent and without an IOMMU (with --smmu xen "
                 "the bridge is behind it), if the script runs in domu; nothing if it runs in dom0"),
        add("--pass-props", metavar="TEXT", **several,
            help="more properties of the PCIe host bridge in that tree's default: xen,dma-safe;"),
        add("--pass-dts", metavar="TEXT", **several,
            help="source that is appended to that tree's default: "
                 "/ { passthrough { /delete-node/ fw-cfg@9020000; }; };"),
        add("--domu-props", metavar="TEXT", **several,
            help="more properties of its node, or other values: direct-map;")]
    parser.add_argument("qemu", nargs="...", help="(behind --) more arguments for QEMU")
    parser.set_defaults(arm_only=arm_only, domu_only=domu_only)


def given(args, options):
    """The last one of these options that was given, or None."""
    return ([option.option_strings[0] for option in options if getattr(args, option.dest)] or [None])[-1]


def check(args):
    """Refuse what cannot be, and fill in what depends on other options."""
    if args.qemu and (first := args.qemu.pop(0)) != "--":
        raise Failure(f"unknown argument '{first}' (see --help)")
    arch = MACHINES[one_of("architecture", args.arch, MACHINES)]
    arm_only, domu_only = given(args, args.arm_only), given(args, args.domu_only)
    if arch.name == "x86" and (arm_only or domu_only):
        raise Failure(f"{arm_only or domu_only} is for ARM only")
    if domu_only and not args.domu:
        raise Failure(f"{domu_only} needs --domu SIZE")
    if args.bare and arm_only:
        raise Failure(f"{arm_only} has no use for --bare")
    if args.qemu_version:
        one_of("QEMU version", args.qemu_version, QEMUS)
    if args.smmu:
        if arch.name != "arm64":
            raise Failure("--smmu is for arm64 only")
        one_of("driver of the SMMU", args.smmu, ("xen", "linux"))
        args.qemu_version = args.qemu_version or "10"
    if args.icount and args.smp not in (None, "1"):
        raise Failure(f"--icount works with one processor only, not --smp {args.smp}")
    if args.icount and args.accel != "tcg":
        raise Failure("--icount works with --accel tcg only")
    if one_of("accelerator", args.accel, ("tcg", "tcg,thread=single", "kvm")) == "kvm":
        if arch.name != "x86":
            raise Failure("--accel kvm is for x86 only")
        if not os.access("/dev/kvm", os.W_OK):
            raise Failure("--accel kvm: /dev/kvm is not here, or may not be opened")
        args.cpu = args.cpu or "host"
    args.smp = args.smp or ("1" if args.icount else str(arch.smp))
    args.timeout = args.timeout or ("1800" if args.icount else "300" if args.flavour == "test" else "900")
    for name in "mem", "dom0_mem", "machine", "cpu":
        setattr(args, name, getattr(args, name) or getattr(arch, name))
    args.machine += ",iommu=smmuv3" if args.smmu else ""
    for name in "smp", "timeout":
        if not re.fullmatch("0*[1-9][0-9]*", getattr(args, name)):
            raise Failure(f"--{name} wants a positive number, not '{getattr(args, name)}'")
    for name in "mem", "dom0_mem", "domu", "hole_every":
        if getattr(args, name) and not re.fullmatch("[1-9][0-9]*[MG]?", getattr(args, name)):
            raise Failure(f"--{name.replace('_', '-')} wants a size like 512M or 6G, not '{getattr(args, name)}'")
    for option, files in (("--run", [args.run]), ("--beside", [args.beside]), ("--pass", [args.pass_]),
                          ("--module", args.module), ("--beside-module", args.beside_module)):
        for file in files:
            if file and (not Path(file).exists() or Path(file).is_dir()):
                raise Failure(f"{option}: there is no file {file}")
    both = args.test_in or args.beside or args.beside_append or args.beside_module
    args.domains = (["dom0", "domu"] if both else ["domu"]) if args.domu else ["dom0"]
    args.test_in = args.test_in or args.domains[-1]
    if args.test_in not in ("dom0", "domu"):
        raise Failure(f"--test-in wants dom0 or domu, not '{args.test_in}'")
    return arch


def ingredients(args, arch):
    """QEMU's command; busybox, kernel and hypervisor (None with --bare), made or brought if need be."""
    if arch.name == "x86":
        base.need(arch.qemu_package, "busybox-static", "cpio")
        busybox = shutil.which("busybox")
    else:
        base.need(arch.qemu_package, "device-tree-compiler", "cpio")
        busybox = fetch.busybox(arch.name)
    qemu = fetch.qemu(arch.name, args.qemu_version) if args.qemu_version else [arch.qemu]
    if args.kernel:
        kernel = Path(args.kernel)
    else:
        ours = build.Kernel.from_environment(arch=arch.name, kver=args.kver, flavour=args.flavour, stock=args.stock)
        kernel = ours.image
        if not kernel.is_file():
            ours.build()
    if not kernel.is_file():
        raise Failure(f"there is no kernel {kernel}")
    if args.bare:
        return qemu, busybox, kernel, None
    xen = Path(args.xen or fetch.xen(arch.name, args.xen_version))
    if not xen.is_file():
        raise Failure(f"there is no hypervisor {xen}")
    return qemu, busybox, kernel, xen


def put_ingredients(args, work, nonce, busybox, kernel, xen):
    """Into the directory `work`, under plain names, for QEMU parts words at blanks and commas."""
    (work / "kernel").symlink_to(kernel.resolve())
    for domain in args.domains:
        settings = {"arch": args.arch, "domain": domain, "nonce": nonce, "word": "boot", "stay": "", "way": "console"}
        modules, script = args.module, args.run
        if domain != args.test_in:
            # It stays: dom0 would take the machine along, and either of them its grants.
            settings.update(word="beside", stay="y")
            modules, script = args.beside_module, args.beside
        if args.quiet and args.arch == "x86":
            settings["way"] = "serial"
        elif args.quiet and domain == args.test_in:
            settings["way"] = "lines"
        initrd.make(work / f"initrd-{domain}", busybox, settings, modules, args.file, script)
    if xen and xen.read_bytes()[:2] == b"\x1f\x8b":
        try:
            (work / "xen").write_bytes(gzip.decompress(xen.read_bytes()))
        except (OSError, EOFError):
            raise Failure(f"cannot unpack {xen}") from None
    elif xen:
        (work / "xen").symlink_to(xen.resolve())


def boots(args, work, machine):
    """QEMU's arguments for what is booted on the machine that the words `machine` describe."""
    # Stop at once at the first Oops. After a panic x86 ends the machine; on ARM the kernel
    # stands still when it has said so, for the restart of a domain would not be seen.
    x86 = args.arch == "x86"
    linux = ["panic=-1"] * x86 + ["oops=panic", "printk.devkmsg=on"]
    xen = ["bootscrub=0", "loglvl=all", "guest_loglvl=all"]

    def linux_args(domain, append):
        return " ".join([CONSOLES["x86" if x86 else "arm", domain], *linux, *append])
    if args.bare:
        return ["-kernel", f"{work}/kernel", "-initrd", f"{work}/initrd-dom0",
                "-append", linux_args("bare", args.append)]
    if x86:
        xen += ["console=com1", "com1=115200,8n1", f"dom0_mem={args.dom0_mem},max:{args.dom0_mem}"]
        # QEMU takes a comma for the end of one module's words, and a doubled one for a comma.
        return ["-kernel", f"{work}/xen", "-append", " ".join(xen + args.xen_append),
                "-initrd", f"{work}/kernel {linux_args('dom0', args.append).replace(',', ',,')},{work}/initrd-dom0"]
    xen += ["console=dtuart", "dtuart=/pl011@9000000", "serial_tx_buffer=256k",
            f"dom0_mem={args.dom0_mem}", f"dom0_max_vcpus={args.smp}"]
    # The input stays Xen's own: a domain that has it prints character by character.
    xen += [] if "dom0" in args.domains else ["conswitch=ax"]
    lines = {domain: linux_args(domain, args.append if domain == args.test_in else args.beside_append)
             for domain in args.domains}
    loaders = devicetree.make(args, work, machine, " ".join(xen + args.xen_append), lines)
    return ["-kernel", f"{work}/xen", "-dtb", f"{work}/dtb", *loaders]


def serial_ports(args):
    """QEMU's arguments: the first port is the console. On x86 the second is the script's in quiet mode, and the one
    that is shown is QEMU's own standard output. On ARM we read it."""
    if args.arch != "x86":
        return ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    chardevs = ["file,id=console,path={log}", "stdio,id=script,signal=off"] if args.quiet else \
        ["stdio,id=console,logfile={log},signal=off", "null,id=script"]
    return ["-chardev", chardevs[0], "-chardev", chardevs[1], "-serial", "chardev:console", "-serial", "chardev:script"]


def show(line):
    """A line on the standard output."""
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def watch(args, nonce, process, log):
    """Read the console, keep it in the log, show it or what the script says, and end QEMU after the last word;
    returns whether it was ended."""
    script = console.Script(nonce.encode(), show)
    last = console.ending(nonce.encode(), args.test_in == "domu")
    ended = False
    with open(log, "ab", buffering=0) as file:
        for line in console.lines(process.stdout):
            if not args.quiet:
                show(line)
            elif script.take(line):
                continue
            file.write(line + b"\n")
            if last(line):
                ended = True
                process.terminate()
    for begin, end in script.finish():
        base.note(f"lost on the console: the script's lines {begin} to {end} (console: {log})")
    return ended


def run(args, words, work, nonce, log):
    """Run QEMU to its end; returns its exit status and what it complained of: nothing, if we ended it."""
    # timeout(1) ends QEMU even if we are shot.
    command = ["timeout", "-k", "10", args.timeout, *words]
    arm = args.arch != "x86"
    ended = False
    with open(work / "qemu.err", "wb") as error, subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if arm else None, stderr=error) as process:
        try:
            if arm:
                ended = watch(args, nonce, process, log)
            status = process.wait()
        finally:
            process.terminate()
    if ended:
        return 0, ""
    return status if status >= 0 else 128 - status, (work / "qemu.err").read_text(errors="replace")


def verdict(args, log, nonce, status, complaint):
    """The boot's exit status, from the console's log, the exit status of QEMU and what it complained of."""
    def failed(status, message):
        base.tail(log, 30)
        return Failure(f"{message} (console: {log})", status)

    text = log.read_bytes().decode("latin-1").replace("\r", "")
    if crash := console.crash(text):
        raise failed(*crash)
    if status in (124, 137):
        raise failed(124, f"no end after {args.timeout} s")
    if status:
        raise Failure(f"QEMU ended with status {status}: {complaint.strip().rpartition(chr(10))[2]}")
    sys.stderr.write(complaint)
    what, result = console.told(text, "beside", nonce)
    if what == "module":
        raise failed(123, f"{result} did not load")
    if what and result != "0":
        base.note(f"the script beside it ended with status {result} (console: {log})")
    what, result = console.told(text, "boot", nonce)
    if what == "module":
        raise failed(123, f"{result} did not load")
    if not result.isdigit():
        raise failed(123, "the machine ended before the script did")
    if result != "0":
        base.note(f"the script ended with status {result} (console: {log})")
    return int(result)


def main(args):
    """Boot, and return the script's exit status."""
    arch = check(args)
    qemu, *parts = ingredients(args, arch)
    place = os.environ.get("TMPDIR") or "/tmp"
    if not place.startswith("/") or re.search(r"[\s,]", place):
        place = "/tmp"
    nonce = secrets.token_hex(8)
    log = base.new_log("boot")
    with tempfile.TemporaryDirectory(prefix="xen-dma-boot.", dir=place) as work:
        work = Path(work)
        put_ingredients(args, work, nonce, *parts)
        machine = ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none",
                   "-machine", args.machine, "-accel", args.accel, "-cpu", args.cpu, "-smp", args.smp, "-m", args.mem,
                   *(["-icount", "shift=0,sleep=off"] if args.icount else []), *args.qemu]
        booted = boots(args, work, [*qemu, *machine])
        log.touch()
        (work / "console.log").symlink_to(log)
        serial = [word.format(log=work / "console.log") for word in serial_ports(args)]
        try:
            status, complaint = run(args, [*qemu, *serial, *booted, *machine], work, nonce, log)
        except BrokenPipeError:
            # Nobody reads what we show.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return 141
        return verdict(args, log, nonce, status, complaint)
