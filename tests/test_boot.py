# SPDX-License-Identifier: GPL-2.0
"""scripts/boot: what it puts in, what it runs, what its exit status says.

First what needs no machine: options, lines of a console, device trees. Then real boots
on x86 and on arm64, from a table: a script, options, the exit status that they must
have and words that the output or the complaints must hold.
"""

import argparse
import io
import os
import re
import signal
import subprocess
from pathlib import Path

import pexpect
import pytest

import conftest
from bed import boot, console, devicetree, initrd
from bed.base import TOP, Failure
from bed.check import environment

NONCE = "0123456789abcdef"


def parse(*words):
    """The options as scripts/boot takes them."""
    parser = argparse.ArgumentParser()
    boot.arguments(parser)
    args = parser.parse_args(words)
    boot.check(args)
    return args


@pytest.mark.parametrize("words, message", [
    ("--arch mips", "unknown architecture 'mips'"),
    ("--domu 256M", "--domu is for ARM only"),
    ("--dts x.dts", "--dts is for ARM only"),
    ("--arch arm64 --test-in domu", "--test-in needs --domu"),
    ("--arch arm64 --pass-props x; --domu-props y;", "--domu-props needs --domu"),
    ("--arch arm64 --domu 1G --bare", "--domu has no use for --bare"),
    ("--arch arm64 --domu 1G --test-in domX", "--test-in wants dom0 or domu"),
    ("--smmu xen", "--smmu is for ARM only"), ("--arch arm --smmu xen", "--smmu is for arm64 only"),
    ("--arch arm64 --smmu nobody", "unknown driver of the SMMU 'nobody'"),
    ("--arch arm64 --pass-dts x", "--pass-dts needs --domu"), ("--qemu-version 9", "unknown QEMU version '9'"),
    ("--arch arm64 --domu plenty", "--domu wants a size"), ("--arch arm64 --hole-every 0M", "--hole-every wants"),
    ("--mem 6T", "--mem wants a size"), ("--dom0-mem M", "--dom0-mem wants a size"),
    ("--timeout soon", "--timeout wants a positive number"), ("--smp 0", "--smp wants a positive number"),
    ("--icount --smp 2", "one processor only"), ("--icount --accel kvm", "--accel tcg only"),
    ("--accel hvf", "unknown accelerator"), ("--arch arm --accel kvm", "for x86 only"),
    ("--run /none", "--run: there is no file /none"), ("--module /none", "--module: there is no file /none"),
    ("--quiet edu -- -device edu", "unknown argument 'edu'"),
])
def test_refused_options(words, message):
    with pytest.raises(Failure, match=re.escape(message)):
        parse(*words.split(" "))


def test_options():
    args = parse("--append", "a", "--append", "b=1,2", "--", "-device", "edu", "--quiet")
    assert (args.qemu, args.append, args.quiet) == (["-device", "edu", "--quiet"], ["a", "b=1,2"], False)
    assert (args.mem, args.dom0_mem, args.smp, args.timeout) == ("6G", "2G", "2", "300")
    assert (parse("--icount").smp, parse("--icount").timeout) == ("1", "1800")
    assert parse("--flavour", "debug").timeout == "900"
    for words, domains in (("", "dom0"), ("--domu 1G", "domu"), ("--domu 1G --test-in dom0", "dom0 domu"),
                           ("--domu 1G --beside-append x", "dom0 domu")):
        args = parse("--arch", "arm64", *words.split())
        assert (args.domains, args.test_in) == (domains.split(), words[-4:] if "test" in words else domains[-4:]), words
    args = parse("--arch", "arm64", "--smmu", "xen")
    assert (args.qemu_version, args.machine.endswith(",iommu=smmuv3")) == ("10", True)


@pytest.mark.parametrize("props, more, wanted, unwanted", [
    ("", "", "xen,dma-unprotected", ()),
    ("xen,dma-safe;", "/ { passthrough { /delete-node/ fw-cfg@9020000; }; };", "xen,dma-safe", ("fw-cfg",)),
    (devicetree.BEHIND, "/ { passthrough { /delete-node/ fw-cfg@9020000; }; };", "pcie@10000000",
     ("unprotected", "without-iommu")),
])
def test_partial_tree(tmp_path, props, more, wanted, unwanted):
    (tmp_path / "dts").write_text(devicetree.default_pass("arm64", True, props, more))
    devicetree.to_blob(tmp_path / "dts", tmp_path / "dtb", "the tree")
    source = devicetree.to_source(tmp_path / "dtb")
    assert wanted in source and not [word for word in unwanted if word in source]


@pytest.mark.parametrize("word", ["/dev:/a:/none:/b", "/dev", ":/a", "/dev:a", "/dev:/"])
def test_file_option(word):
    assert initrd.split_file("/dev:/a/b") == ("/dev", "a/b")
    with pytest.raises(Failure, match="--file"):
        initrd.split_file(word)


def test_device_tree_source():
    assert [devicetree.mebibytes(size) for size in ("512", "512M", "6G")] == [512, 512, 6144]
    assert devicetree.cells(0x123456789) == "0x1 0x23456789"
    assert devicetree.quoted(r'a "b" \c') == r'"a \"b\" \\c"'
    mib = devicetree.MIB
    # Neither the tree at 0x48000000 nor the modules are holes.
    assert devicetree.holes(64 * mib, 320 * mib, range(0x50000000, 0x50200000)) == [0x44000000, 0x4c000000]


@pytest.mark.parametrize("console_says, wanted", [
    (b"one\r\n\r\ntwo\r\r\nthr\0ee", b"one||two|three"),
    (b"(XEN) DOM1: short\r\nplain\n", b"(XEN) DOM1: short|plain"),
    (b"(XEN) DOM1: " + 126 * b"a" + b"\r\n(XEN) DOM1: b\r\n", b"(XEN) DOM1: " + 126 * b"a" + b"b"),
    (b"from do(XEN) DOM1: other\r\nm0\r\n", b"(XEN) DOM1: other|from dom0"),
    (b"cut at the en", b"cut at the en"),
])
def test_lines_come_whole(console_says, wanted):
    assert b"|".join(console.lines(io.BytesIO(console_says))) == wanted


def test_script_lines():
    shown = []
    script = console.Script(NONCE.encode(), shown.append)

    def say(text, mark=f"say {NONCE} "):
        return script.take((mark + text).encode())
    assert say("2 5 later") and not shown
    assert not say("1 7 dama[ 1.0] kernel\n") and not say("1") and not say("x 0 ") and not say("1 1")
    assert not say("1 3 one", mark="say another ")
    assert say("1 0 ") and shown == [b"", b"later"]
    assert say("1 0 ") and say("2 5 later") and len(shown) == 2
    assert say("5 4 five") and say("7 5 seven")
    assert script.finish() == [(3, 4), (6, 6)] and shown[2:] == [b"five", b"seven"]


@pytest.mark.parametrize("in_domu, says, ends", [
    (True, f"(XEN) DOM1: [    1.000000] boot {NONCE} exit 0 end", True), (False, f"boot {NONCE} exit 0 end", False),
    (True, "(XEN) DOM1: [    9.000000] reboot: Power down", True), (False, "(XEN) DOM1: [    9.0] reboot: no", False),
    (False, f"beside {NONCE} module a.ko end", True), (False, f"beside {NONCE} exit 0 end", False),
    (True, "---[ end Kernel panic - not syncing", True), (True, "(XEN) Reboot in five seconds...", True),
    (True, "(XEN) Manual reset required ('noreboot' specified), rebooting machine in 5 seconds.", True),
    (True, "(XEN)", False), (True, "(XEN) Domain 1 (vcpu#0) crashed on cpu#0:\n(XEN) state\n(XEN)", True),
])
def test_last_line(in_domu, says, ends):
    last = console.ending(NONCE.encode(), in_domu)
    assert [last(line.encode()) for line in says.split("\n")][-1] == ends


@pytest.mark.parametrize("says, status", [
    ("(XEN) Panic on CPU 0:", 122), ("(XEN) [2026-11-29 00:00] Xen BUG at x.c:1", 122), ("Panic on CPU 0", None),
    ("[    1.000000] Kernel panic - not syncing: x", 121), ("Kernel panic - not syncing: a script's words", None),
    ("[    1.000000] BUG: spinlock", 121), ("[    1.000000] DEBUG: x", None), ("[    1.000000] Oops: 0000 [#1]", 121),
    ("(XEN) Domain 1 (vcpu#0) crashed on cpu#0:", 121), ("(XEN) Hardware Dom0 crashed: rebooting", 121),
])
def test_crash(says, status):
    assert (console.crash(f"before\n{says}\nafter") or (None,))[0] == status


def test_report():
    text = f"boot {NONCE} exit 3 end\n[1.0] boot {NONCE} module a b.ko end\nboot {NONCE} exit 4 en(XEN) x"
    assert console.told(text, "boot", NONCE) == ("module", "a b.ko") and console.told(text, "beside", NONCE) == ("", "")


LOOP, PANIC = "while :; do :; done", "echo c >/proc/sysrq-trigger\nexit 0"
DEVICES = "cat /sys/bus/pci/devices/*/device 2>/dev/null\nls /proc/device-tree/passthrough 2>/dev/null\ntrue"
TREE = "[ -e /proc/device-tree/pcie@10000000 ] || exit 1\n[ ! -e /proc/device-tree/pcie@10000000/dma-coherent ]"
SMMU = "[ -e /proc/device-tree/smmuv3@9050000 ] && [ -e /proc/device-tree/pcie@10000000/iommu-map ]"
FILES = {
    "file": "put there\n", "bad.ko": "not a module\n", "panic": PANIC, "bad.dts": "/ {\n",
    "edit.dts": '/ { chosen { our-words = "in the tree"; }; pcie@10000000 { /delete-property/ dma-coherent; }; };',
    "pass.dts": "/dts-v1/; / { #address-cells = <2>; #size-cells = <2>; gic: gic { phandle = <0xfde8>; };"
                " passthrough { }; };",
}
SAID, NOT_SAID, COMPLAINT = "said", "not said", "complaint"

# Name, options, script, exit status, and lines or words that must be there, or must not.
CASES = [
    ("status", "", "exit 3", 3, {}),
    ("arguments", "--file {0}/file:/put/file --smp 1 --append one=1,2,3 --append swiotlb=16384,force",
     "cat /put/file /proc/cmdline\nnproc | grep -qx 1", 0, {SAID: "^put there\n(.|\n)* one=1,2,3 swiotlb=16384,force"}),
    ("panic", "", PANIC, 121, {COMPLAINT: "Kernel panic"}),
    ("no-end", "--timeout 45", LOOP, 124, {COMPLAINT: "no end after 45 s"}),
    ("bare", "--bare", "exit 0", 0, {}),
    ("qemu-refuses", "-- -device no-such-device", "exit 0", 120, {COMPLAINT: "no-such-device"}),
    ("bad-module", "--module {0}/bad.ko", "exit 0", 123, {COMPLAINT: "bad.ko did not load"}),
    ("arm-only", "--domu 256M", "exit 0", 120, {COMPLAINT: "for ARM only"}),
    ("arm64-dom0", "--arch arm64", "exit 3", 3, {}),
    ("arm64-domu", "--arch arm64 --domu 256M", "exit 3", 3, {}),
    ("arm64-xen-4.20", "--arch arm64 --domu 256M --xen-version 4.20", "exit 3", 3, {}),
    ("arm64-edu-in-domu", "--arch arm64 --domu 256M", DEVICES, 0, {SAID: "(?m)^0x11e8$(.|\n)*^fw-cfg@9020000$"}),
    ("arm64-edu-in-dom0", "--arch arm64 --domu 256M --test-in dom0", DEVICES, 0, {SAID: "(?m)^0x11e8$"}),
    ("arm64-pass", "--arch arm64 --domu 256M --pass {0}/pass.dts", DEVICES, 0, {NOT_SAID: "0x11e8"}),
    ("arm64-smmu", "--arch arm64 --smmu linux", SMMU, 0, {}),
    ("arm64-dts", "--arch arm64 --dts {0}/edit.dts", TREE, 0, {}),
    ("arm64-panic-dom0", "--arch arm64", PANIC, 121, {COMPLAINT: "Kernel panic"}),
    ("arm64-panic-domu", "--arch arm64 --domu 256M", PANIC, 121, {COMPLAINT: "end Kernel panic"}),
    ("arm64-panic-beside", "--arch arm64 --domu 256M --beside {0}/panic", LOOP, 121, {COMPLAINT: "Kernel panic"}),
    ("arm64-no-end", "--arch arm64 --domu 256M --timeout 15", LOOP, 124, {COMPLAINT: "no end after 15 s"}),
    ("arm64-domu-goes", "--arch arm64 --domu 256M", "poweroff -f", 123, {COMPLAINT: "ended before the script did"}),
    ("arm64-bad-module", "--arch arm64 --domu 256M --module {0}/bad.ko", "exit 0", 123, {COMPLAINT: "did not load"}),
    ("arm64-domu-too-large", "--arch arm64 --domu 4G --mem 1G", "exit 0", 122, {COMPLAINT: "the hypervisor crashed"}),
    ("arm64-bad-dts", "--arch arm64 --dts {0}/bad.dts", "exit 0", 120, {COMPLAINT: "dtc refuses"}),
]


def command(tmp_path, script, options):
    """The words that boot a script, quietly; on arm64 with a device of QEMU's."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "script").write_text(script + "\n")
    words = [TOP / "scripts/boot", "--quiet", "--run", tmp_path / "script", *options.format(tmp_path).split()]
    return [str(word) for word in words + (["--", "-device", "edu"] if "arm64" in words else [])]


def run(tmp_path, script, options, status):
    """Boot, and look at the exit status; returns the output and the complaints."""
    process, output, complaint = conftest.run(command(tmp_path, script, options))
    assert process.returncode == status, f"{output}\n{complaint}"
    return output, complaint


@pytest.mark.parametrize("options, script, status, wanted", [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_boot(tmp_path, options, script, status, wanted):
    output, complaint = run(tmp_path, script, options, status)
    assert re.search(wanted.get(SAID, ""), output) and re.search(wanted.get(COMPLAINT, ""), complaint)
    assert NOT_SAID not in wanted or wanted[NOT_SAID] not in output


# Lines longer than what Xen buffers, kernel messages between them, and one without end.
LINES = r"""i=0
while [ $i -lt 100 ]; do
printf "%${i}s|\ttwo  blanks, a \\ and a %%\n" "" | sed "p; s/ /xxx/g"
echo noise >/dev/kmsg
i=$((i + 1))
done
echo error >&2
sleep 1000 &
printf last"""


@pytest.mark.parametrize("options", ["", "--domu 256M", "--domu 256M --test-in domu"])
def test_quiet_shows_the_script_and_nothing_else(tmp_path, options):
    here = ["sh", "-c", re.sub("(?m)^.*(kmsg|sleep).*\n", "", LINES)]
    wanted = subprocess.run(here, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    assert run(tmp_path, LINES, f"--arch arm64 {options}", 0)[0] == wanted + "\n"


def running(name):
    """The processes whose command line has that name."""
    found = subprocess.run(["grep", "-la", name, *Path("/proc").glob("[0-9]*/cmdline")], check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.split()
    return [file for file in found if Path(file).exists()]


@pytest.mark.parametrize("end, status", [("TERM", 143), ("Ctrl-C", 130), ("SIGPIPE", 141)])
def test_an_interrupted_boot_leaves_nothing(tmp_path, end, status):
    # The pattern must not find grep itself.
    name, pattern = f"boot-test-{os.getpid()}-{status}", f"[b]oot-test-{os.getpid()}-{status}"
    (tmp_path / "tmp").mkdir()
    words = command(tmp_path, "echo begun; while :; do echo more; done", "--arch arm64") + ["-name", name]
    env = dict(environment(), TMPDIR=str(tmp_path / "tmp"))
    if end == "SIGPIPE":
        words = ["bash", "-c", '"$@" | head -n 1; exit ${PIPESTATUS[0]}', "bash", *words]
    process = pexpect.spawn(words[0], words[1:], env=env, timeout=300)
    process.expect("begun")
    assert end == "SIGPIPE" or running(pattern)
    if end == "TERM":
        process.kill(signal.SIGTERM)
    elif end == "Ctrl-C":
        process.sendintr()
    process.expect(pexpect.EOF)
    process.close()
    assert process.exitstatus == status and not running(pattern) and not os.listdir(tmp_path / "tmp")
