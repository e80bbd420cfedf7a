# SPDX-License-Identifier: GPL-2.0
"""What a device waits for in an ARM domain that has to ask Xen where its memory is: as much in a large domain
as in a small one. It is counted in pages, and read when the driver knows of all of them.
"""

import re

import pytest

SIZES = {"256M": (), "1G": ("--mem", "8G")}

SCRIPT = """mount -t debugfs none /sys/kernel/debug 2>/dev/null
until grep -q '^unasked 0$' /sys/kernel/debug/xen-dma/ranges; do
	sleep 0.1
done
cat /sys/kernel/debug/xen-dma/ranges
"""


@pytest.fixture(name="figures")
def figures_of_domains(build, booted, tmp_path_factory):
    """What debugfs tells of pages in a domain of each size: {size: {"pages": all of its own, "waited": ...}}. The
    disk's driver asks for DMA; it has no interrupt."""
    place = tmp_path_factory.mktemp("probing")
    script, disk = place / "script", place / "disk"
    script.write_text(SCRIPT)
    disk.write_bytes(bytes(1 << 20))

    def figures(size):
        boot = booted(("probing", size), lambda: [
            "--arch", "arm64", "--kernel", build(arch="arm64", kver="6.12").image, "--domu", size, *SIZES[size],
            "--quiet", "--run", script, "--", "-drive", f"if=none,id=n0,format=raw,snapshot=on,file={disk}",
            "-device", "nvme,drive=n0,serial=probing"])
        assert boot.status == 0 and "# source probed" in boot.lines, str(boot)
        rows = [line.split() for line in boot.lines if re.match("0x", line)]
        return {"pages": sum(int(row[1], 0) >> 12 for row in rows),
                **{name: int(nr) for name, nr in re.findall(r"^(\w+) (\d+)$", "\n".join(boot.lines), re.MULTILINE)}}
    return {size: figures(size) for size in SIZES}


@pytest.mark.xdist_group("probing")
def test_wait_does_not_grow(figures):
    """Four times the memory, the same wait, and a part of the memory only."""
    small, large = figures["256M"], figures["1G"]
    assert large["pages"] > 3 * small["pages"], figures
    assert 0 < small["waited"] < small["pages"], figures
    assert large["waited"] == small["waited"], figures
