"""The releases of the demo app, as trees that a build would have made."""

import json
import os
import pathlib
import random
import shutil

APP = pathlib.Path(__file__).parent / "app"

# How many of the app's migrations a release knows, and what it reads of the database.
FIRST = {"migrations": 1, "columns": ["name"]}
PRICED = {"migrations": 3, "columns": ["name", "price"], "counts_visits": True}


def make_release(directory, version, behaviour="healthy", schema=FIRST, extra=None):
    """Makes the tree of one release at @directory and returns its path.

    behaviour: healthy, unhealthy, error (500), silent, slow, old-version, exits, slow-start (waits for
                /run/shop.may-start)
    extra:     more files, as {path: text or bytes}
    """
    tree = pathlib.Path(directory)
    (tree / "bin").mkdir(parents=True)
    (tree / "migrations").mkdir()
    shutil.copy(APP / "shop", tree / "bin" / "shop")
    for migration in sorted((APP / "migrations").iterdir())[:schema["migrations"]]:
        shutil.copy(migration, tree / "migrations")
    about = {"version": version, "behaviour": behaviour, **schema}
    (tree / "release.json").write_text(json.dumps(about, indent=2) + "\n")
    for path, content in (extra or {}).items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    # A build has assets too: enough of them that a transfer is one.
    (tree / "assets").mkdir(exist_ok=True)
    for n in range(8):
        (tree / "assets" / f"image-{n}.bin").write_bytes(random.Random(n).randbytes(128 * 1024))
    for directory, _, files in os.walk(tree):
        os.chmod(directory, 0o755)
        for file in files:
            os.chmod(os.path.join(directory, file), 0o755 if file == "shop" else 0o644)
    return tree
