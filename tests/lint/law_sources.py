"""Every source and every unit test is listed in its folder's meson.build, and nothing that is not there."""

import re


def _listed(tree, folder):
    text = tree.read(f"releasemgr/{folder}/meson.build")
    sources = re.search(r"sources = files\((.*?)\)", text, re.DOTALL)
    tests = re.search(r"unit_tests = \[(.*?)\]", text, re.DOTALL)
    return (set(re.findall(r"'([^']+)'", sources.group(1))) if sources else set(),
            set(re.findall(r"'([^']+)'", tests.group(1))) if tests else set())


def problems(tree):
    for folder in tree.house:
        sources, tests = _listed(tree, folder)
        place, test_place = f"releasemgr/{folder}/", f"tests/unit/{folder}/"
        there = {f[len(place):] for f in tree.c_files(place) if f.endswith(".c")}
        tests_there = {f[len(test_place) + 5:-2] for f in tree.c_files(test_place)
                       if f.startswith(test_place + "test-") and f.endswith(".c")}
        for what, have, want in ((place, there, sources), (test_place, tests_there, tests)):
            for name in sorted(have - want):
                yield f"{what}: {name} is not listed in releasemgr/{folder}/meson.build"
            for name in sorted(want - have):
                yield f"{what}: {name} is listed in releasemgr/{folder}/meson.build and is not there"


BAD = {
    "meson.build": "house = [\n['base', [], []],\n]\n",
    "releasemgr/base/meson.build": "sources = files('a.c', 'b.c')\nunit_tests = ['b']\n",
    "releasemgr/base/a.c": "",
    "releasemgr/base/c.c": "",
    "tests/unit/base/test-a.c": "",
}
EXPECTED = ["c.c is not listed", "b.c is listed", "base/: a is not listed", "base/: b is listed"]
