# SPDX-License-Identifier: GPL-2.0
"""Bad input to the tools: each is refused with one clear line, and changes nothing.

What the graft refuses is in test_graft.py, what a boot refuses later in test_boot.py.
"""

import gzip
import lzma
import re
import subprocess

import pytest

from bed import base, build, deb
from conftest import run

# A command, its environment (NAME=VALUE before it), the status it ends with, and what it says.
REFUSED = [
    ("scripts/bed build --kver 5.4", 1, r"unknown kernel version '5\.4' \(known: .*KSRC"),
    ("scripts/bed build --arch mips", 1, r"unknown architecture 'mips' \(known: "),
    ("scripts/bed build --flavour mint", 1, r"unknown flavour 'mint' \(known: test debug race system trace\)"),
    ("scripts/bed build --arch arm64 --flavour race", 1, r"unknown flavour 'race' \(known: test debug rt\)"),
    ("scripts/bed build --arch arm --flavour debug", 1, r"unknown flavour 'debug' \(known: test\)"),
    ("scripts/bed build --arch um --stock", 1, r"there is no --stock of it"),
    ("scripts/bed build --arch um --kver 6.12", 1, r"--arch um needs --kver 7\.3"),
    ("scripts/bed build --fast", 1, r"--fast"),
    ("scripts/bed build --kver", 1, r"--kver"),
    ("KVER=5.4 make -s kernel", 2, r"unknown kernel version '5\.4'"),
    ("make -s print-builddir FLAVOUR=mint", 2, r"unknown flavour 'mint'"),
    ("scripts/bed fetch --kver 5.4", 1, r"5\.4"),
    ("scripts/bed fetch --xen --xen-version 3.0", 1, r"unknown Xen version '3\.0' \(known: 4\.17 4\.20\)"),
    ("scripts/bed fetch --xen --xen-version 4.20 --arch arm", 1, r"no Xen 4\.20 for 32-bit ARM"),
    ("scripts/bed fetch --qemu 9", 1, r"unknown QEMU version '9' \(known: 10\)"),
    ("scripts/bed fetch --qemu 10 --arch um", 1, r"unknown architecture 'um'"),
    ("scripts/bed fetch --busybox --arch um", 1, r"unknown architecture 'um'"),
    ("KSRC=/nowhere scripts/bed build", 1, r"KSRC=/nowhere is no directory"),
    ("KSRC=tests scripts/bed build", 1, r"KSRC=tests is no kernel tree: it has no Makefile"),
    ("XENSRC=tests scripts/bed hypervisor", 1, r"XENSRC=tests is no source of Xen"),
    ("scripts/bed hypervisor --variant best", 1, r"unknown variant 'best' \(known: dma plain fence\)"),
    ("scripts/bed hypervisor --version 4.20 --variant fence", 1, r"no patch for the variant 'fence' of Xen 4\.20"),
    ("scripts/bed hypervisor --version 3.0", 1, r"unknown Xen version '3\.0'"),
    ("XDG_CACHE_HOME=/tmp/a\N{NO-BREAK SPACE}b scripts/bed build", 1, r"may hold neither blanks"),
    ("scripts/bed clean everything", 1, r"everything"),
    ("scripts/bed fly", 1, r"unknown command 'fly'"),
    ("scripts/bed check all", 1, r"unknown \w+ 'all'"),
    ("scripts/bed demo now", 1, r"now"),
    ("scripts/bed deb", 1, r"no configuration is given: CONFIG=FILE, or CONFIG=debian"),
    ("make -s deb KVER=6.1", 2, r"no configuration is given"),
    ("make -s deb CONFIG=debian ARCH=arm64", 2, r"made for x86, .* ARCH=arm64 can't be"),
    ("FLAVOUR=debug scripts/bed deb --config debian", 1, r"of the given configuration: FLAVOUR=debug can't be"),
    ("STOCK=1 scripts/bed deb --config debian", 1, r"with the driver .*: STOCK=1 can't be"),
    ("CONFIG=/nowhere scripts/bed deb", 1, r"cannot read /nowhere \(No such file"),
    ("scripts/bed deb --config tests", 1, r"cannot read tests \(Is a directory"),
    ("make -s deb CONFIG=README.md", 2, r"README\.md is no kernel configuration"),
    ("scripts/bed deb --config configs/arm64-test.config", 1, r"no distribution's configuration for x86-64"),
    ("scripts/bed deb --config debian --kver 5.4", 1, r"unknown kernel version '5\.4'"),
    ("scripts/bed deb --config debian --lsmod /nowhere", 1, r"cannot read /nowhere"),
    ("LSMOD=README.md scripts/bed deb --config debian", 1, r"README\.md is no list of modules"),
    ("KSRC=tests scripts/bed deb --config debian", 1, r"KSRC=tests is no kernel tree"),
    ("scripts/boot --fast", 120, r"--fast"),
    ("scripts/boot --run /nowhere", 120, r"there is no file"),
    ("scripts/boot --timeout soon", 120, r"--timeout wants"),
    ("scripts/boot --mem plenty", 120, r"--mem wants a size"),
    ("scripts/boot --kernel /nowhere", 120, r"there is no kernel"),
    ("scripts/boot --kernel README.md --xen /nowhere", 120, r"there is no hypervisor"),
    ("scripts/boot --icount --smp 2", 120, r"one processor only"),
    ("scripts/graft /nowhere", 1, r"/nowhere"),
]


@pytest.mark.parametrize("command, status, says", REFUSED, ids=[row[0].rpartition("/")[2] for row in REFUSED])
def test_refused(command, status, says):
    """It ends with that status and says just one line, on the standard error."""
    words = command.split(" ")
    values = dict(word.split("=", 1) for word in words if re.match("[A-Z_]+=", word) and word == words[0])
    process, output, error = run(words[len(values):], **values)
    # make adds a line of its own.
    lines = [line for line in error.splitlines() if not line.startswith("make: ")]
    assert process.returncode == status
    assert output == ""
    assert len(lines) == 1 and re.search(says, lines[0]), error


CONFIG = "CONFIG_X86_64=y\nCONFIG_SMP=y\n"


@pytest.mark.parametrize("data, says", [
    (b"\x1f\x8b but not gzip's", "cannot unpack"),
    (gzip.compress(b"", mtime=0)[:10] + b"\xff" * 20, "cannot unpack"), (b"\xfd7zXZ\x00 cut", "cannot unpack"),
    (b"\x7fELF\x00\xff", "no kernel configuration"), (b"", "no kernel configuration"),
    (gzip.compress(b"CONFIG_ARM64=y\n", mtime=0), "no distribution's configuration for x86-64"),
    (b"# CONFIG_X86_64 is not set\nCONFIG_SMP=y\n", "no distribution's configuration for x86-64")])
def test_no_config(tmp_path, data, says):
    """A file that is no configuration, or one that can't be unpacked."""
    (tmp_path / "config").write_bytes(data)
    process, output, error = run(["scripts/bed", "deb", "--config", tmp_path / "config"])
    assert process.returncode == 1 and output == ""
    assert error.count("\n") == 1 and says in error


def test_packed_config(tmp_path):
    """A configuration may be compressed, as /proc/config.gz and Debian's packages have it; its output may not be
    where no directory can be."""
    for pack in bytes, gzip.compress, lzma.compress:
        (tmp_path / "config").write_bytes(pack(CONFIG.encode()))
        process, _, error = run(["scripts/bed", "deb", "--config", tmp_path / "config",
                                 "--output", "README.md/packages"])
        assert process.returncode == 1 and error.count("\n") == 1
        assert "cannot make " in error and "README.md/packages (Not a directory)" in error


def test_option_not_met(tmp_path):
    """What the fragments want and the kernel did not make of it is named in one line; what is built in is no less
    than a module, and what is optional may be absent."""
    config, want = tmp_path / ".config", tmp_path / "wanted"
    config.write_text("CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=m\n")
    (tmp_path / "fragment").write_text(
        'CONFIG_A=m\nCONFIG_SWIOTLB_XEN=y\n# CONFIG_B is not set\n# optional\nCONFIG_KEY=""\n')
    want.write_text(deb.lay(config, [tmp_path / "fragment"]))
    assert set(config.read_text().splitlines()) == {"CONFIG_A=y", "# CONFIG_B is not set", "CONFIG_C=m",
                                                    "CONFIG_SWIOTLB_XEN=y", 'CONFIG_KEY=""'}
    config.write_text("CONFIG_A=y\nCONFIG_SWIOTLB_XEN=y\n")
    deb.check(config, want, "FILE")
    config.write_text("CONFIG_A=y\nCONFIG_B=y\n")
    with pytest.raises(base.Failure, match=r"^FILE can't be made one of a dom0 .*: CONFIG_SWIOTLB_XEN=y CONFIG_B=n did "
                       r"not come out \(see \S+\)$"):
        deb.check(config, want, "FILE")


def test_wanted_of_dom0():
    """The driver is among what is wanted, and the version tells whose kernel it is."""
    want = {symbol: value for path in deb.FRAGMENTS for symbol, value, _ in build.settings(path)}
    assert want["CONFIG_SWIOTLB_XEN"] == want["CONFIG_XEN_DMA_DEBUGFS"] == "y"
    assert want["CONFIG_LOCALVERSION"] == '"-xen-dma"'


def sources(cache):
    """What is in a cache's directory of sources."""
    return list((cache / "xen-dma/src").glob("*"))


def test_no_network(tmp_path):
    """A proxy that nobody answers at is a machine without network; an empty cache has nothing to fall back to."""
    proxy = "http://127.0.0.1:9/"
    process, output, error = run(["scripts/bed", "fetch", "--kver", "6.12"], XDG_CACHE_HOME=str(tmp_path),
                                 http_proxy=proxy, https_proxy=proxy)
    assert process.returncode == 1
    assert "no network" in error.splitlines()[-1]
    assert output == "" and sources(tmp_path) == []


def test_disk_full(tmp_path):
    """A file system of a few MiB in place of the cache, which only root can mount, and only with the right to."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4M", "tmpfs", tmp_path], check=True)
    try:
        process, output, error = run(["scripts/bed", "fetch", "--kver", "6.12"], XDG_CACHE_HOME=str(tmp_path))
        assert process.returncode == 1
        assert re.search("[Nn]o space left on", error.splitlines()[-1])
        assert output == "" and sources(tmp_path) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)
