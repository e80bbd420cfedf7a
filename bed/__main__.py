# SPDX-License-Identifier: GPL-2.0
"""The one command: scripts/bed COMMAND."""

import argparse
import errno
import importlib
import os
import sys

from bed import base

# Modules of this package, and what each is for. A module has arguments(parser) and
# main(args), which returns the exit status or None; STATUS, if it has it, is the exit
# status of bad usage.
COMMANDS = {
    "fetch": "bring a kernel's source, Xen, its source or busybox into the cache",
    "build": "build a kernel, with our driver laid over it or as it comes",
    "deb": "build Debian packages of a kernel with the driver, from a distribution's configuration",
    "graft": "lay the driver over a kernel tree, or take it off again",
    "series": "print the graft as a patch series for git am",
    "hypervisor": "build Debian's Xen with our patches",
    "toolstack": "put Xen's toolstack together for an initial file system",
    "boot": "boot Xen and domains under QEMU, and run a script in one",
    "kunit": "run the unit tests under User Mode Linux",
    "mutants": "do the tests notice deliberate faults?",
    "bench": "what mappings cost, beside stock and the generic allocator",
    "compare": "stock and ours side by side: features, costs, limits",
    "system": "show the driver in a whole system: guests, driver domains, an IOMMU as judge",
    "cost": "what a guest's disks and network cost, beside stock",
    "screen": "xen-dma-top in a dom0 at work, and a picture of it",
    "sizing": "draw how large an aperture a load needs",
    "demo": "show the driver at work with real devices",
    "check": "run the tests",
    "clean": "delete what the others made",
}


class Parser(argparse.ArgumentParser):
    """Takes one line to say what is wrong."""

    status = 1

    def error(self, message):
        self.exit(self.status, f"{os.environ['BED_COMMAND']}: {message} (see --help)\n")


def main(words):
    """Run a sub-command; returns the exit status."""
    if not words or words[0] in ("-h", "--help"):
        print("usage: scripts/bed COMMAND [--help] ...\n")
        for name, about in COMMANDS.items():
            print(f"  {name:<12}{about}")
        return 0
    name = words[0]
    if name not in COMMANDS:
        print(f"bed: unknown command '{name}' (see --help)", file=sys.stderr)
        return 1
    os.environ["BED_COMMAND"] = name
    base.end_on_signals()
    status = 1
    try:
        module = importlib.import_module("bed." + name)
        parser = Parser(prog=f"scripts/bed {name}", description=module.__doc__, allow_abbrev=False,
                        formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.status = status = getattr(module, "STATUS", 1)
        module.arguments(parser)
        return module.main(parser.parse_args(words[1:])) or 0
    except base.Failure as failure:
        if isinstance(failure, base.StageFailed):
            base.tail(failure.log)
        base.note(failure)
        return failure.status if failure.status != 1 else status
    except OSError as error:
        # A write that fails does not know its file; what is large lies in the cache.
        full = error.errno == errno.ENOSPC
        base.note(f"{error.filename or (base.cache() if full else '')}: {error.strerror}".lstrip(": "))
        return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
