# SPDX-License-Identifier: GPL-2.0
"""In a domain: run xen-dma-top in a terminal, and print the bytes that it writes there until its third look."""

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

ROWS, COLUMNS, SECONDS = 16, 100, 2
LOOKS = 3


def main():
    """The child has the terminal."""
    child, terminal = pty.fork()
    if not child:
        os.environ.update(TERM="linux", LC_ALL="C.UTF-8", TERMINFO="/lib/terminfo")
        # Its size is set when the parent has run.
        time.sleep(1)
        os.execv(sys.executable, [sys.executable, "/top/xen-dma-top", "-d", str(SECONDS)])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    # Python takes its time to start on an emulated processor.
    written = os.read(terminal, 65536)
    end = time.monotonic() + SECONDS * (LOOKS - 0.5)
    while (left := end - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            written += os.read(terminal, 65536)
    os.write(terminal, b"q")
    _, status = os.waitpid(child, 0)
    sys.stdout.buffer.write(written)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
