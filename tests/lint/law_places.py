"""The tree names no place of the machine it was written on, and its top level is the fixed one."""

import re

# Put together here, so that this file does not name them either.
PLACES = [r"/" + place for place in (r"work/(?!dir)", r"tmp/wt\b", r"root/\.", r"home/\w")] + [r"\.libra" + r"ry/"]
TOP = {"releasemgr", "units", "schema", "tests", "meson.build", "meson_options.txt", "README.md", "LICENSE", ".ci",
       ".clang-format", ".gitignore"}


def problems(tree):
    for file in tree.files:
        if file.split("/")[0] not in TOP:
            yield f"{file}: the top level has no room for {file.split('/')[0]}"
        for n, line in enumerate(tree.read(file).split("\n"), 1):
            for place in PLACES:
                if re.search(r"(?<![\w}/.*-])" + place, line):
                    yield f"{file}:{n}: names a place of one machine: {line.strip()[:80]}"


BAD = {"notes.txt": "look in " + "/wo" + "rk/main\n"}
EXPECTED = ["no room for notes.txt", "notes.txt:1: names a place"]
