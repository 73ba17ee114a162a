"""README.md says what the program says: its two commands first, then the same verbs, options, keys and exit codes."""

import re
import subprocess

KEY = re.compile(r'\{\{"(\w+)", "(\w+)", (NULL|"[^"]*"),\s*((?:"(?:\\.|[^"\\])*"\s*)+)\}')


def _help(tree, *verb):
    return subprocess.run([tree.program, *verb, "--help"], check=True, capture_output=True, text=True).stdout


def _section(text, title):
    """The indented lines under "Title:", as (first words, the rest)."""
    block = re.search(rf"^{title}:\n((?:  .*\n)+)", text, re.MULTILINE)
    return [re.split(r"\s{2,}|(?<=\S) (?=[A-Z][a-z]+ )", line.strip(), maxsplit=1)
            for line in block.group(1).splitlines()] if block else []


def _verbs(tree):
    """{verb: its options}, from the program itself."""
    found = {}
    for words, *_ in _section(_help(tree), "Verbs"):
        verb = re.match(r"[a-z]+(?: [a-z]+)?", words).group()
        options = _section(_help(tree, *verb.split()), "Options")
        found[verb] = {re.match(r"--([\w-]+)", o[0]).group(1) for o in options}
    return found


def _commands(readme):
    """Each releasemgr command line in a code block: (verb words, options)."""
    for block in re.findall(r"^```\w*\n(.*?)^```", readme, re.DOTALL | re.MULTILINE):
        for line in re.sub(r"\\\n\s*", " ", block).split("\n"):
            for command in re.findall(r"(?:^|[\s;&])releasemgr ((?:--?)?[a-z][^'>|#]*)", line):
                words = command.split()
                yield command.strip(), words, set(re.findall(r"--([\w-]+)", command))


def _verb_problems(tree, readme):
    verbs = _verbs(tree)
    everywhere = {re.match(r"--([\w-]+)", o[0]).group(1) for o in _section(_help(tree), "Options")}
    rows = set(re.findall(r"^\| `([a-z]+(?: [a-z]+)?)", readme, re.MULTILINE))
    for verb in sorted(set(verbs) - rows):
        yield f"README.md: the verb {verb} is missing in the table"
    for verb in sorted(rows - set(verbs)):
        yield f"README.md: {verb} is in the table, and --help does not know it"
    for command, words, options in _commands(readme):
        plain = [word for word in words if not word.startswith("-")]
        verb = next((v for v in (" ".join(plain[:2]), plain[0]) if v in verbs), None)
        if not verb:
            yield f"README.md: releasemgr {command}: --help knows no such verb"
            continue
        for option in sorted(options - verbs[verb] - everywhere):
            yield f"README.md: releasemgr {command}: {verb} has no --{option}"


def _key_problems(tree, readme):
    section, rows = "", {}
    for shown, key, default in re.findall(r"^\| (`\[\w+\]`)? *\| `(\w+)=` \| (`[^`]*`)? *\|", readme, re.MULTILINE):
        section = shown.strip("`[]") or section
        rows[(section, key)] = default.strip("`")
    known = {(s, k): "" if d == "NULL" else d.strip('"')
             for s, k, d, _ in KEY.findall(tree.read("releasemgr/cli/config.c"))}
    for place in sorted(known.keys() - rows.keys()):
        yield f"README.md: {place[1]}= of [{place[0]}] is missing in the table"
    for place in sorted(rows.keys() - known.keys()):
        yield f"README.md: {place[1]}= of [{place[0]}] is no key that is read"
    for place in sorted(rows.keys() & known.keys()):
        if rows[place] != known[place]:
            yield f"README.md: {place[1]}= of [{place[0]}] has the default \"{known[place]}\""


def problems(tree):
    readme = tree.read("README.md")
    blocks = re.findall(r"^```\w*\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    for block, name in zip(blocks, ("demo", "test")):
        if block.count("\n") != 1 or not (tree.root / block.strip().split()[-1]).is_file():
            yield f"README.md: the {name} command is not one line that names a file of the tree"
    codes = set(re.findall(r"\bERROR_\w+ = (\d)", tree.read("releasemgr/base/error.h")))
    for code in sorted(codes - set(re.findall(r"^\| (\d) \|", readme, re.MULTILINE))):
        yield f"README.md: the exit code {code} is missing"
    yield from _key_problems(tree, readme)
    if tree.program:
        yield from _verb_problems(tree, readme)


BAD = {
    "README.md": "```\nmake demo\n```\n\n```\ntests/run\n```\n\n| verb | does |\n|---|---|\n| `fly` | x |\n\n"
                 "| `[A]` | `Old=` |  | x |\n|  | `Odd=` | `5` | x |\n\n```\nreleasemgr activate --hard 1\n```\n| 0 |\n",
    "tests/run": "",
    "releasemgr/base/error.h": "ERROR_NONE = 0,\nERROR_FAILED = 1,\n",
    "releasemgr/cli/config.c": '{{"A", "New", NULL, "x"}, {{"A", "Odd", "7", "x"},',
    "program": "#!/bin/sh\nprintf 'Verbs:\\n  activate VERSION    Go\\n\\nOptions:\\n  --wait=SPAN    Wait\\n'\n",
}
EXPECTED = ["the demo command is not one line", "exit code 1 is missing", "New= of [A] is missing", "Old= of [A] is no",
            'Odd= of [A] has the default "7"', "verb activate is missing", "fly is in the table", "has no --hard"]
