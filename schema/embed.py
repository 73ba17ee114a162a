"""Writes releasemgr's own schema files as one C array: embed.py OUTPUT 001.sql ..."""

import pathlib
import re
import sys


def literal(text):
    lines = text.rstrip("\n").replace("\\", "\\\\").replace('"', '\\"').split("\n")
    return "\n".join(f'        "{line}\\n"' for line in lines)


def main(output, files):
    entries = []
    for file in map(pathlib.Path, files):
        number = re.fullmatch(r"(\d{3})\.sql", file.name)
        if not number:
            sys.exit(f"{file}: expected NNN.sql")
        entries.append(f"        {{{int(number[1])},\n{literal(file.read_text())}\n        }},")
    text = '#include "db/records.h"\n\nconst OwnSchema own_schemas[] = {\n' + "\n".join(entries)
    pathlib.Path(output).write_text(text + "\n        {0, NULL},\n};\n")


main(sys.argv[1], sorted(sys.argv[2:]))
