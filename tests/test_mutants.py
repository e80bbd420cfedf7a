# SPDX-License-Identifier: GPL-2.0
"""The deliberate faults of scripts/bed mutants are still faults.

Each one's text is found in its file exactly once, and the file compiles with the fault
as it is compiled without.
"""

import pytest

from bed import base, mutants

MUTANTS = mutants.table()


@pytest.mark.parametrize("name", MUTANTS)
def test_applies(name):
    """The fault changes its file."""
    assert MUTANTS[name].changed(base.TOP)


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", MUTANTS)
def test_compiles(name, build):
    """The compiler has nothing to say against it."""
    mutant = MUTANTS[name]
    assert mutants.compile_one(mutant, build(**mutant.kernel)) == ""


def test_refuses(tmp_path):
    """A fault whose text has gone, or stands there twice, is told."""
    fault = mutants.Mutant("fault", "file.c", "a = 1;", "a = 2;")
    for text in "b = 1;", "a = 1; a = 1;":
        (tmp_path / "file.c").write_text(text)
        with pytest.raises(base.Failure, match="mend tests/mutants.toml"):
            fault.changed(tmp_path)
