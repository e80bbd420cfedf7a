# SPDX-License-Identifier: GPL-2.0
"""Tests of scripts/graft: what it lays over a tree, that it repeats itself without a change, what it refuses, and that
an undone, failed or killed run leaves nothing behind.

The trees are hard-linked copies of those parts that the graft looks at; the files to lay over them are made here, so
that the outcome is known, and the repository's own are tried at the end. Faults are real: a forked process that lays
the graft is killed, or its system call refused, at one chosen place after the other.
"""

import errno
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from bed import base, fetch, graft
from bed.known import KERNELS

MMU = "arch/x86/xen/mmu_pv.c"
PAGE = "include/xen/arm/page.h"
RESERVE = "drivers/xen/mem-reservation.c"
LISTS = "lib/scatterlist.c"
GRANT = "drivers/xen/grant-table.c"
KCONFIG = "drivers/xen/Kconfig"
DRIVER = "drivers/xen/swiotlb-xen.c"
APERTURE = "drivers/xen/dma/aperture.c"
OPTIONS = "drivers/xen/dma/Kconfig"
RUN = "tools/testing/selftests/xen-dma/lib/run.sh"
GONE = """alloc_discontig_frames xen_create_contiguous_region xen_destroy_contiguous_region xen_exchange_memory
    xen_remap_exchanged_ptes xen_zap_pfn_range xen_reservation_lock discontig_frames discontig_frames_dyn
    discontig_frames_early discontig_frames_order MIN_CONTIG_ORDER VOID_PTE""".split()


def holds(top):
    """Type, mode and content of everything below a directory."""
    return {str(path.relative_to(top)):
            (path.is_dir(), path.lstat().st_mode, None if path.is_dir() else path.read_bytes())
            for path in Path(top).rglob("*")}


def traces(top):
    """Inode and time of everything below a directory, beside what it holds."""
    return {name: (*entry, (top / name).lstat().st_ino, (top / name).lstat().st_mtime_ns)
            for name, entry in holds(top).items()}


def edit(path, pattern, new):
    """Replace a file by one with other text; it has to become another."""
    old = path.read_text()
    text = re.sub(pattern, new, old, flags=re.M)
    assert text != old
    path.unlink()
    path.write_text(text)


MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@pytest.fixture
def tmp_path():
    """A directory in memory, for there are many trees to copy."""
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="graft.") as top:
        yield Path(top)


every_version = pytest.mark.parametrize("stock", [pytest.param(kver, marks=[pytest.mark.full] if kver == "6.1" else [])
                                                  for kver in KERNELS], indirect=True)


@pytest.fixture(scope="session")
def stock(request):
    """The stock files that the graft looks at, and some more; nothing may ever change them. One version tells for all
    where a test does not want every one."""
    origin = fetch.linux(getattr(request, "param", next(iter(KERNELS))))
    holder = tempfile.TemporaryDirectory(dir=MEMORY, prefix="stock.")
    top = Path(holder.name, "stock")
    for name in ("Makefile", "Kconfig", "Kbuild", ".gitignore", "drivers/xen/grant-table.c", *graft.EDITS,
                 *graft.REPLACED, graft.BINDING.replace("yaml", "txt")):
        if (origin / name).exists():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(origin / name, top / name)
    before = traces(top)
    yield top
    assert traces(top) == before
    holder.cleanup()


def copy(source, to):
    """A hard-linked copy of a tree, in place of what was there."""
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(source, to, copy_function=os.link))


@pytest.fixture
def tree(stock, tmp_path):
    """A tree to work on."""
    return copy(stock, tmp_path / "tree")


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """A repository whose content is known, which the graft takes for ours."""
    top = tmp_path / "repo"
    for name in (*graft.NEEDED, APERTURE, "drivers/xen/dma/tests/new_kunit.c", "drivers/xen/dma/aperture.o",
                 "drivers/xen/.xen.swp",
                 "Documentation/admin-guide/xen-dma.rst", RUN):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(f"our {name}\n")
        (top / name).chmod(0o755 if name == RUN else 0o644)
    monkeypatch.setattr(graft, "TOP", top)
    return top


@pytest.fixture
def laid(tree, repo):
    """A tree with the graft laid over it."""
    graft.lay(tree)
    return tree


@every_version
def test_lays(stock, tree, repo):
    """Our files are in place, and the stock files changed in the known places only."""
    graft.lay(tree)
    after = holds(tree)
    for name in (*graft.REPLACED, APERTURE, RUN):
        assert after[name][2] == (repo / name).read_bytes()
    assert after[OPTIONS][2] == f"our {OPTIONS}\n".encode()
    assert after[RUN][1] & 0o777 == 0o755 and after[APERTURE][1] & 0o777 == 0o644
    assert not {"drivers/xen/dma/tests", "drivers/xen/dma/aperture.o", "drivers/xen/.xen.swp"} & set(after)
    for name, entry in holds(stock).items():
        assert after[name][:2] == entry[:2]
        assert name in (*graft.EDITS, *graft.REPLACED) or after[name] == entry

    def texts(name):
        return (stock / name).read_text(), (tree / name).read_text()

    for name, line, nxt in (("drivers/xen/Makefile", "obj-$(CONFIG_SWIOTLB_XEN)\t\t+= dma/\n", ""),
                            (KCONFIG, 'source "drivers/xen/dma/Kconfig"\n', "endmenu\n"),
                            ("tools/testing/selftests/Makefile", "TARGETS += xen-dma\n", "TARGETS += zram\n"),
                            ("Documentation/admin-guide/index.rst", "   video-output\n   xen-dma\n", "")):
        old, new = texts(name)
        assert new.count(line + nxt) == 1 and new.replace(line.removeprefix("   video-output\n"), "") == old
    old, new = texts(MMU)
    assert [name for name in GONE if not re.search(rf"\b{name}\b", old)] == []
    assert [name for name in GONE if re.search(rf"\b{name}\b", new)] == []
    head, rest = re.compile(r"^[a-zA-Z#].*[({].*", re.M), iter(old.splitlines())
    assert head.findall(new) == [line for line in head.findall(old) if not re.search(rf"\b({'|'.join(GONE)})\b", line)]
    assert all(line in rest for line in new.splitlines())
    assert new.count("\n\n\n") == old.count("\n\n\n") and "2MB" not in new
    old, new = texts(PAGE)
    old = re.sub(r"^static inline unsigned long pfn_to_bfn\([^}]*\}\n\n\treturn pfn;\n\}$",
                 "unsigned long pfn_to_bfn(unsigned long pfn);",
                 old.replace("extern struct rb_root phys_to_mach;\n", ""), flags=re.M)
    if "phys_to_mach." in old:      # the braces of the stock function nest otherwise
        pytest.fail("pfn_to_bfn of the stock tree is not as expected")
    assert new == old
    old, new = texts(RESERVE)
    old = old.replace("#include <xen/mem-reservation.h>\n",
                      "#include <xen/mem-reservation.h>\n#include <xen/swiotlb-xen.h>\n")
    for what, before, call in (("decrease_reservation", "\txen_dma_pages_leave();\n", "left"),
                               ("populate_physmap", "", "return")):
        old = old.replace(f"\treturn HYPERVISOR_memory_op(XENMEM_{what}, &reservation);",
                          f"{before}\treturn xen_dma_pages_{call}(frames,\n\t\t\t\t  "
                          f"HYPERVISOR_memory_op(XENMEM_{what}, &reservation));")
    assert re.sub(r"\s+", " ", new) == re.sub(r"\s+", " ", old)
    old, new = texts("arch/arm/mm/dma-mapping.c")
    assert new == old.replace("\tif (dev->dma_ops)\n", "\tif (dev->dma_ops && !xen_has_dma_ops(dev))\n")
    old, new = texts("drivers/of/address.c")
    assert new == old.replace("OF_BAD_ADDR)\n\t\t\tcontinue;",
                              "OF_BAD_ADDR ||\n\t\t    range.cpu_addr > PHYS_ADDR_MAX)\n\t\t\tcontinue;")
    old, new = texts(GRANT)
    assert new == old.replace("page = pfn_to_page(pfn);", "page = xen_coherent_page(args->vaddr, i);")
    old, new = texts(LISTS)
    assert new.count("#include <xen/mergeable.h>") == 1 and new.count("xen_pages_mergeable") in (1, 3)
    new = new.replace("\n#include <xen/mergeable.h>\n", "").replace("return xen_pages_mergeable(b, a)", "return true")
    new = new.replace("xen_pages_mergeable(pfn_to_page(paddr - 1), pages[0])", "page_to_pfn(pages[0]) == paddr")
    new = re.sub(r"!xen_pages_mergeable\((.*?), (.*?)\)\)", r"page_to_pfn(\2) != page_to_pfn(\1) + 1)", new)
    assert re.sub(r"\s+", " ", new) == re.sub(r"\s+", " ", old)
    old, new = texts(graft.OPS)
    if "use_dma_iommu" in new:
        old = old.replace("#include <linux/dma-mapping.h>\n",
                          "#include <linux/dma-mapping.h>\n#include <linux/iommu-dma.h>\n")
        old = old.replace("\tif (dev->dma_ops)\n", "\tif (use_dma_iommu(dev))\n\t\treturn NULL;\n\tif (dev->dma_ops)\n")
    assert new == old and ("use_dma_iommu" in new) == ("CONFIG_ARCH_HAS_DMA_OPS" in new)
    old, new = texts(graft.SOUND)
    asks = "\t.get_chunk_size = snd_dma_noncontig_get_chunk_size,\n"
    assert (new == old) == ("X86_FEATURE_XENPV" in old) and new.count(asks) == 2
    if new != old:
        at, last = new.rindex(asks), "snd_dma_vmalloc_get_page,\n{}}};\n#endif"
        assert (new[:at] + new[at + len(asks):]).replace(last.format(""), last.format(
            "\t.get_chunk_size = snd_dma_vmalloc_get_chunk_size,\n").replace("}}", "}")) == old
    old, new = texts(graft.MAPPING)
    assert (new == old) == ("is_zone_device_page" not in old)
    if new != old:
        old = old.replace("kmsan.h>\n", "kmsan.h>\n#include <linux/memremap.h>\n")
        assert new == old.replace("ONCE(is_zone_device_page(page))", "ONCE(is_pci_p2pdma_page(page) ||\n\t\t\t "
                                  "is_device_private_page(page))")
    if (stock / graft.BINDING).exists():
        old, new = texts(graft.BINDING)
        assert new == old.replace("\nadditionalProperties: false\n", "\nallOf:\n  - $ref: /schemas/arm/xen,dma.yaml#\n"
                                  "\nunevaluatedProperties: false\n")


@every_version
def test_twice_is_once(laid, monkeypatch):
    """A second run needs no Coccinelle, touches nothing, not a time, and takes less than a second."""
    monkeypatch.setenv("SPATCH", "/nonexistent/spatch")
    before, used = traces(laid), os.times()
    done = subprocess.run([base.TOP / "scripts/graft", "--help"], check=False, capture_output=True)
    assert done.returncode == 0 and b"--undo" in done.stdout
    assert graft.lay(laid).endswith("nothing to do")
    assert traces(laid) == before
    assert sum(os.times()[:4]) - sum(used[:4]) < 1


@every_version
def test_updates(stock, laid, repo, tmp_path):
    """Newer files, files more and files less: only what changed is written, and the outcome is like a fresh one."""
    first, before = holds(laid), traces(laid)
    edit(repo / DRIVER, "our", "newer")
    edit(repo / "arch/arm/xen/p2m.c", "our", "newer")
    (repo / "include/trace/events").mkdir(parents=True)
    (repo / "include/trace/events/xen_dma.h").write_text("new\n")
    (repo / APERTURE).rename(tmp_path / "aside")
    shutil.rmtree((repo / RUN).parent)
    graft.lay(laid)
    after = traces(laid)
    assert {name for name in after if after[name] != before.get(name) and not after[name][0]
            and not name.startswith(".xen-dma/")} == {DRIVER, "arch/arm/xen/p2m.c", "include/trace/events/xen_dma.h"}
    fresh = copy(stock, tmp_path / "fresh")
    graft.lay(fresh)
    assert holds(fresh) == holds(laid)
    shutil.rmtree(repo / "include/trace")
    edit(repo / DRIVER, "newer", "our")
    edit(repo / "arch/arm/xen/p2m.c", "newer", "our")
    (tmp_path / "aside").rename(repo / APERTURE)
    (repo / RUN).parent.mkdir()
    (repo / RUN).write_text(f"our {RUN}\n")
    (repo / RUN).chmod(0o755)
    graft.lay(laid)
    assert holds(laid) == first


@every_version
def test_undo(stock, laid):
    """The undone tree is the stock tree, and undoing again changes nothing."""
    graft.undo(laid)
    assert holds(laid) == holds(stock)
    before = traces(laid)
    assert graft.undo(laid).endswith("nothing to undo")
    assert traces(laid) == before


def test_changed_by_others(tree, repo, capfd):
    """What is replaced and has something of its own is named, once; what is as released is not."""
    edit(tree / DRIVER, r"\Z", "/* of a distribution */\n")
    graft.lay(tree)
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and f": {DRIVER} is another than in the releases known here" in said
    graft.lay(tree)
    assert not capfd.readouterr().err


@every_version
def test_as_released(tree, repo, capfd):
    """Of the trees that are here nothing is named."""
    graft.lay(tree)
    assert not capfd.readouterr().err


def test_copies_keep_their_graft(laid, repo, tmp_path):
    """What happens to a tree does not reach a hard-linked copy of it."""
    twin = copy(laid, tmp_path / "twin")
    before = traces(twin)
    edit(repo / DRIVER, "our", "newer")
    graft.lay(laid)
    graft.undo(laid)
    assert traces(twin) == before


def test_stock_file_is_grafted_again(stock, laid):
    """A file that was put back to stock, and one of ours that was deleted, come back."""
    before = holds(laid)
    (laid / "drivers/xen/Makefile").unlink()
    shutil.copy2(stock / "drivers/xen/Makefile", laid / "drivers/xen/Makefile")
    (laid / APERTURE).unlink()
    graft.lay(laid)
    assert holds(laid) == before


@every_version
def test_own_files(stock, tree):
    """The command, with the repository's own files: two runs at once, --list, and --undo."""
    command = base.TOP / "scripts/graft"
    runs = [subprocess.Popen([command, tree], stdout=subprocess.PIPE) for _ in range(2)]
    assert [run.wait() for run in runs] == [0, 0]
    assert sorted(b"nothing to do" in run.communicate()[0] for run in runs) == [False, True]
    changed = {name for name, entry in holds(tree).items() if holds(stock).get(name) != entry and not entry[0]
               and not name.startswith(".xen-dma/")}
    done = subprocess.run([command, "--list"], check=True, capture_output=True, text=True)
    assert {line.split(" ", 1)[1] for line in done.stdout.splitlines()} == changed | set(graft.LEFT)
    subprocess.run([command, "--undo", tree], check=True, stdout=subprocess.PIPE)
    assert holds(tree) == holds(stock)


def git(tree, *words):
    """Run git in a tree."""
    subprocess.run(["git", "-C", tree, "-c", "user.name=t", "-c", "user.email=t@localhost", *words], check=True,
                   stdout=subprocess.PIPE)


@pytest.fixture
def git_tree(tree):
    """A clean git work tree."""
    git(tree, "init", "-q")
    git(tree, "add", "-A", "-f")
    git(tree, "commit", "-q", "-m", "stock")
    return tree


def test_git_work_tree(git_tree, repo):
    """A clean git work tree is no obstacle, at the second time neither."""
    graft.lay(git_tree)
    before = traces(git_tree)
    graft.lay(git_tree)
    assert traces(git_tree) == before


def refused(tree, pattern, function=graft.lay, look=traces):
    """A run says one line that has the pattern, and leaves all of the tree as it was."""
    before = look(tree)
    with pytest.raises(base.Failure, match=pattern) as caught:
        function(tree)
    assert "\n" not in str(caught.value)
    assert look(tree) == before


def test_command_refuses(tmp_path):
    """A refusal is one line on the standard error, and exit status 1; wrong usage has 2."""
    for words, status in (([tmp_path], 1), (["--undo", tmp_path / "none"], 1), ([], 2), (["--list", tmp_path], 2),
                          (["--what"], 2)):
        done = subprocess.run([base.TOP / "scripts/graft", *words], check=False, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (status, "", 1)


@pytest.mark.parametrize("path, pattern, new, message", [
    ("Makefile", r"^PATCHLEVEL = .*", "PATCHLEVEL = 99", r"Linux \d+.99 is not known, only 6.12, 7.3, 6.1"),
    ("Makefile", r"^VERSION.*\n", "", "not a Linux source tree"),
    (MMU, r"^static int xen_exchange_memory\(", "static int xen_swap_memory(", "defines xen_exchange_memory 0 times"),
    (MMU, r"\bVOID_PTE\b", "NO_PTE", "mmu_pv.c: defines VOID_PTE 0 times"),
    (MMU, r"\Z", "int xen_create_contiguous_region(void)\n{\n\treturn 0;\n}\n", "xen_create_contiguous_region 2 times"),
    (MMU, r"\Z", "static int foreign(void)\n{\n\treturn xen_exchange_memory(0, 0, NULL, 0, 0, NULL, 0);\n}\n",
     "xen_exchange_memory is still there"),
    (MMU, r"(if \(alloc_discontig_frames\(MIN.*\n.*)BUG\(\)", r'\1panic("no")', "is still there after the removal"),
    (PAGE, r"^(static inline unsigned long pfn_to)_bfn\(", r"\1_frame(", "page.h: .* 0 times"),
    (PAGE, r"^static inline unsigned long pfn_to_bfn\((.*\n)*?\}$", "unsigned long pfn_to_bfn(unsigned long pfn);",
     "page.h: .* 0 times"),
    (PAGE, r"\Z", "static inline unsigned long pfn_to_bfn(unsigned long pfn)\n{\n\treturn pfn;\n}\n", "page.h: .* 2"),
    (PAGE, r"^extern struct rb_root phys_to_mach;\n", "", "page.h: .* 0 times"),
    (PAGE, r"^(extern struct rb_root phys_to_mach;\n)", r"\1\1", "page.h: .* 2 times"),
    (PAGE, r"^\treturn bfn;$", "\treturn phys_to_mach.rb_node ? 0 : bfn;", "phys_to_mach is still there"),
    (PAGE, r"^\treturn bfn;$", "\treturn RB_EMPTY_ROOT(&phys_to_mach) ? bfn : 0;", "phys_to_mach is still there"),
    (RESERVE, "XENMEM_decrease_reservation,", "XENMEM_other,", "mem-reservation.c: has 0 times"),
    (RESERVE, r"^(\treturn HYPERVISOR_memory_op\(XENMEM_decrease_.*\n)", r"\1\1", "mem-reservation.c: has 0 times"),
    (RESERVE, r"^(int xenmem_reservation_decrease\()int count", r"\1unsigned int count", "reservation.c: has 0 times"),
    (RESERVE, r"^#include <xen/mem-reservation.h>\n", "", "mem-reservation.c: has 0 times"),
    ("arch/arm/mm/dma-mapping.c", r"if \(dev->dma_ops\)", "if (!dev)", "dma-mapping.c: has 0 times"),
    ("drivers/of/address.c", r"^\t\tif \(range.cpu_addr == OF_BAD_ADDR\)$", "\t\tif (false)", "address.c: has 0 times"),
    (LISTS, r"(pgmap\(a, b\)\)\n\t\treturn false;\n\treturn )true;$", r"\g<1>1;", "merges pages in 2 places"),
    (LISTS, r"^\tif \(page_to_pfn\(a\) != page_to_pfn\(b\) \+ 1\)\n(?:.*\n)*?\treturn true;$", "\treturn a == b + 1;",
     "merges pages in 0 places"),
    (LISTS, r"^#include <linux/kmemleak.h>\n", "", "scatterlist.c: has 0 times"),
    (graft.SOUND, "snd_dma_vmalloc_get_page", "snd_dma_vmalloc_page", "memalloc.c: has 0 times"),
    (graft.OPS, r"^\tif \(dev->dma_ops\)$", "\tif (dev && dev->dma_ops)", "dma-map-ops.h: has 0 times"),
    (GRANT, r"page = pfn_to_page\(pfn\)", "page = NULL", "grant-table.c: has 0 times"),
    (KCONFIG, r"^config SWIOTLB_XEN$", "config SWIOTLB_OTHER", "Kconfig: has 0 times"),
    ("arch/arm/xen/p2m.c", "set_foreign_p2m_mapping", "other", "p2m.c: does not mention set_foreign_p2m_mapping"),
    ("include/xen/arm/xen-ops.h", "xen_swiotlb_detect", "other", "xen-ops.h: does not mention xen_swiotlb_detect"),
    (DRIVER, "xen_swiotlb_dma_ops", "other_ops", "swiotlb-xen.c: does not mention xen_swiotlb_dma_ops"),
])
def test_refuses_foreign_files(tree, repo, path, pattern, new, message):
    """Stock files that are not as they should be."""
    edit(tree / path, pattern, new)
    refused(tree, message)


@pytest.mark.parametrize("stock", ["7.3"], indirect=True)
@pytest.mark.parametrize("pattern, new, times", [(r"^examples:$", "additionalProperties: false\n\nexamples:", 2),
                                                 (r"^additionalProperties: false$", "unevaluatedProperties: false", 0)])
def test_refuses_foreign_binding(tree, repo, pattern, new, times):
    """A binding of the hypervisor's node that does not close its list of properties once."""
    edit(tree / graft.BINDING, pattern, new)
    refused(tree, f"xen.yaml: has {times} times")


@pytest.mark.parametrize("path", [path for path in (*graft.REPLACED, *graft.EDITS) if path != graft.BINDING])
def test_refuses_tree_without(tree, repo, path):
    """A file missing in the tree."""
    (tree / path).unlink()
    refused(tree, f"{path}: missing")


@pytest.mark.parametrize("path", graft.NEEDED)
def test_refuses_repository_without(tree, repo, path):
    """A file missing in the repository."""
    (repo / path).unlink()
    refused(tree, f"{path} is missing in this repository")


def test_refuses_git_changes(git_tree, repo):
    """Uncommitted changes, and files that git does not know."""
    edit(git_tree / "drivers/xen/Makefile", r"\Z", "# mine\n")
    refused(git_tree, "drivers/xen/Makefile: has uncommitted changes")
    git(git_tree, "rm", "-q", "--cached", "include/xen/swiotlb-xen.h")
    git(git_tree, "commit", "-q", "-a", "-m", "less")
    refused(git_tree, "swiotlb-xen.h: not under git's control")


def test_refuses_places(stock, tree, repo, tmp_path):
    """What is there already, and what is a link."""
    (tree / APERTURE).parent.mkdir()
    (tree / APERTURE).write_text("something\n")
    refused(tree, "aperture.c: exists")
    tree = copy(stock, tree)
    (tree / "drivers/xen").rename(tree / "drivers/elsewhere")
    (tree / "drivers/xen").symlink_to("elsewhere")
    refused(tree, "drivers/xen: not a directory", look=lambda top: holds(top / "drivers"))
    tree = copy(stock, tree)
    (tree / "drivers/xen/Makefile").rename(tree / "drivers/xen/other")
    (tree / "drivers/xen/Makefile").symlink_to("other")
    refused(tree, "drivers/xen/Makefile: not a regular file")
    tree = copy(stock, tree)
    graft.lay(tree)
    shutil.rmtree(tree / ".xen-dma")
    refused(tree, ": ")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "not a Linux source tree")


@pytest.mark.parametrize("path, message", [
    (DRIVER, "swiotlb-xen.c: edited by hand"), (MMU, "mmu_pv.c: edited by hand"),
    (".xen-dma/manifest.json", "manifest.json: damaged")])
def test_refuses_edits(laid, path, message):
    """Files edited by hand since the graft: neither a graft nor an undo goes on."""
    edit(laid / path, r"\A.", "[")
    refused(laid, message)
    refused(laid, message, graft.undo)


def test_refuses_losses(laid, repo, tmp_path):
    """An edited file of ours that would leave, a mended file that was removed, a damaged stock file."""
    twin = copy(laid, tmp_path / "twin")
    (twin / "drivers/xen/Makefile").unlink()
    refused(twin, "drivers/xen/Makefile: removed by hand")
    twin = copy(laid, twin)
    kept = twin / ".xen-dma/stock" / graft.Tree(twin).files[KCONFIG]["stock"]
    edit(kept, r"\A.", "[")
    refused(twin, "drivers/xen/Kconfig: its stock content, .*, is missing or damaged", graft.undo)
    edit(laid / APERTURE, "our", "my")
    (repo / APERTURE).unlink()
    refused(laid, "aperture.c: edited by hand")


def test_refuses_without_coccinelle(tree, repo, tmp_path, monkeypatch):
    """spatch missing, failing, or leaving what should go."""
    monkeypatch.setenv("SPATCH", "/nonexistent/spatch")
    refused(tree, "spatch is missing: install Coccinelle")
    spoiler = tmp_path / "spoiler"
    spoiler.write_text("#!/bin/sh\necho no such luck\nexit 3\n")
    spoiler.chmod(0o755)
    monkeypatch.setenv("SPATCH", str(spoiler))
    refused(tree, r"failed \(3\): no such luck")
    spoiler.write_text('#!/bin/sh\nspatch "$@" && for out; do :; done && echo "int discontig_frames;" >>"$out"\n')
    refused(tree, "discontig_frames is still there")
    spoiler.write_text('#!/bin/sh\nfor out; do :; done; cp "$5" "$out"\n')
    refused(tree, "mmu_pv.c: has 0 times|still there")


def forked(function, prepare):
    """Run in a process of its own, once it has been prepared: its exit status, 1 for a Failure, and what that said."""
    inside, outside = os.pipe()
    pid = os.fork()
    if not pid:
        status, said = 3, ""
        try:
            base.end_on_signals()
            prepare()
            function()
            status = 0
        except base.Failure as failure:
            status, said = 1, str(failure)
        except SystemExit as leave:
            status = leave.code
        finally:
            os.write(outside, said.encode())
            os._exit(status)
    os.close(outside)
    with os.fdopen(inside) as pipe:
        said = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def test_refuses_full_disk(tree, repo):
    """A file too large to write, as on a full disk."""
    (repo / "drivers/xen/large.c").write_text("\n" * 500000)
    before = holds(tree)
    status, said = forked(lambda: graft.lay(tree), lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200000, 200000)))
    assert status == 1 and re.search(r"File too large; nothing was changed$", said)
    assert holds(tree) == before


def test_refuses_unwritable(stock, repo, monkeypatch):
    """A tree in which somebody else may not write."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as top:
        os.chmod(top, 0o755)
        tree = Path(shutil.copytree(stock, Path(top, "tree")))
        monkeypatch.setattr(graft, "TOP", Path(shutil.copytree(repo, Path(top, "repo"))))

        def drop():
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
        for path in (tree, *tree.rglob("*")):
            if os.geteuid() == 0:
                os.chown(path, 65534, 65534)
        (tree / "drivers/xen").chmod(0o555)
        before = holds(tree)
        status, said = forked(lambda: graft.lay(tree), drop)
        assert status == 1 and re.search(r"drivers/xen/.*: Permission denied; nothing was changed$", said)
        assert holds(tree) == before


class Dead(BaseException):
    """The end of a process that was killed: nothing that it does takes effect any more."""


def disturbed(function, fault=None, at=0):
    """Run with a fault at the n-th call that makes, links, renames or removes.

    Returns how many calls there were, and what the run ended with.
    """
    count = 0

    def wrap(name):
        real = getattr(os, name)

        def call(*args, **kwargs):
            nonlocal count
            count += 1
            if count == at and fault == "fail":
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(args[0]))
            if count == at and fault == "term":
                raise SystemExit(143)
            if count >= at and fault == "kill":
                raise Dead
            return real(*args, **kwargs)
        patch.setattr(os, name, call)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("link", "mkdir", "rename", "unlink", "rmdir"):
            wrap(name)
        try:
            function()
        except (base.Failure, SystemExit, Dead) as end:
            return count, end
    return count, None


@pytest.mark.parametrize("fault, every", [("kill", 3), ("term", 11), ("fail", 5)])
@pytest.mark.parametrize("first, then", [("lay", "lay"), ("undo", "undo"), ("undo", "lay"), ("update", "lay"),
                                         ("update", "undo")])
def test_faults(stock, tree, repo, tmp_path, monkeypatch, first, then, fault, every):
    """A run that is disturbed at any place is put back, or what the next run makes of it is right."""
    texts = [(stock / name).read_text("latin-1") for name in graft.COCCINELLE]
    mended = {text: graft.coccinelle(text) for text in texts}
    monkeypatch.setattr(graft, "coccinelle", mended.get)
    graft.lay(tree)
    start = copy(stock if first == "lay" else tree, tmp_path / "start")
    if first == "update":
        edit(repo / DRIVER, "our", "newer")
        edit(repo / APERTURE, "our", "newer")
        (repo / "drivers/xen/new.c").write_text("new\n")
        (repo / RUN).unlink()
    run = graft.undo if first == "undo" else graft.lay
    before = holds(start)
    count, end = disturbed(lambda: run(copy(start, tree)))
    assert not end
    becomes = holds(tree)
    getattr(graft, then)(tree)
    wanted = holds(tree)

    def files(state):
        return {name: entry for name, entry in state.items() if not name.startswith(".xen-dma")}

    middle = 0
    for at in range(1, count + 1, every):
        copy(start, tree)
        _, end = disturbed(lambda: run(tree), fault, at)
        now = holds(tree)
        middle += files(now) not in (files(before), files(becomes))
        if fault != "kill":
            done = end is None or isinstance(end, SystemExit) and files(now) != files(before)
            assert files(now) == files(becomes) if done else now == before, at
            assert not isinstance(end, base.Failure) or str(end).endswith("; nothing was changed"), at
        getattr(graft, then)(tree)
        assert holds(tree) == wanted, at
    # A kill that never left a tree in between would have tested nothing.
    assert fault != "kill" or middle > 1


def test_edit_after_a_kill(tree, repo, monkeypatch):
    """An edit made after a run was killed for good is not lost."""
    graft.lay(tree)
    edit(repo / APERTURE, "our", "newer")
    edit(repo / DRIVER, "our", "newer")
    real = os.rename
    assert forked(lambda: graft.lay(tree), lambda: setattr(
        os, "rename", lambda old, new: os.kill(os.getpid(), signal.SIGKILL) if str(new).endswith(APERTURE) else
        real(old, new)))[0] == -signal.SIGKILL
    edit(tree / APERTURE, "our", "my")
    refused(tree, "aperture.c: edited by hand", look=lambda top: (top / APERTURE).read_bytes())
