"""Two releases to fetch, each with a next version: many small files, and one large program. They are made of what is
installed on any machine that runs the tests, so that they compress as real ones do."""

import hashlib
import os
import pathlib
import random
import shutil

SOURCES = ["/usr/include", "/usr/lib/python3", "/usr/lib/python3.11", "/usr/lib/llvm-14", "/usr/share/doc",
           "/usr/share/perl", "/usr/share/zoneinfo", "/usr/lib/x86_64-linux-gnu"]
PACKED = (".gz", ".xz", ".zst", ".png", ".jpg", ".woff2", ".pyc")
FILES = 10_000
FILES_BYTES = 150 << 20
SMALL = 64 << 10
PROGRAM_BYTES = 100 << 20
PROGRAMS = ["/usr/lib/x86_64-linux-gnu/libLLVM-14.so.1", "/usr/lib/x86_64-linux-gnu/libclang-14.so.14.0.6",
            "/usr/sbin/mariadbd"]


def candidates():
    """Files of the machine, in an order that mixes them."""
    found = []
    for source in SOURCES:
        for directory, _, files in os.walk(source):
            for name in files:
                path = os.path.join(directory, name)
                if not name.endswith(PACKED) and not os.path.islink(path) and os.path.getsize(path) > 0:
                    found.append((hashlib.sha256(path.encode()).digest(), path, os.path.getsize(path)))
    return [(path, size) for _, path, size in sorted(found)]


def make_files(tree):
    """FILES files of about FILES_BYTES: nearly all of them small, and some large ones for the rest."""
    small = [(path, size) for path, size in candidates() if size <= SMALL][:FILES - 100]
    left = FILES_BYTES - sum(size for _, size in small)
    large, n = [], FILES - len(small)
    for path, size in sorted(candidates(), key=lambda c: -c[1]):
        if n > 0 and size <= left / n * 2:
            large.append((path, size))
            left -= size
            n -= 1
    for path, _ in small + large:
        place = tree / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def make_program(tree):
    (tree / "bin").mkdir(parents=True)
    with open(tree / "bin/program", "wb") as f:
        for program in PROGRAMS:
            f.write(pathlib.Path(program).read_bytes()[:PROGRAM_BYTES - f.tell()])
    os.chmod(tree / "bin/program", 0o755)


def change_files(tree):
    """As a week of work does: of a hundred files three are edited, one is new, and one is gone."""
    chance = random.Random(1)
    paths = sorted(path for path in tree.rglob("*") if path.is_file())
    for n, path in enumerate(chance.sample(paths, len(paths) // 20)):
        data = path.read_bytes()
        at, other = chance.randrange(len(data)), chance.choice(paths)
        piece = other.read_bytes()[:2000] if other.exists() else b"gone"
        if n % 5 == 0:
            path.unlink()
        elif n % 5 == 1:
            path.with_name(path.name + "-new").write_bytes(data[at:] + piece)
        else:
            path.write_bytes(data[:at] + piece + data[at + 500:])


def change_program(tree):
    """As a compiler and a linker do: code comes in at forty places, and what refers to something behind it changes."""
    chance = random.Random(1)
    path = tree / "bin/program"
    data = path.read_bytes()
    cuts = sorted(chance.sample(range(len(data)), 40))
    pieces = []
    for begin, end in zip([0, *cuts], [*cuts, len(data)]):
        piece = bytearray(data[begin:end])
        at, moved = 0, chance.randrange(64, 4096, 16)
        while (at := at + chance.randrange(512, 16384)) < len(piece) - 4:
            word = int.from_bytes(piece[at:at + 4], "little") + moved
            piece[at:at + 4] = (word & 0xffffffff).to_bytes(4, "little")
        source = chance.randrange(len(data) - 4096)
        pieces += [bytes(piece), data[source:source + chance.randrange(512, 4096)]]
    path.write_bytes(b"".join(pieces))


KINDS = {"files": (make_files, change_files), "program": (make_program, change_program)}


def make(kind, directory):
    """The trees of two versions below @directory, as {version: path}."""
    first, second = directory / f"{kind}-1.0.0", directory / f"{kind}-1.1.0"
    build, change = KINDS[kind]
    build(first)
    shutil.copytree(first, second)
    change(second)
    return {"1.0.0": first, "1.1.0": second}
