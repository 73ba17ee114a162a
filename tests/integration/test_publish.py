"""Every verb of `releasemgr repo`, typed as its people do; after each, a host that trusted the repository from the first
day and one that comes new both take what is published."""

import contextlib
import json
import os
import pathlib
import pty
import random
import re
import select
import subprocess

import pytest

import build
from tuf_client import Client, at

FAILED, USAGE, REFUSED, UNTRUSTED = 1, 2, 6, 7


class Publisher:
    """A repository, keyrings of several people, and a host that knew it before."""

    def __init__(self, program, directory):
        self.program, self.directory = program, directory
        self.path, self.keys = directory / "repository", directory / "keys"
        self.hosts = 0

    def repo(self, *words, keys=None, code=0, days=0, passphrase=None):
        """Runs a verb with one person's keys, some days from now; returns what it said, or why it failed."""
        program = at(self.program, "-f", f"+{days}d") if days else [self.program]
        more = ["--passphrase-file", passphrase] if passphrase else []
        command = [*program, "repo", *words, "--app=shop", "--repo", self.path, "--keys", keys or self.keys, *more]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
                              start_new_session=True)
        assert done.returncode == code, (command, done)
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr
        return done.stdout + done.stderr if code else done.stdout

    def tree(self, version, text=None):
        tree = self.directory / f"tree-{version}"
        tree.mkdir(exist_ok=True)
        (tree / "program").write_text(text or f"program {version}\n")
        return tree

    def publish(self, version, *more, **options):
        return self.repo("publish", self.tree(version), "--version", version, *more, **options)

    def new_host(self):
        self.hosts += 1
        host = Client(self.program, self.directory / f"host-{self.hosts}", f"file://{self.path}")
        assert host.init((self.path / "metadata/1.root.json").read_bytes()).returncode == 0
        return host

    def sees(self, *versions, hosts=()):
        """Hosts take exactly these versions, and what they take is what was published."""
        for host in [*hosts, self.new_host()]:
            done = host.refresh()
            assert done.returncode == 0, done.stderr
            for version in versions:
                done = host.download(bundle(version))
                assert done.returncode == 0, done.stderr
            listed = {match[1] for file in host.metadata.glob("*.json")
                      for match in re.finditer(r'"shop/([^/"]+)/[^"]+\.tar\.zst"', file.read_text())}
            assert listed == set(versions), (host.metadata, listed)

    def channel(self, name):
        """What a new host takes the channel to point at."""
        host = self.new_host()
        assert host.download(f"shop/channels/{name}.json").returncode == 0
        facts = [json.loads(file.read_text())["signed"].get("targets", {}) for file in host.metadata.glob("*.json")]
        target, = [targets[f"shop/channels/{name}.json"] for targets in facts if f"shop/channels/{name}.json" in targets]
        return re.search(r'"version": ?"([^"]+)"', json.dumps(target["custom"]))[1]

    def files(self):
        return {str(p.relative_to(self.path)): p.read_bytes() for p in self.path.rglob("*") if p.is_file()}


def bundle(version):
    return f"shop/{version}/shop-{version}.tar.zst"


@pytest.fixture
def empty(program, tmp_path):
    return Publisher(program, tmp_path)


@pytest.fixture
def publisher(empty):
    empty.repo("init")
    return empty


def key_ids(publisher, role, version):
    root = json.loads((publisher.path / f"metadata/{version}.root.json").read_bytes())["signed"]
    return set(root["roles"][role]["keyids"])


# --- init ---


def test_init(empty):
    said = empty.repo("init")
    assert "1.root.json" in said and "backup" in said
    keys = sorted(empty.keys.iterdir())
    assert [key.name for key in keys] == ["online.pem", "root.pem", "targets.pem"]
    assert all(key.stat().st_mode & 0o777 == 0o600 and b"BEGIN PRIVATE KEY" in key.read_bytes() for key in keys)
    empty.sees()
    before = empty.files()
    assert "repository" in empty.repo("init", code=USAGE)
    assert empty.files() == before


def test_verbs_without_a_repository(empty):
    for words in (["publish", empty.tree("1.0.0"), "--version=1.0.0"], ["refresh"], ["check"], ["rotate", "root"], ["sign"],
                  ["promote", "1.0.0", "--channel=beta"], ["yank", "1.0.0", "--reason=x"], ["delegate", "shop"]):
        assert str(empty.path) in empty.repo(*words, code=USAGE)
    assert not empty.path.exists()
    for foreign in (".staging/bundle", "metadata/.#lock"):  # of something else
        (empty.path / foreign).parent.mkdir(parents=True)
        (empty.path / foreign).touch()
    for verb in ("refresh", "check", "sign"):
        assert "not a repository" in empty.repo(verb, code=USAGE)
    assert sorted(empty.files()) == [".staging/bundle", "metadata/.#lock"]


# --- releases ---


def test_publish(publisher):
    host = publisher.new_host()
    assert "channel stable points at it" in publisher.publish("1.0.0")
    publisher.sees("1.0.0", hosts=[host])
    before = publisher.files()
    assert "has not changed" in publisher.publish("1.0.0")
    assert publisher.files() == before
    publisher.tree("1.0.0", "something else")
    assert "1.0.0" in publisher.repo("publish", publisher.directory / "tree-1.0.0", "--version=1.0.0", code=REFUSED)
    assert publisher.files() == before
    publisher.publish("1.1.0", "--channel=")  # of no channel
    publisher.sees("1.0.0", "1.1.0", hosts=[host])
    assert publisher.channel("stable") == "1.0.0"
    report = json.loads(publisher.publish("1.2.0", "--channel=beta", "--json"))
    assert (report["event"], report["version"], report["channel"], report["changed"], report["visible"]) == (
        "published", "1.2.0", "beta", True, True)


def test_promote_and_yank(publisher):
    host = publisher.new_host()
    for version in ("1.0.0", "1.1.0"):
        publisher.publish(version)
    assert "points at 1.0.0, and no longer at 1.1.0" in publisher.repo("promote", "1.0.0", "--channel=stable")
    assert publisher.channel("stable") == "1.0.0"
    assert "already" in publisher.repo("promote", "1.0.0", "--channel=stable")
    assert "no release 9.9.9" in publisher.repo("promote", "9.9.9", "--channel=stable", code=USAGE)
    assert "points at shop 1.0.0" in publisher.repo("yank", "1.0.0", "--reason=it leaks", code=REFUSED)
    assert "no host installs it any more" in publisher.repo("yank", "1.1.0", "--reason=it leaks")
    assert "1.1.0" in publisher.repo("promote", "1.1.0", "--channel=stable", code=REFUSED)
    publisher.sees("1.0.0", "1.1.0", hosts=[host])  # it stays there, for audits


def test_prune_patches(publisher):
    """Patches between releases that have much in common; those to what nobody installs any more go."""
    host = publisher.new_host()
    noise = random.Random(1).randbytes(100000).hex()
    for n in range(5):
        publisher.tree(f"1.{n}.0", f"{noise}{n}")
        publisher.repo("publish", publisher.directory / f"tree-1.{n}.0", f"--version=1.{n}.0")
    patches = lambda: {name for name in publisher.files() if ".patch" in name}  # noqa: E731
    before = patches()
    assert len([name for name in before if not name.endswith(".blocks")]) == 0 + 1 + 2 + 3 + 3
    assert "removed" in publisher.repo("prune", "--keep=1")
    publisher.sees(*(f"1.{n}.0" for n in range(5)), hosts=[host])
    assert patches() < before and all("1.4.0" in name for name in patches())
    assert "no old patches" in publisher.repo("prune", "--keep=1")
    assert publisher.channel("stable") == "1.4.0"
    assert ":" not in publisher.repo("check").replace("Z", "").rsplit("expires", 1)[0]  # there is nothing to say


# --- keys ---


def test_refresh_needs_the_online_key_alone(publisher):
    host = publisher.new_host()
    publisher.publish("1.0.0")
    away = publisher.directory / "away"
    away.mkdir()
    for name in ("root.pem", "targets.pem"):
        (publisher.keys / name).rename(away / name)
    before = publisher.files()
    assert "expires" in publisher.repo("refresh")
    changed = {name for name, data in publisher.files().items() if before.get(name) != data}
    assert changed == {"metadata/3.snapshot.json", "metadata/timestamp.json"}
    publisher.sees("1.0.0", hosts=[host])
    for words in (["publish", publisher.tree("2"), "--version=2"], ["rotate", "online"], ["refresh", "--role=targets"]):
        assert ".pem" in publisher.repo(*words, code=USAGE)
    # and a publish needs no root key
    (away / "targets.pem").rename(publisher.keys / "targets.pem")
    publisher.publish("1.1.0")
    publisher.sees("1.0.0", "1.1.0", hosts=[host])


@pytest.mark.parametrize("role, roles", [("root", ["root"]), ("targets", ["targets"]), ("online", ["snapshot", "timestamp"])])
def test_rotate(publisher, role, roles):
    host = publisher.new_host()
    publisher.publish("1.0.0")
    publisher.sees("1.0.0", hosts=[host])
    assert f"{role} has its new keys" in publisher.repo("rotate", role)
    for name in ("root", "targets", "snapshot", "timestamp"):
        assert (key_ids(publisher, name, 1) != key_ids(publisher, name, 2)) == (name in roles)
    publisher.sees("1.0.0", hosts=[host])
    publisher.publish("1.1.0")
    publisher.repo("rotate", role)
    publisher.repo("refresh")
    publisher.sees("1.0.0", "1.1.0", hosts=[host])
    assert publisher.repo("check").count("error") == 0


def test_delegate_to_our_own_key(publisher):
    host = publisher.new_host()
    publisher.publish("1.0.0")
    assert "has a role of its own" in publisher.repo("delegate", "shop")
    publisher.sees("1.0.0", hosts=[host])
    (publisher.keys / "targets.pem").unlink()
    publisher.publish("1.1.0")
    publisher.sees("1.0.0", "1.1.0", hosts=[host])


def test_delegate_to_a_team(publisher):
    """The team's key never leaves the team; ours are not needed for its releases, but for the world to see them."""
    host, team = publisher.new_host(), publisher.directory / "team"
    publisher.publish("1.0.0")
    assert "public half" in publisher.repo("key", "shop", keys=team)
    assert "was there already" in publisher.repo("key", "shop", keys=team)
    assert set(json.loads((team / "shop.pub").read_text())) == {"keytype", "scheme", "keyval"}
    said = publisher.repo("delegate", "shop", "--key", team / "shop.pub")
    assert "once its team has signed" in said
    publisher.sees("1.0.0", hosts=[host])
    publisher.repo("sign", keys=team)
    publisher.repo("refresh")
    publisher.sees("1.0.0", hosts=[host])
    assert "not visible yet" in publisher.publish("1.1.0", keys=team)
    publisher.sees("1.0.0", hosts=[host])
    publisher.repo("refresh")
    publisher.sees("1.0.0", "1.1.0", hosts=[host])
    assert "shop.pem" in publisher.publish("1.2.0", code=USAGE)
    assert publisher.repo("check").count("error") == 0


def test_two_people_sign(publisher):
    """Two signatures for a release, then two for the root; each person has a key directory of their own."""
    host, other = publisher.new_host(), publisher.directory / "other"
    publisher.publish("1.0.0")
    (publisher.directory / "no.pub").write_text("no key")
    assert "no.pub is not a public key" in publisher.repo("rotate", "root", f"--add={publisher.directory}/no.pub", code=USAGE)
    assert "too few keys for 2" in publisher.repo("rotate", "root", "--threshold=2", code=USAGE)
    for role in ("targets", "root"):
        publisher.repo("key", role, keys=other)
        said = publisher.repo("rotate", role, "--add", other / f"{role}.pub", "--threshold=2")
        if "not in force" in said:
            publisher.repo("sign", keys=other)
            said = publisher.repo("sign", keys=other)  # once more, to be sure
            assert "nothing waits for a signature" in said
            publisher.repo("refresh")
    publisher.sees("1.0.0", hosts=[host])
    said = publisher.publish("1.1.0")
    assert "targets has 1 of 2 signatures" in said
    publisher.sees("1.0.0", hosts=[host])
    assert "pending/targets.json" in publisher.repo("check")
    before = publisher.files()
    review = publisher.repo("sign", "--review", keys=other)
    assert "shop/1.1.0" in review and "good until" in review
    assert publisher.files() == before
    assert "signed: targets" in publisher.repo("sign", keys=other)
    publisher.sees("1.0.0", hosts=[host])
    publisher.repo("refresh")
    publisher.sees("1.0.0", "1.1.0", hosts=[host])
    assert "1 of 2" in publisher.repo("rotate", "online")
    assert "may sign what is pending" in publisher.repo("sign", keys=publisher.directory / "nobody", code=USAGE)
    publisher.sees("1.0.0", "1.1.0", hosts=[host])
    publisher.repo("sign", keys=other)
    publisher.repo("refresh")
    publisher.sees("1.0.0", "1.1.0", hosts=[host])
    newest = max(int(p.name.split(".")[0]) for p in publisher.path.glob("metadata/*.root.json"))
    assert key_ids(publisher, "timestamp", newest) != key_ids(publisher, "timestamp", 1)
    assert "nothing waits for a signature" in publisher.repo("sign", keys=other)


def test_encrypted_keys(empty):
    secret, wrong = empty.directory / "passphrase", empty.directory / "wrong"
    for file, text in ((secret, "correct horse\n"), (wrong, "battery staple\n")):
        file.touch(0o600)
        file.write_text(text)
    empty.repo("init", "--encrypt", passphrase=secret)
    assert all(b"BEGIN ENCRYPTED PRIVATE KEY" in key.read_bytes() for key in empty.keys.glob("*.pem"))
    assert "--passphrase-file" in empty.publish("1.0.0", code=USAGE)  # there is no terminal to ask on
    assert "wrong" in empty.publish("1.0.0", code=USAGE, passphrase=wrong)
    said = empty.publish("1.0.0", passphrase=secret)
    assert "correct horse" not in said
    empty.sees("1.0.0")
    empty.repo("rotate", "online", "--encrypt", passphrase=secret)
    assert all(b"BEGIN ENCRYPTED PRIVATE KEY" in key.read_bytes() for key in empty.keys.glob("*.pem"))
    empty.sees("1.0.0")
    secret.chmod(0o644)
    assert str(secret) in empty.repo("refresh", code=USAGE, passphrase=secret)


def prompted(publisher, answers):
    """`repo refresh` on a terminal, where each prompt gets its answer: the exit code, and what stood there at the end."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(publisher.program, [publisher.program, "repo", "refresh", f"--repo={publisher.path}", f"--keys={publisher.keys}"])
    said = b""
    with contextlib.suppress(OSError):  # the other end was closed
        while select.select([terminal], [], [], 60)[0]:
            said += os.read(terminal, 4096)
            if said.count(b"Passphrase of") > said.count(b"\0"):
                os.write(terminal, answers)
                said += b"\0"
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()


def test_passphrase_on_a_terminal(empty):
    secret = empty.directory / "passphrase"
    secret.touch(0o600)
    secret.write_text("correct horse\n")
    empty.repo("init", "--encrypt", passphrase=secret)
    before = empty.files()
    code, said = prompted(empty, b"\x03")
    assert code == FAILED and said.count("Passphrase") == 1, said
    code, said = prompted(empty, b"battery staple\n")
    assert code == USAGE and "is wrong" in said and said.count("Passphrase") == 1, said
    assert empty.files() == before
    code, said = prompted(empty, b"correct horse\n")
    assert code == 0 and "signed anew" in said and "horse" not in said, said
    empty.sees()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_keys_that_others_can_use_are_refused(publisher, mode):
    before = publisher.files()
    (publisher.keys / "online.pem").chmod(mode)
    assert "online.pem" in publisher.repo("refresh", code=USAGE)
    assert "not a directory of keys" in publisher.repo("refresh", keys=publisher.keys / "root.pem", code=USAGE)
    assert publisher.files() == before


# --- check ---


def test_check(publisher):
    publisher.publish("1.0.0")
    said = publisher.repo("check")
    assert "error" not in said and "warning" not in said and "the first expires" in said

    orphan = publisher.path / "targets/shop/orphan"
    orphan.write_text("x")
    assert "targets/shop/orphan: is listed by no metadata" in publisher.repo("check")
    orphan.unlink()

    publisher.repo("refresh", "--online-expires=2d")
    said = publisher.repo("check")
    assert "warning: metadata/timestamp.json: expires in" in said
    assert "warning" not in publisher.repo("check", "--within=1d")
    assert "error: metadata/timestamp.json: expired" in publisher.repo("check", days=3, code=REFUSED)
    report = json.loads(publisher.repo("check", "--json"))
    assert report["targets"] == 3 and {f["severity"] for f in report["findings"]} == {"warning"}

    for name in (next((publisher.path / "targets").rglob("*.tar.zst")), publisher.path / "metadata/2.targets.json"):
        good = name.read_bytes()
        name.write_bytes(good[:-10] + b"x" + good[-9:])
        assert name.name in publisher.repo("check", code=UNTRUSTED)
        name.write_bytes(good)
    next((publisher.path / "targets").rglob("*.blocks")).unlink()
    assert ".blocks" in publisher.repo("check", code=UNTRUSTED)


# --- README ---


def test_for_publishers(empty):
    """README's section, line by line as it stands there."""
    text = (build.SOURCE / "README.md").read_text()
    section = re.search(r"^## For publishers\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)[1]
    empty.keys = empty.directory / "repository.keys"
    empty.repo("init")
    for version in ("1.0.0", "1.1.0"):
        empty.publish(version)
    host = empty.new_host()
    (empty.directory / "bin").mkdir()
    (empty.directory / "bin/releasemgr").symlink_to(empty.program)
    steps = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert len(steps) >= 6
    for step in steps:
        done = subprocess.run(["bash", "-ec", step.replace("/media/", f"{empty.directory}/media/")], cwd=empty.path,
                              env={**os.environ, "PATH": f"{empty.directory}/bin:{os.environ['PATH']}"},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, (step, done.stdout, done.stderr)
        empty.sees("1.0.0", "1.1.0", hosts=[host])
    assert empty.channel("stable") == "1.0.0"
    team = empty.directory / "media/team/keys"
    empty.publish("1.2.0", keys=team)
    empty.repo("refresh")
    empty.sees("1.0.0", "1.1.0", "1.2.0", hosts=[host])
    assert "error" not in empty.repo("check")


# --- on the disk ---


def test_what_is_superseded_goes(publisher):
    """Refreshed every day, the repository does not grow; and whatever a host may still be about to ask for is there."""
    host = publisher.new_host()
    needed = {}  # by the day: what a host asks for that has that day's timestamp
    for day in range(0, 40, 2):
        if day % 8 == 0:
            publisher.publish(f"1.{day}.0", days=day)
        else:
            publisher.repo("refresh", days=day)
        metadata = publisher.path / "metadata"
        snapshot = json.loads((metadata / "timestamp.json").read_bytes())["signed"]["meta"]["snapshot.json"]["version"]
        listed = json.loads((metadata / f"{snapshot}.snapshot.json").read_bytes())["signed"]["meta"]
        needed[day] = {f"{snapshot}.snapshot.json"} | {f"{entry['version']}.{name}" for name, entry in listed.items()}
        here = {path.name for path in metadata.iterdir()}
        for since in range(max(0, day - 6), day + 1, 2):  # their timestamps are good for a week
            assert needed[since] <= here
        assert len(here) <= 12, sorted(here)
    assert not (metadata / "2.targets.json").exists() and (metadata / "1.root.json").exists()
    publisher.repo("refresh")  # the clock is right again: nothing that is newer goes
    assert needed[38] <= {path.name for path in metadata.iterdir()}
    publisher.sees(*(f"1.{day}.0" for day in range(0, 40, 8)), hosts=[host])


def calls(publisher, *words):
    """The calls that change the repository's disk, in order: (name, paths)."""
    trace = publisher.directory / "trace"
    environment = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    subprocess.run(["strace", "-f", "-y", "-o", trace, "-e", "trace=fsync,fdatasync,mkdirat,rename,renameat,renameat2",
                    publisher.program, "repo", *words, "--app=shop", "--repo", publisher.path, "--keys", publisher.keys],
                   check=True, stdin=subprocess.DEVNULL, env=environment, timeout=300)
    for line in trace.read_text().splitlines():
        call = re.match(r"\d+ +(\w+)\((.*)\) += 0$", line)
        if not call:
            continue
        if call[1] in ("fsync", "fdatasync"):
            yield "sync", [re.search(r"<(.*)>", call[2])[1]]
        else:
            paths = re.findall(r'(?:\d+|AT_FDCWD)<([^>]*)>, "([^"]*)"', call[2])
            yield "mkdir" if call[1] == "mkdirat" else "rename", [os.path.join(*path) for path in paths]


@pytest.mark.parametrize("verb", ["publish", "refresh", "rotate"])
def test_what_a_power_cut_finds(publisher, verb):
    """A file's bytes are on the disk before its name, and its name before any file that tells of it: then every state
    that a power cut can leave is one that a kill can leave, and those are all tried (tests/unit/publish)."""
    words = {"publish": ["publish", publisher.tree("1.0.0"), "--version=1.0.0"], "refresh": ["refresh"],
             "rotate": ["rotate", "root"]}[verb]
    synced, unsynced, published = {str(path) for path in publisher.directory.rglob("*")}, set(), []
    for call, paths in calls(publisher, *words):
        if call == "sync":
            synced.add(paths[0])
            unsynced -= {path for path in unsynced if os.path.dirname(path) == paths[0]}
        elif call == "mkdir":
            unsynced.add(paths[0])
        else:
            source, target = paths
            assert source in synced, source
            if os.path.dirname(target) == str(publisher.path / "metadata"):
                assert not unsynced, (target, unsynced)
                published.append(os.path.basename(target))
            unsynced |= {target}
            synced.add(target)
    assert not unsynced
    assert published == {"publish": ["2.targets.json", "2.snapshot.json", "timestamp.json"],
                         "refresh": ["2.snapshot.json", "timestamp.json"],
                         "rotate": published[:-1] + ["2.root.json"]}[verb]
