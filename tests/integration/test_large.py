"""Releases that are large, or odd, in one way or another: what comes out is what went in, and the memory that it takes does
not grow with it."""

import os

TREE = "/srv/trees/1.1.0"
MEMORY_AT_MOST = {"publish": 160, "activate": 24, "verify": 24}  # MiB
SANITIZED = "sanitized" in os.environ.get("RELEASEMGR_BUILD", "")


def measured(shop, verb, *arguments):
    """Runs a verb; its peak of memory is bounded, where no sanitizer takes its own."""
    words = ["repo", verb] if verb == "publish" else [verb]
    if SANITIZED:
        return shop.releasemgr(*words, *arguments, timeout=1200)
    done = shop.host.run("/usr/bin/time", "--format=%M", "--output=/run/peak", "releasemgr", *words, *arguments,
                         timeout=1200)
    peak = int(shop.host.read("/run/peak")) / 1024
    print(f"{verb}: peak {peak:.1f} MiB")
    assert peak <= MEMORY_AT_MOST[verb], f"{verb} took {peak} MiB"
    return done


def brought(shop):
    """The tree of 1.1.0, published and activated; what arrived is what it was."""
    measured(shop, "publish", TREE, "--version", "1.1.0", "--app", "shop", "--repo", "/srv/repository", "--keys",
             "/srv/keys", "--patches=0")
    measured(shop, "activate", "1.1.0", "--foreground")
    measured(shop, "verify", "1.1.0")
    shop.host.run("diff", "-r", "--no-dereference", "--exclude=.releasemgr", TREE, "/opt/shop/releases/1.1.0",
                  timeout=1200)
    return shop.host.path("/opt/shop/releases/1.1.0")


def make_odd_names_and_links(tree):
    """A path of 2,500 bytes, which no single call takes, names that a shell or a pattern would read otherwise, links."""
    os.makedirs(tree / ("a" * 250))
    descriptor = os.open(tree / ("a" * 250), os.O_RDONLY)
    for letter in "bcdefghij":
        os.mkdir(letter * 250, dir_fd=descriptor)
        inner = os.open(letter * 250, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    file = os.open("at the bottom", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=descriptor)
    os.write(file, b"deep\n")
    os.close(file)
    os.close(descriptor)
    for name in ("übermäßig", "日本語", "a\\b", "a b", "$HOME;`id`", "-rf", "*", "~", "x" * 255):
        (tree / name).write_text(name)
    for n in range(20):
        os.link(tree / "übermäßig", tree / f"link {n}")
    os.symlink("übermäßig", tree / "ein Verweis")


def test_many_files_and_odd_names(shop, full):
    shop.make_release("1.1.0")
    tree = shop.host.path(TREE)
    for n in range(200_000 if full else 1_000 if SANITIZED else 10_000):
        if n % 500 == 0:
            folder = tree / f"many/{n // 500}"
            folder.mkdir(parents=True)
        (folder / f"file {n}").write_text(f"{n * 2654435761}\n")
    make_odd_names_and_links(tree)
    arrived = brought(shop)
    assert (arrived / "übermäßig").stat().st_nlink == 21
    assert os.readlink(arrived / "ein Verweis") == "übermäßig"
    facts = (tree / "release.json").read_text()
    (tree / "release.json").write_text(facts.replace("1.1.0", "1.2.0"))
    (tree / "many/0/file 0").write_text("changed\n")
    shop.publish("1.2.0", "--patches=1", tree=TREE)
    done = measured(shop, "activate", "1.2.0", "--foreground")
    assert "a patch from 1.1.0" in done.stdout


def test_one_file_of_many_bytes(shop, full):
    """Mostly a hole, with something behind the last place that 32 bits can name."""
    shop.make_release("1.1.0")
    size = (4 << 30) + 12345 if full else 100 << 20
    with open(shop.host.path(f"{TREE}/large"), "wb") as f:
        f.write(b"the beginning")
        f.seek(size - 9)
        f.write(b"the end.\n")
    assert os.path.getsize(brought(shop) / "large") == size


def test_what_no_release_can_hold(bare_shop):
    """Refused by its name, and nothing of it is published."""
    shop = bare_shop.make_repository()
    for n, (make, sentence) in enumerate((
            ("touch \"$(printf 'a\\377b')\"", "not UTF-8"),
            ("mkfifo pipe", "pipe"),
            ("ln -s ../../etc/passwd out", "outside"),
            ("chmod 4755 bin/shop", "set-user-ID"))):
        version = f"1.0.{n}"
        tree = shop.make_release(version)
        shop.host.run("sh", "-c", f"cd {tree} && {make}")
        done = shop.releasemgr("repo", "publish", tree, "--version", version, "--app", "shop", "--repo", "/srv/repository",
                               "--keys", "/srv/keys", check=False)
        assert done.returncode != 0 and sentence in done.stderr, done.stderr
        assert not shop.host.path(f"/srv/repository/targets/shop/{version}").exists()
