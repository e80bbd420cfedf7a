# SPDX-License-Identifier: GPL-2.0
"""What make check and each make check-STAGE run: no stage is empty."""

import subprocess

import pytest

from bed import base
from bed.check import STAGES, environment


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_stage_has_tests(stage):
    """pytest finds tests by the words of the stage as make check-STAGE has them."""
    done = subprocess.run(["/usr/bin/python3", "-m", "pytest", "-q", "--collect-only", *stage.words(False)],
                          cwd=base.TOP, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0 and "::" in done.stdout, done.stdout
