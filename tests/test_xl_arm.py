# SPDX-License-Identifier: GPL-2.0
"""A domain with hardware that Xen's toolstack makes on ARM: iomem= and device_tree= give it the
PCIe host bridge and fw_cfg, for which there is no IOMMU. Its node of the hypervisor was made
before it had memory and tells nothing, so it has to ask; on a hypervisor that does not
answer it has to probe, and where it may not, its DMA is refused. Dom0 runs Debian's own kernel,
the guest runs ours.
"""

import shutil

import pytest

import beds
from bed import base, devicetree, fetch, hypervisor, initrd, ktap, toolstack

pytestmark = pytest.mark.full

# Dom0 leaves these devices alone.
LEFT = "/ { pcie@10000000 { xen,passthrough; }; fw-cfg@9020000 { xen,passthrough; }; };"

# Frames of their registers and windows: bed/pass-devices.dts.in.
IOMEM = ("9020,1", "4010000,10000", "3eff0,10", "10000,10000")

CONFIG = """\
name = "guest"
type = "pvh"
memory = 256
vcpus = 1
kernel = "/guest/kernel"
ramdisk = "/guest/initrd"
extra = "console=hvc0 loglevel=4 panic=-1 {}"
device_tree = "/guest/pass.dtb"
iomem = [ {} ]
on_crash = "preserve"
"""

# The hypervisor, the guest's command line, what the source has to be, and what runs.
ASKED = "arm_source arm_map arm_fwcfg arm_moved"
CASES = {
    "asked": (hypervisor.build, "xen_dma_probe=off", "hypercall", ASKED),
    "probed": (lambda: fetch.xen("arm64"), "", "probed", "arm_map arm_fwcfg arm_source"),
    "refused": (lambda: fetch.xen("arm64"), "xen_dma_probe=off", "unknown", "arm_refused arm_source"),
}


@pytest.fixture(name="boot")
def boot_with_guest(case, build, kselftest, booted, tmp_path_factory):
    """The boot; more["results"] are the kselftest's in the guest."""
    xen, append, source, scripts = CASES[case]

    def words():
        kernel = build(arch="arm64", kver="6.12")
        place = tmp_path_factory.mktemp(f"xl-{case}")
        guest = place / "guest"
        guest.mkdir()
        shutil.copy(kernel.image, guest / "kernel")
        (place / "pass.dts").write_text(devicetree.default_pass("arm64", True, ""))
        devicetree.to_blob(place / "pass.dts", guest / "pass.dtb", "the guest's tree")
        (place / "script").write_text(
            f"export XDT_SOURCE={source} XDT_BED={case}\ncd /kselftest || exit 2\n"
            f"./run_kselftest.sh {' '.join(f'-t xen-dma:{name}.sh' for name in scripts.split())} 2>&1 | cat\n"
            "echo guest: end\n")
        settings = {"arch": "arm64", "domain": "guest", "nonce": "0", "word": "guest", "stay": "y", "way": "console"}
        initrd.make(guest / "initrd", fetch.busybox("arm64"), settings, files=[f"{kselftest(kernel)}:/kselftest"],
                    script=place / "script")
        (guest / "guest.cfg").write_text(CONFIG.format(append, ", ".join(f'"{frames}"' for frames in IOMEM)))
        (place / "left.dts").write_text(LEFT)
        return ["--arch", "arm64", *toolstack.debian_kernel(), "--xen", xen(), "--timeout", "900", "--dom0-mem", "1G",
                *(word for file in (*toolstack.files("arm64"), f"{guest}:/guest") for word in ("--file", file)),
                "--dts", place / "left.dts", "--run", base.TOP / "tests/xl-dom0", "--", *beds.DEVICES]
    boot = booted(("xl-arm", case), words)
    boot.more.setdefault("results", ktap.results(boot.lines))
    return boot


@pytest.mark.parametrize("case", [
    pytest.param(case, id=case, marks=pytest.mark.xdist_group(f"xl-arm-{case}")) for case in CASES])
def test_xl_arm(case, boot, record_property):
    """Every script that was to run did, and passed."""
    results = boot.more["results"]
    bad = [f"{result.name}: {'skipped' if result.skipped else 'failed'}" for result in results
           if not result.ok or result.skipped]
    ran = {result.group for result in results}
    bad += [f"{name} did not run" for name in CASES[case][3].split() if f"{name}.sh" not in ran]
    record_property("results", [len(results), len(bad)])
    assert boot.status == 0 and not bad, "\n".join([*bad, str(boot)])
