"""The norms: a file has at most 500 lines, a function at most 100, nine of ten at most 60; no goto, no constructors,
no variables that are shared by the whole program, and none of the functions that nobody may call."""

import json
import re
import subprocess

from tree import code_of, line_of

FILE_LINES = 500
FUNCTION_LINES = 100
FUNCTION_LINES_90 = 60
# But in base/fd.c.
INTERRUPTED = r"\b(open|openat)\s*\("
BANNED = r"\b(strcpy|strcat|sprintf|vsprintf|strtok|gets|system|popen|atoi|atol|strncpy|tmpnam|mktemp|alloca)\s*\("


# The switch between the loop and a fiber that is in progress: swapcontext(3) hands nothing over.
KNOWN_GLOBALS = {"base/: loop"}


def functions(tree, files):
    """(file, name, lines) of each function, by universal-ctags."""
    listing = subprocess.run(["ctags", "--output-format=json", "--fields=+ne", "--languages=C", "--langmap=C:.c.h",
                              "--kinds-C=f", "-o", "-", *files],
                             cwd=tree.root, check=True, capture_output=True, text=True).stdout
    for tag in map(json.loads, listing.splitlines()):
        if "end" in tag:
            yield tag["path"], tag["name"], tag["end"] - tag["line"] + 1


def _lengths(tree, files):
    for file in files:
        lines = tree.read(file).count("\n")
        if lines > FILE_LINES:
            yield f"{file}: {lines} lines, {FILE_LINES} at most"
    found = list(functions(tree, files)) if files else []
    for file, name, lines in found:
        if lines > FUNCTION_LINES:
            yield f"{file}: {name}() has {lines} lines, {FUNCTION_LINES} at most"
    ordered = sorted(lines for _, _, lines in found)
    if ordered and ordered[(len(ordered) * 9 - 1) // 10] > FUNCTION_LINES_90:
        yield f"a tenth of all functions is longer than {FUNCTION_LINES_90} lines"


def _globals(tree):
    """Variables that are written to, from the symbols of the libraries: (file scope and static ones alike)."""
    for name in tree.house:
        listing = subprocess.run(["nm", "--format=posix", tree.libraries / f"lib{name}.a"], check=True,
                                 capture_output=True, text=True).stdout
        for line in listing.splitlines():
            fields = line.split()
            if len(fields) < 2 or fields[1] not in "bBdDC":
                continue
            # Constant tables with pointers in them are read-only after relocation, and nm calls them data.
            if fields[1] in "bBC" and f"{name}/: {fields[0]}" not in KNOWN_GLOBALS:
                yield f"{name}/: {fields[0]} is a variable of the whole program"


def problems(tree):
    files = tree.c_files() + tree.c_files("tests/")
    yield from _lengths(tree, files)
    for file in files:
        code = code_of(tree.read(file))
        for pattern, what in ((r"\bgoto\b", "goto"), (r"\bconstructor\b", "a hidden constructor"),
                              (INTERRUPTED, "a call that may be interrupted, where fd_openat() goes on"),
                              (BANNED, "a function that nobody may call")):
            if pattern in (BANNED, INTERRUPTED) and file.startswith("tests/"):
                continue
            if pattern == INTERRUPTED and file.endswith("base/fd.c"):
                continue
            for match in re.finditer(pattern, code):
                yield f"{file}:{line_of(code, match.start())}: {what} ({match.group().rstrip('(')})"
    if tree.libraries:
        yield from _globals(tree)


BAD = {
    "meson.build": "house = [\n]\n",
    "releasemgr/base/long.c": "int f(void) {\n" + "        g();\n" * 99 + "}\n" + "\n" * 400,
    "releasemgr/base/odd.c": "int h(char *s) {\n        goto out;\nout:\n        return strcpy(s, s) ? 1 : 0;\n}\n"
                             "int i(void) {\n        return open(0, 0);\n}\n",
}
EXPECTED = ["501 lines, 500 at most", "f() has 101 lines", "odd.c:2: goto", "odd.c:4: a function that nobody", "odd.c:7: a call that may be",
            "a tenth of all functions"]
