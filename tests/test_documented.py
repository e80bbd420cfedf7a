# SPDX-License-Identifier: GPL-2.0
"""What an administrator can see stands in the documentation, and nothing else does: messages and their causes, boot
parameters, options of the configuration, files in debugfs.

A message is documented by a literal that begins a definition in messages.rst, with "..." for what differs; a cause by
any literal of that page.
"""

import io
import re
import textwrap

import docutils.core
import pytest

from bed.base import TOP
from sources import ours

CODE = [name for name in ours("drivers/*.[ch]", "arch/*.[ch]", "include/*.h") if "/tests/" not in name]
PAGES = "Documentation/admin-guide/xen-dma"
ABI = "Documentation/ABI/testing/debugfs-xen-dma"
ABI_SYSFS = "Documentation/ABI/testing/sysfs-module-xen_dma"
GENERIC = {"swiotlb"}   # Linux's own parameters, which the driver looks at

PRINTS = re.compile(r"\b(?:pr|dev)_(?:emerg|alert|crit|err|warn|notice|info)(?:_once|_ratelimited)?\("
                    r'(?:\w[\w>.-]*,)?\s*"((?:[^"\\]|\\.)*)"')
FREES = re.compile(r'\bfree_reserved_area\([^;"]*"([^"]*)"\)')
# What stands in for a message's %s: literals that are assigned to such a variable or macro, or returned by a function
# that returns a string.
CAUSES = re.compile(r'\b(?:why|wrong)\s*=\s*"([^"]*)"|#define XEN_NO_\w+_HINT\s+"([^"]*)"|'
                    r'\bconst char \* ?const xen_bus_\w+ = "([^"]*)"')
TELLING = re.compile(r"^(?:static )?const char \*\s*(?:__init )?\w+\(.*?^}", re.M | re.S)
TOLD = re.compile(r'\breturn[^;]*?"([^"]*)"')


def text(name):
    """A file's text."""
    return (TOP / name).read_text(encoding="utf-8")


def plain(message):
    """A format string as people write it: without the prefix, and with "..." for each conversion."""
    message = message.replace(r"\n", "").removeprefix("xen-dma: ")
    return re.sub(r"%[-+ #0-9.*]*(?:ll?|z|h)?(?:p(?:ad|a|OF)?|[a-zA-Z])", "...", message)


def messages_of(code):
    """The messages that a piece of code can print."""
    return [plain(found) for found in PRINTS.findall(code)] + \
        [f"Freeing {found} memory: ..." for found in FREES.findall(code)]


def causes_of(code):
    """What such a message says why."""
    found = ["".join(groups) for groups in CAUSES.findall(code)]
    return found + [cause for function in TELLING.findall(code) for cause in TOLD.findall(function)]


def literals(page):
    """The literals of a page, with single spaces; those that begin definitions, and all."""
    bold = re.compile(r"``(.+?)``", re.S)
    heads = [name for line in page.splitlines() if line.startswith("``") for name in bold.findall(line)]
    return heads, [" ".join(name.split()) for name in bold.findall(page)]


def fits(pattern, message):
    """Is the message what the pattern stands for?"""
    return re.fullmatch(".+".join(map(re.escape, re.split(r"\.{3}(?!\.)", pattern))), message)


def same(documented, message):
    """May "..." in either be what the other one has there?"""
    return fits(documented, message) or fits(message, documented)


def unmatched(some, others):
    """Those of some that none of the others is the same as."""
    return sorted({one for one in some if not any(same(one, other) for other in others)})


@pytest.fixture(name="messages", scope="module")
def all_messages():
    """All that the driver can print."""
    found = [message for name in CODE for message in messages_of(text(name))]
    assert len(found) > 50
    return found


@pytest.fixture(name="page", scope="module")
def messages_page():
    """What begins the definitions of messages.rst, and all of its literals."""
    return literals(text(f"{PAGES}/messages.rst"))


def test_every_message_is_found():
    """No call that prints is overlooked, because it is written otherwise."""
    calls = re.compile(r"\b(?:pr|dev)_(?:emerg|alert|crit|err|warn|notice|info)\w*\(|\bprintk\w*\(|\bpanic\(")
    counts = {name: (len(calls.findall(text(name))), len(PRINTS.findall(text(name)))) for name in CODE}
    assert not {name: count for name, count in counts.items() if count[0] != count[1]}


def test_messages(messages, page):
    """Each message is documented, and each documented message can be printed."""
    assert not unmatched(messages, page[0])
    assert not unmatched(page[0], messages)


def test_causes(page):
    """So is each cause."""
    causes = {cause for name in CODE for cause in causes_of(text(name))}
    assert len(causes) > 25 and not causes - set(page[1])


def test_parameters():
    """Each boot parameter is documented, and no other."""
    wanted = {name for file in CODE for name in re.findall(r'\b(?:early_param|__setup)\("([\w.]*\w)"', text(file))} | \
        {f"xen_dma.{name}" for file in CODE
         for name in re.findall(r"^(?:XEN_SIZE_PARAM|module_param_cb)\(([a-z]\w*),", text(file), re.M)}
    heads, _ = literals(text(f"{PAGES}/parameters.rst"))
    assert wanted - GENERIC and wanted == {name.removesuffix("=") for name in heads if name.endswith("=")}


def test_options():
    """Each option that can be chosen is documented."""
    options = re.findall(r"^config (\w+)\n\tbool \"", text("drivers/xen/dma/Kconfig"), re.M)
    heads, _ = literals(text(f"{PAGES}/parameters.rst"))
    assert options and not {f"CONFIG_{name}" for name in options} - set(heads)


def test_debugfs():
    """Each file in debugfs is documented, and no other; so is each word that stands in one."""
    code = "".join(map(text, CODE))
    files = set(re.findall(r'\bdebugfs_create_file\("(\w+)"|\bfault_create_debugfs_attr\("(\w+)"', code))
    abi = text(ABI)
    assert {"".join(names) for names in files} == set(re.findall(r"^What:.*/xen-dma/(\w+)/?$", abi, re.M))
    names = re.findall(r"\bxen_(?:source|bounce)_names\[\w*\] = \{(.*?)^\};", code, re.M | re.S)
    words = [word for table in names for word in re.findall(r'"(.*?)"', table)] + \
        [word for form in re.findall(r'\bseq_printf\(s, "((?:[^"\\]|\\.)*)"', code)
         for word in re.findall(r"(?:^|\\n)(\w+) %l", form)]
    assert len(names) == 2 and len(words) > 30
    assert not [word for word in words if not re.search(rf"(?<![\w,-]){re.escape(word)}(?![\w,-])", abi)]


def described(abi):
    """The descriptions of a file of Documentation/ABI, as the kernel's documentation has them."""
    for block in re.findall(r"^Description:(.*?)(?=^\w+:|\Z)", abi, re.M | re.S):
        yield textwrap.dedent(block.lstrip("\n").expandtabs())


@pytest.mark.parametrize("name", ours("Documentation/ABI/*"))
def test_abi_can_be_read(name):
    """The descriptions are sound reStructuredText."""
    said, texts = io.StringIO(), list(described(text(name)))
    for each in texts:
        docutils.core.publish_doctree(each, settings_overrides={"report_level": 1, "warning_stream": said})
    assert texts and not said.getvalue()


def test_sysfs():
    """Each parameter that can be changed while the kernel runs is documented as a file, and no other."""
    code = "".join(map(text, CODE))
    names = re.findall(r"^(?:module_param_cb|XEN_SIZE_PARAM)\(([a-z]\w*),", code, re.M)
    assert len(names) > 5
    assert sorted(names) == sorted(re.findall(r"^What:.*/xen_dma/parameters/(\w+)$", text(ABI_SYSFS), re.M))


def test_cover_letter():
    """The figures of the cover letter are those of the table that make compare has written."""
    lines = text("Documentation/admin-guide/xen-dma-compare.tsv").splitlines()
    table = {tuple(line.split("\t")[1:4]) for line in lines}
    rows = re.findall(r"^  (\S.*?)  +(\d+|refused|mask refused) +(\d+)$", text("patches/linux/00-cover.txt"), re.M)
    assert len(rows) > 15 and not set(rows) - table


def test_readme():
    """The README's rows are those of that table."""
    rows = re.findall(r"^\| (.*) \| (.*) \| (.*) \| (\w+) \|$", text("README.md"), re.M)
    known = {tuple(line.split("\t")[1:]) for line in text("Documentation/admin-guide/xen-dma-compare.tsv").splitlines()}
    assert len(rows) > 5 and not set(rows) - known


def test_no_longer_one_page():
    """Every page is in the contents, and the other way round."""
    listed = set(re.findall(r"^   (xen-dma/[\w-]+)$", text("Documentation/admin-guide/xen-dma.rst"), re.M))
    assert listed == {name.split("admin-guide/")[1].removesuffix(".rst") for name in ours(f"{PAGES}/*.rst")}


@pytest.mark.parametrize("code, expected", [
    ('pr_warn("a %s of %#llx\\n", x);', ["a ... of ..."]),
    ('dev_err_ratelimited(req->dev,\n\t"xen-dma: at %pad: %zu\\n", y);', ["at ...: ..."]),
    ('free_reserved_area(a, b, -1,\n\t"unused");', ["Freeing unused memory: ..."]),
    ('seq_puts(s, "no message");', []),
])
def test_messages_of(code, expected):
    """Format strings are taken out of calls of every kind."""
    assert messages_of(code) == expected


@pytest.mark.parametrize("documented, message, expected", [
    ("mask ... is refused: ...", "mask ... is refused: ...", True),
    ("/hypervisor: xen,dma-offset: ..., refused", "...: ...: ..., refused", True),
    ("xen_dma.size=...: ignored", "xen_dma....=...: ignored", True),
    ("no ... bytes", "no ... bytes below mask ...", False), ("an invented message", "a ... of ...", False),
])
def test_same(documented, message, expected):
    """Neither a part of a message nor another one is taken for it."""
    assert bool(same(documented, message)) == expected


def test_causes_of():
    """Causes are found where they are assigned, defined and returned."""
    assert causes_of('why = "a";\n#define XEN_NO_B_HINT\t"b"\n'
                     'static const char *f(int n)\n{\n\treturn n ? "c" : NULL;\n}\n'
                     'int g(void)\n{\n\treturn strcmp(s, "d");\n}\n') == ["a", "b", "c"]
