"""Law 2: a library's headers appear in one folder only, and its dependency in one line of the house."""

import re

from tree import code_of, line_of

HEADERS = {r"curl/.*": "fetch", r"zstd(_errors)?\.h|zdict\.h": "store",
           r"(mariadb/)?mysql.*\.h|errmsg\.h|mysqld_error\.h": "db", r"openssl/.*": "trust",
           r"systemd/sd-bus.*": "host", r"libsmartcols.*": "base", r"ini\.h": "base"}
DEPENDENCIES = {"curl": "fetch", "zstd": "store", "mariadb": "db", "crypto": "trust"}


def problems(tree):
    for file in tree.c_files():
        code = code_of(tree.read(file))
        folder = file.split("/")[1]
        for match in re.finditer(r"^\s*#\s*include\s+[<\"]([^>\"]+)[>\"]", code, re.MULTILINE):
            for header, owner in HEADERS.items():
                if re.fullmatch(header, match.group(1)) and folder != owner:
                    where = f"{file}:{line_of(code, match.start(1))}"
                    yield f"{where}: <{match.group(1)}> belongs to {owner}/ alone"
    for name, (_, libraries) in tree.house.items():
        for library in libraries:
            if DEPENDENCIES.get(library, name) != name:
                yield f"meson.build: {library} belongs to {DEPENDENCIES[library]}/, not to {name}/"


BAD = {
    "meson.build": "house = [\n['base', [], [curl]],\n]\n",
    "releasemgr/base/a.c": "#include <curl/curl.h>\n",
    "releasemgr/store/a.c": "#include <openssl/evp.h>\n",
}
EXPECTED = ["<curl/curl.h> belongs to fetch/", "<openssl/evp.h> belongs to trust/", "curl belongs to fetch/"]
