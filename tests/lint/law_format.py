"""Formatting: C as .clang-format says it, shell as shellcheck wants it, no trailing space anywhere."""

import re
import subprocess


def problems(tree):
    c_files = tree.c_files() + tree.c_files("tests/")
    if c_files:
        done = subprocess.run(["clang-format-14", "--dry-run", "-Werror", *c_files], cwd=tree.root,
                              capture_output=True, text=True)
        yield from sorted(set(re.findall(r"^(\S+?:\d+:\d+): error: code should be clang-formatted", done.stderr,
                                         re.MULTILINE)))
        if done.returncode != 0 and "clang-formatted" not in done.stderr:
            yield done.stderr
    scripts = [f for f in tree.files if re.match(r"#!/bin/(ba)?sh\b", tree.read(f)[:20])]
    if scripts:
        done = subprocess.run(["shellcheck", "--format=gcc", *scripts], cwd=tree.root, capture_output=True, text=True)
        yield from done.stdout.splitlines()
    for file in tree.files:
        if not file.endswith((".c", ".h", ".py", ".md", ".build", ".sql", ".sh", ".service", ".timer")):
            continue
        for n, line in enumerate(tree.read(file).split("\n"), 1):
            if line != line.rstrip():
                yield f"{file}:{n}: trailing space"


BAD = {
    ".clang-format": "BasedOnStyle: LLVM\n",
    "meson.build": "house = [\n]\n",
    "releasemgr/base/a.c": "int   a;\n",
    "tests/b": "#!/bin/sh\necho $1\n",
    "README.md": "trailing \n",
}
EXPECTED = ["releasemgr/base/a.c:1", "SC2086", "README.md:1: trailing space"]
