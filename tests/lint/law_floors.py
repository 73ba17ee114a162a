"""Law 1: a folder includes and calls only what stands below it, and nothing goes in a circle.

Includes are read from the text, calls from the symbols of each folder's library."""

import re
import subprocess

from tree import code_of, line_of

NOUNS = {"trust", "host", "db", "fetch", "store", "observe", "fleet"}
FLOORS = {
    "base": set(),
    "trust": {"base"},
    "host": {"base"},
    "db": {"base", "trust"},  # statements are hashed, and every use of OpenSSL is in trust
    "fetch": {"base", "trust"},
    "store": {"base", "trust"},
    "observe": {"base", "trust", "fetch", "host"},  # trust stands below fetch
    "fleet": {"base", "db"},
    "deploy": {"base"} | NOUNS,
    "publish": {"base", "trust", "store", "fetch"},
    "cli": {"base", "deploy", "publish"} | NOUNS,
}


def _folder(file):
    """releasemgr/store/pack.c stands in store; releasemgr/main.c on top of all."""
    parts = file.split("/")
    return parts[1] if len(parts) > 2 else "main"


def _may_see(folder, other):
    return folder == "main" or folder == other or other in FLOORS.get(folder, ())


def _house_problems(tree):
    seen = []
    for name, (below, _) in tree.house.items():
        if name not in FLOORS:
            yield f"meson.build: the house has no room for {name}/"
            continue
        for other in below:
            if other not in FLOORS[name]:
                yield f"meson.build: {name}/ may not stand on {other}/"
            if other not in seen:
                yield f"meson.build: {name}/ stands on {other}/, which is not built before it"
        seen.append(name)
    for file in tree.c_files():
        if _folder(file) != "main" and _folder(file) not in tree.house:
            yield f"{file}: its folder is not in the house of meson.build"


def _include_problems(tree, graph):
    for file in tree.c_files():
        code = code_of(tree.read(file))
        graph[file] = []
        for match in re.finditer(r'^\s*#\s*include\s+"([^"]+)"', code, re.MULTILINE):
            where, included = f"{file}:{line_of(code, match.start(1))}", match.group(1)
            if "/" not in included or included.startswith(".") or f"releasemgr/{included}" not in tree.files:
                yield f'{where}: "{included}" is not written from the root'
                continue
            graph[file].append(f"releasemgr/{included}")
            if not _may_see(_folder(file), included.split("/")[0]):
                yield f'{where}: {_folder(file)}/ may not include "{included}"'


def _circles(graph):
    done, path = set(), []

    def walk(node):
        if node in path:
            yield " -> ".join([*path[path.index(node):], node])
        elif node not in done:
            path.append(node)
            for following in graph.get(node, ()):
                yield from walk(following)
            path.pop()
            done.add(node)

    for node in graph:
        yield from walk(node)


def _symbols(archive):
    defined, wanted = set(), set()
    listing = subprocess.run(["nm", "--format=posix", archive], check=True, capture_output=True, text=True)
    for line in listing.stdout.splitlines():
        fields = line.split()
        if len(fields) >= 2 and len(fields[1]) == 1:
            if fields[1] == "U":
                wanted.add(fields[0])
            elif fields[1].isupper():
                defined.add(fields[0])
    return defined, wanted


def _call_problems(tree):
    symbols = {name: _symbols(tree.libraries / f"lib{name}.a") for name in tree.house}
    calls = {name: set() for name in symbols}
    for name, (_, wanted) in symbols.items():
        for other, (defined, _) in symbols.items():
            for symbol in sorted(wanted & defined - symbols[name][0]):
                if other == name:
                    continue
                calls[name].add(other)
                if not _may_see(name, other):
                    yield f"{name}/ calls {symbol}() of {other}/, which does not stand below it"
    for circle in _circles(calls):
        yield f"calls between folders go in a circle: {circle}"


def problems(tree):
    graph = {}
    yield from _house_problems(tree)
    yield from _include_problems(tree, graph)
    for circle in _circles(graph):
        yield f"includes go in a circle: {circle}"
    if tree.libraries:
        yield from _call_problems(tree)


BAD = {
    "meson.build": "house = [\n['base', ['trust'], []],\n['trust', ['base'], [crypto]],\n]\n",
    "releasemgr/base/a.c": '#include "trust/b.h"\n#include "a.h"\n',
    "releasemgr/trust/b.h": '#include "trust/c.h"\n',
    "releasemgr/trust/c.h": '#include "trust/b.h"\n',
    "releasemgr/attic/d.c": "",
}
EXPECTED = ["base/ may not stand on trust/", 'base/ may not include "trust/b.h"', "not written from the root",
            "in a circle: releasemgr/trust/b.h", "not built before it", "not in the house"]
