"""A header says what it is for, and what each of its functions does.

A comment speaks for all declarations of its paragraph; one that introduces a type, for the next paragraph too. No words
are needed by what a constructor, destructor, predicate, conversion or plain accessor says with its own name and types."""

import re

from tree import line_of

PROTOTYPE = re.compile(r"^(?!typedef|static|struct|union|enum|#|DEFINE_)[A-Za-z_][\w\s\*]*?\b(\w+)\([^;{}]*\)[^;{}]*;",
                       re.MULTILINE)
SELF_EVIDENT = re.compile(r"\w+_(new|free|unref|ref|clear|close|contains|(is|has)_\w+|(to|from)_(text|string|json))$")
# What takes one object and returns a value of it: nothing to own, no error.
ACCESSOR = re.compile(r"(const char \*|bool |u?int\d+_t |size_t |unsigned )\w+\(const \w+ \*\w+\)$")


def problems(tree):
    for file in tree.c_files():
        if not file.endswith(".h"):
            continue
        text = tree.read(file)
        if not re.match(r"#pragma once\n\n/\*", text):
            yield f"{file}:1: does not open with #pragma once and a comment on what it is for"
        for match in PROTOTYPE.finditer(text):
            before = text[:match.start()].split("\n\n")
            paragraph = before[-1]
            if len(before) > 1 and re.match(r"/\*.*?\*/\ntypedef", before[-2], re.DOTALL):
                paragraph = before[-2]
            if SELF_EVIDENT.match(match.group(1)) or ACCESSOR.match(match.group().rstrip(";")):
                continue
            if "*/" in paragraph:
                continue
            yield f"{file}:{line_of(text, match.start())}: {match.group(1)}() is not documented"


BAD = {"releasemgr/base/a.h": "#pragma once\n\nint a_do(void);\n\n/* Does b. */\nint b_do(void);\n"}
EXPECTED = ["a.h:1: does not open", "a.h:3: a_do() is not documented"]
