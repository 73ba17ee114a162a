"""Law 3: below cli/ nobody sees argv or the parsed configuration, and nobody prints."""

import re

from tree import code_of, line_of

NOT_BELOW = {
    r"\bargc\b|\bprogram_invocation_\w+": "the command line belongs to cli/",
    r"\b(Arguments|Session|Config)\b(?!\s*\()": "modules receive handles and small option structs",
    r"\b(v?printf|puts|putchar|perror)\s*\(|\bstderr\b|\bstdout\b": "only cli/ prints",
    r"\b_?exit\s*\(": "only main.c ends the program",
}
# What runs in a child of its own, between fork and exec, may end that child.
ALLOWED = {("_exit", "releasemgr/host/"), ("_exit", "releasemgr/store/"), ("_exit", "releasemgr/base/")}


def problems(tree):
    for file in tree.c_files():
        if file.startswith("releasemgr/cli/") or file.count("/") == 1:
            continue
        code = code_of(tree.read(file))
        for pattern, reason in NOT_BELOW.items():
            for match in re.finditer(pattern, code):
                word = match.group().rstrip("( ")
                if any(word == allowed and file.startswith(place) for allowed, place in ALLOWED):
                    continue
                yield f"{file}:{line_of(code, match.start())}: {word}: {reason}"


BAD = {
    "meson.build": "house = [\n]\n",
    "releasemgr/store/a.c": 'void f(const Config *c) {\n        printf("argc");\n        exit(1);\n}\n',
    "releasemgr/fetch/b.c": "int g(int argc);\n",
}
EXPECTED = ["store/a.c:1: Config", "store/a.c:2: printf", "store/a.c:3: exit", "fetch/b.c:1: argc"]
