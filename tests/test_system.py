# SPDX-License-Identifier: GPL-2.0
"""The steps of bed/system.py as tests: the driver in a whole system, with Xen's toolstack,
guests, driver domains, and an IOMMU as the judge.
"""

import wave
from array import array

import pytest

from bed import media, system

# What make check runs; all of it is for make check-all.
QUICK = ("blk",)
# Other kernels, and the steps in which they may differ. A debug kernel has something to say about what is granted.
BESIDE = {
    ("7.3", system.FLAVOUR): ("blk", "net", "serve", "balloon", "suspend", "judge", "dmabuf", "iommu", "share",
                              "stacks", "sound", "picture", "folios", "defrag", "devices-q35"),
    ("7.3", "debug"): ("blk", "share"),
}


def cases():
    """A step, and the kernel's series and flavour."""
    for name in system.STEPS:
        marks = [pytest.mark.xdist_group(f"system-{name}"), *([] if name in QUICK else [pytest.mark.full])]
        yield pytest.param(name, "6.12", system.FLAVOUR, id=name, marks=marks)
    for (kver, flavour), names in BESIDE.items():
        for name in names:
            case = f"{name}-{kver}" + ("" if flavour == system.FLAVOUR else f"-{flavour}")
            marks = [pytest.mark.xdist_group(f"system-{case}"), pytest.mark.full]
            yield pytest.param(name, kver, flavour, id=case, marks=marks)


@pytest.fixture(scope="session", name="programs")
def programs_once(once):
    """programs(kernel): what domains run, built for that kernel."""
    def programs(kernel):
        return once(f"system-{kernel.name}", lambda place: system.install_programs(kernel, kernel.tree, place))
    return programs


@pytest.fixture(name="boot")
def boot_step(name, kver, flavour, build, programs, booted, tmp_path_factory):
    """The boot; more["results"] are those of dom0, of the host and of the judge."""
    step, place = system.STEPS[name], tmp_path_factory.mktemp(name)
    kernel = build(kver=kver, flavour=flavour)
    boot = booted(("system", name, kernel.name), lambda: system.prepare(step, kernel, programs(kernel), place))
    boot.more["results"] = list(system.results(step, place, boot.console(), boot.lines))
    return boot


@pytest.mark.parametrize("name, kver, flavour", cases())
def test_step(boot, record_property):
    """Nothing failed, nothing was skipped, and the script came to its end."""
    results = boot.more["results"]
    bad = [result for result in results if not result.ok or result.skipped]
    record_property("results", [len(results) - len(bad), len(bad)])
    told = ["\n    ".join([f"not ok: {result.name}", *result.diagnostics[-20:]]) for result in bad]
    assert boot.status == 0 and results and not bad, "\n".join([*told, str(boot)])


def test_each_step_has_a_script():
    """Scripts and rows belong together."""
    scripts = {path.name for path in system.SCRIPTS.glob("*.sh")} - {"lib.sh", "guest.sh"}
    assert scripts == {step.script.name for step in (*system.STEPS.values(), system.COST)}


@pytest.mark.parametrize("line, bad", [
    ("WARNING: CPU: 0 PID: 153 at kernel/dma/mapping.c:845 dma_set_mask+0xac/0x110", True),
    ("WARNING: mm/page_reporting.c:123 at page_reporting_cycle+0x1/0x2", True),
    ("WARNING: drivers/xen/dma/sg.c:12 at xen_map_sg+0x10/0x20, CPU#1: sh/1", True),
    ("DMA-API: nvme 0000:00:05.0: device driver tries to free DMA memory it has not allocated", True),
    ("WARNING: CPU: 0 PID: 1 at kernel/sched/core.c:1 schedule+0x1/0x2", False)])
def test_reports(line, bad):
    """What kernels of each version report of DMA is a failure; what they say of others is not."""
    results = system.look_at_console(["[    1.000000] Linux", f"[    2.000000] {line}"])
    assert [result.ok for result in results] == [not bad]


def gap(samples):
    """An eightieth of a second is silent."""
    samples[20000:20200] = array("h", 200 * [0])


def swap(samples):
    """Two pages have changed places."""
    samples[20480:21504], samples[21504:22528] = samples[21504:22528], samples[20480:21504]


def shorten(samples):
    """The end is missing."""
    del samples[-1000:]


def silence(samples):
    """Nothing was played."""
    del samples[:]


@pytest.mark.parametrize("harm", [None, gap, swap, shorten, silence])
def test_tone(harm, tmp_path):
    """A recording counts only when all of the tone is in it, in one piece."""
    (tmp_path / "system").mkdir()
    media.sound(tmp_path)
    samples = array("h", ((sample - 128) * 200 for sample in (tmp_path / "system/tone-100").read_bytes()
                          for _ in range(2)))
    if harm:
        harm(samples)
    with wave.open(str(tmp_path / "wav"), "wb") as file:
        file.setparams((1, 2, 2 * media.RATE, 0, "NONE", ""))
        file.writeframes(bytes(1234) + samples.tobytes() + bytes(4321))
    assert media.is_heard(tmp_path / "wav", 100)[0] == (not harm)
    assert not media.is_heard(tmp_path / "wav", 150)[0]
