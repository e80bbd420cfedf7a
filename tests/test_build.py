# SPDX-License-Identifier: GPL-2.0
"""The build's ways with a kernel tree of one's own, seen on a tree that is next to nothing.

Its Makefile compiles for minutes until a file "go" is beside the configuration, and
holds a lock while it does.
"""

import re
import signal
import subprocess
import time

import pytest

from bed import base, build, deb, known

MAKEFILE = """\
VERSION = 9
PATCHLEVEL = 8
SUBLEVEL = 7
EXTRAVERSION = -rc6
tinyconfig olddefconfig:
\t@touch $O/.config
modules:
bzImage:
\t@test -e $O/go || flock $(XDG_CACHE_HOME)/xen-dma/lock/compiler sh -c "touch $O/begun; sleep 300; true"
\t@mkdir -p $O/arch/x86/boot && cp content $O/arch/x86/boot/bzImage
"""


@pytest.fixture(name="bed")
def little_bed(tmp_path, monkeypatch):
    """A cache of its own and a kernel tree of the user's; returns what starts a build."""
    own = tmp_path / "own"
    for name in build.KERNEL_FILES:
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        (own / name).write_text("")
    (own / "Makefile").write_text(MAKEFILE)
    (own / "content").write_text("one")
    (own / "left.o").write_text("of an earlier build")
    merge = own / "scripts/kconfig/merge_config.sh"
    merge.write_text('#!/bin/sh\nshift 4; cat "$@" >.config\n')
    merge.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("KSRC", str(own))

    def start():
        """Start a build in a group of processes of its own."""
        return subprocess.Popen([base.TOP / "scripts/bed", "build", "--stock"], text=True, start_new_session=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return start, own, build.Kernel(stock=True, ksrc=str(own))


def finish(process, kernel):
    """The build's last line on the standard error, when all has gone well."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out == f"{kernel.builddir}\n"
    return err


def test_interrupted(bed):
    """Ctrl-C during a build: no process is left, no lock is held, and the next run goes on."""
    start, own, kernel = bed
    process = start()
    deadline = time.monotonic() + 120
    while not (kernel.out / "begun").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    locks = list((base.cache() / "lock").iterdir())
    assert base.cache() / "lock/compiler" in locks
    for path in locks:
        subprocess.run(["flock", "--timeout", "10", path, "true"], check=True)
    (kernel.out / "go").touch()
    err = finish(start(), kernel)
    assert "configure" not in err and "compile Linux 9.8.7-rc6 (x86, test, stock)" in err
    assert kernel.image.read_text() == "one"
    assert (own / "left.o").exists() and not (kernel.tree / "left.o").exists()


def test_own_tree_changes(bed):
    """What changes in the user's tree is built anew, and the build moves over to the new copy."""
    start, own, kernel = bed
    kernel.out.mkdir(parents=True)
    (kernel.out / "go").touch()
    finish(start(), kernel)
    assert "make a tree" not in finish(start(), kernel)
    (own / "content").write_text("two, and longer")
    assert "make a tree" in finish(start(), kernel)
    assert kernel.image.read_text() == "two, and longer"
    assert not list(base.cache().glob("*/*.part")) and (kernel.out / "go").exists()


PACKING = """
localmodconfig:
\t@cp $(LSMOD) $O/lsmod
bindeb-pkg:
\t@mkdir -p $O/include/config && echo 9.8.7-rc6-xen-dma >$O/include/config/kernel.release
\t@cd $O/.. && for name in image-9.8.7-rc6-xen-dma headers-9.8.7-rc6-xen-dma libc-dev_9.8.7-rc6-xen-dma; do \\
\t\techo $(shell cat content) >linux-$${name}_1_amd64.deb; done; touch linux-upstream_1_amd64.changes
"""


def test_packages(bed, tmp_path, monkeypatch):
    """make deb hands out the image and the headers, in place of those of before, and leaves nothing in the tree."""
    _, own, _ = bed
    monkeypatch.setattr("bed.graft.lay", lambda _: None)
    monkeypatch.setattr("bed.base.need", lambda *_: None)
    with open(own / "Makefile", "a", encoding="utf-8") as file:
        file.write(PACKING)
    (tmp_path / "config").write_text('CONFIG_X86_64=y\nCONFIG_XEN_NETDEV_BACKEND=y\nCONFIG_LOCALVERSION="-other"\n')
    (tmp_path / "lsmod").write_text("Module Size Used by\nahci 1 0\n")
    kernel = deb.Packaged(ksrc=str(own))
    kernel.out.mkdir(parents=True)
    (kernel.out / "go").touch()
    names = [f"linux-{kind}-9.8.7-rc6-xen-dma_1_amd64.deb" for kind in ("headers", "image")]
    for content in "one", "two, and longer":
        (own / "content").write_text(content)
        made = deb.make(str(tmp_path / "config"), lsmod=str(tmp_path / "lsmod"), output=str(tmp_path / "debs"))
        assert [path.name for path in made.packages] == names
        assert sorted((tmp_path / "debs").iterdir()) == made.packages
        assert {path.read_text() for path in made.packages} == {content + "\n"}
        assert [path for path in kernel.tree.iterdir() if path.name.startswith("linux-")] == []
    assert (kernel.out / "lsmod").read_text() == (tmp_path / "lsmod").read_text()
    assert {"CONFIG_X86_64=y", "CONFIG_XEN_NETDEV_BACKEND=y", "CONFIG_XEN_BLKDEV_BACKEND=m", "CONFIG_SWIOTLB_XEN=y",
            'CONFIG_LOCALVERSION="-xen-dma"'} <= set((kernel.out / ".config").read_text().splitlines())


def test_unmet(tmp_path):
    """The last fragment is what counts, and what is optional may be off, but not otherwise."""
    config, first, last = (tmp_path / name for name in ("config", "first", "last"))
    config.write_text('CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\nCONFIG_S="text"\n')
    first.write_text("CONFIG_A=m\nCONFIG_B=y\n# CONFIG_D is not set\n# optional\nCONFIG_E=y\n")
    last.write_text('CONFIG_A=y\n# optional\nCONFIG_C=y\nCONFIG_S="text"\n')
    assert build.unmet(config, [first, last]) == ["CONFIG_B=y", "CONFIG_C=y"]


def test_flavours():
    """Each flavour has its configurations, and sets nothing twice."""
    for (arch, _), names in known.FLAVOURS.items():
        for name in names:
            text = (base.TOP / f"configs/{arch}-{name}.config").read_text()
            symbols = re.findall(r"^(?:# )?(CONFIG_\w+)(?:=| is not set)", text, re.M)
            assert symbols and len(symbols) == len(set(symbols))
