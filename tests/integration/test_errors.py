"""What goes wrong in real life: each ends with the right exit code and one clear sentence with the next thing to do, and
leaves host and database exactly as they were. Once the cause is gone, the same command succeeds."""

import json
import time
import os

import pytest

import releases
import servers
from shop import KEYS, REPOSITORY

FAILED, USAGE, TAKEN_BACK, LOCKED, REFUSED, UNTRUSTED = 1, 2, 3, 5, 6, 7


def assert_says(done, code, *words, hint=None):
    """One command's end: its code, and its words in what a person reads."""
    text = done.stdout + done.stderr
    assert done.returncode == code, text
    for word in words:
        assert word in text, f"{word!r} is not said in:\n{text}"
    if hint:
        assert hint in text, f"the hint {hint!r} is not given in:\n{text}"
    assert servers.PASSWORD not in text
    return text


class Unchanged:
    """The host and the database are the same before and after the block.

    fetched: a release that had been fetched, verified and sealed before the failure, and stays for the next try"""

    def __init__(self, shop, database=True, fetched=None):
        self.shop, self.database, self.fetched = shop, database, fetched

    def __enter__(self):
        self.before = self.shop.snapshot(self.database)
        assert self.shop.staging() == []

    def __exit__(self, kind, *_):
        if kind is None:
            after = self.shop.snapshot(self.database)
            # a transfer that was interrupted goes on where it stopped: what came so far is kept for that
            after["files"] = {k: v for k, v in after["files"].items() if not self.may_stay(k)}
            assert after == self.before
            assert [name for name in self.shop.staging() if not name.startswith(".partial-")] == []

    def may_stay(self, path):
        return path.startswith("releases/.partial-") or (
            self.fetched and (path + "/").startswith(f"releases/{self.fetched}/"))


def repository_file(shop, pattern):
    """The one file below the repository that matches, as a path outside."""
    found = [path for path in shop.host.path(REPOSITORY).rglob(pattern) if path.is_file()]
    assert len(found) == 1, found
    return found[0]


def flip_byte(path, at=None):
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at is None else at] ^= 1
    path.write_bytes(data)


def activate(shop, version="1.1.0", **options):
    return shop.releasemgr("activate", version, check=False, **options)


@pytest.fixture
def two(shop):
    """1.0.0 runs, and 1.1.0 with migrations is published."""
    shop.publish("1.1.0", schema=releases.PRICED)
    return shop


def assert_succeeds_now(shop, version="1.1.0"):
    shop.releasemgr("activate", version)
    assert shop.front_page()["version"] == version


# Configuration

def test_no_configuration(bare_shop):
    assert_says(bare_shop.releasemgr("status", check=False), USAGE, "no app is configured", hint="releasemgr init")
    assert_says(bare_shop.releasemgr("activate", "1.0.0", "--app", "shop", check=False), USAGE,
                "/etc/releasemgr/shop.conf", hint="releasemgr init shop")


def test_init_again(two):
    """The same again is no error; what would be ignored is."""
    trust = f"{REPOSITORY}/metadata/1.root.json"
    two.releasemgr("init", "shop", "--url", two.web.url, "--trust", trust)
    with Unchanged(two):
        assert_says(two.releasemgr("init", "shop", "--url", "https://elsewhere.example/", check=False), USAGE,
                    "/etc/releasemgr/shop.conf is there already", "Url=https://elsewhere.example/", hint="--url")
        assert_says(two.releasemgr("init", "shop", "--strategy", "handover", check=False), USAGE, "Strategy=handover")
        two.releasemgr("repo", "init", "--repo", "/srv/other", "--keys", "/srv/other-keys")
        assert_says(two.releasemgr("init", "shop", "--trust", "/srv/other/metadata/1.root.json", check=False), USAGE,
                    "shop.root.json is there already", hint="--trust")


@pytest.mark.parametrize("text,words", [
    ("[Health]\nUrll=http://x/\n", ["Urll=", ":2:", "Url="]),
    ("[Helth]\nUrl=http://x/\n", ["[Helth]", "[Health]"]),
    ("[Health]\nDeadline=5 parsecs\n", ["Deadline=5 parsecs", ":2:", "time span"]),
    ("[Retention]\nKeep=none\n", ["Keep=none", ":2:", "number"]),
    ("[Database]\nTls=perhaps\n", ["Tls=perhaps", ":2:", "verify-full"]),
    ("nonsense\n", [":1:", "[Section]"]),
])
def test_wrong_configuration(two, text, words):
    two.configure(text)
    with Unchanged(two):
        assert_says(activate(two), USAGE, "test.conf", *words)


def test_missing_value(two):
    two.host.path("/etc/releasemgr/shop.conf").write_text("[Service]\nUnit=shop.service\n")
    with Unchanged(two):
        assert_says(activate(two), USAGE, "/etc/releasemgr/shop.conf", "Url=")


def test_password_that_others_may_read(two):
    two.host.run("chmod", "644", "/etc/releasemgr/shop.password")
    with Unchanged(two):
        assert_says(activate(two), USAGE, "/etc/releasemgr/shop.password", hint="chmod 600")
    two.host.run("chmod", "600", "/etc/releasemgr/shop.password")
    assert_succeeds_now(two)


def test_unit_does_not_exist(two):
    two.configure("[Service]\nUnit=missing.service\n")
    with Unchanged(two):
        assert_says(activate(two), FAILED, "There is no unit missing.service", hint="correct Unit=")
    two.configure(None)
    assert_succeeds_now(two)


# Repository

def test_unknown_version(two):
    with Unchanged(two):
        assert_says(activate(two, "9.9.9"), FAILED, "9.9.9", hint="releasemgr list")


def test_repository_down(two):
    two.web.stop()
    with Unchanged(two):
        assert_says(activate(two), FAILED, "Nothing listens at", "127.0.0.1:8080", hint="whether its server runs")
    two.web.start()
    assert_succeeds_now(two)


def test_wrong_key(two):
    """Somebody else's repository in the place of ours: it is whole, and signed, by keys that this host does not
    trust."""
    two.host.shell(f"mv {REPOSITORY} /srv/ours; mkdir {REPOSITORY}")
    two.releasemgr("repo", "init", "--repo", REPOSITORY, "--keys", "/srv/their-keys")
    two.releasemgr("repo", "publish", "/srv/trees/1.1.0", "--version", "1.1.0", "--app", "shop", "--repo", REPOSITORY,
                   "--keys", "/srv/their-keys")
    with Unchanged(two):
        assert_says(activate(two), UNTRUSTED, "signed by 0 of the 1 keys", hint="whether this is the right repository")
    two.host.shell(f"rm -r {REPOSITORY}; mv /srv/ours {REPOSITORY}")
    assert_succeeds_now(two)


def newest(shop, pattern):
    """Of the repository's files that match, the one made last."""
    return max((p for p in shop.host.path(REPOSITORY).rglob(pattern) if p.is_file()), key=lambda p: p.stat().st_mtime_ns)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_altered_metadata(two, role):
    path = newest(two, f"*{role}.json")
    good = path.read_bytes()
    document = json.loads(good)
    document["signed"]["expires"] = "2099-01-01T00:00:00Z"
    path.write_text(json.dumps(document))
    with Unchanged(two):
        assert_says(activate(two), UNTRUSTED, role, hint="was altered")
    path.write_bytes(good)
    assert_succeeds_now(two)


@pytest.fixture
def two_bundles(shop):
    """As two, without a patch between them, so that the bundle itself is fetched."""
    shop.publish("1.1.0", "--patches", "0", schema=releases.PRICED)
    return shop


@pytest.mark.parametrize("pattern", ["*1.1.0*.tar.zst", "*1.1.0*.blocks"])
def test_altered_bundle(two_bundles, pattern):
    two = two_bundles
    path = repository_file(two, pattern)
    good = path.read_bytes()
    flip_byte(path)
    with Unchanged(two):
        assert_says(activate(two), UNTRUSTED, "1.1.0", hint="altered it")
    path.write_bytes(good)
    assert_succeeds_now(two)


def test_truncated_bundle(two_bundles):
    two = two_bundles
    path = repository_file(two, "*1.1.0*.tar.zst")
    good = path.read_bytes()
    path.write_bytes(good[:len(good) // 2])
    with Unchanged(two):
        assert_says(activate(two), UNTRUSTED, "1.1.0", "were signed", hint="uploaded whole")
    path.write_bytes(good)
    assert_succeeds_now(two)


def test_metadata_that_soon_expires(two):
    """Days before, whoever looks is told; when it has expired, only what is new is refused."""
    refresh = lambda span: two.releasemgr("repo", "refresh", "--online-expires", span, "--repo", REPOSITORY, "--keys", KEYS)  # noqa: E731
    status = lambda: json.loads(two.releasemgr("status", "--json").stdout.splitlines()[-1])  # noqa: E731
    assert "expires in" not in two.releasemgr("status").stdout + two.releasemgr("check").stdout
    assert status()["expires"].endswith("Z") and "expires_warning" not in status()
    refresh("2d")
    assert "warning: the repository's timestamp expires in 1d" in two.releasemgr("check").stdout
    assert "the repository's timestamp expires in 1d" in two.releasemgr("status").stdout
    done = two.releasemgr("pull")
    assert "the repository's timestamp expires in 1d" in done.stdout + done.stderr
    assert two.front_page()["version"] == "1.1.0"
    assert "expires in 1d" in status()["expires_warning"]
    let_metadata_expire(two)
    assert two.releasemgr("pull", check=False).returncode == REFUSED
    assert "the repository's timestamp expire" in two.releasemgr("status").stdout


def let_metadata_expire(shop):
    """The online key signs for a second only, which then passes."""
    shop.releasemgr("repo", "refresh", "--online-expires", "1s", "--repo", REPOSITORY, "--keys", KEYS)
    time.sleep(2.5)


def test_expired_metadata(two):
    """The online key was not renewed for long: no new install, and rollback is not stopped."""
    assert_succeeds_now(two)
    two.publish("1.2.0", schema=releases.PRICED)
    let_metadata_expire(two)
    with Unchanged(two):
        assert_says(activate(two, "1.2.0"), REFUSED, "expired", hint="must renew the metadata")
        assert_says(two.releasemgr("pull", check=False), REFUSED, "expired", hint="must renew the metadata")
        # the timer's unit shows it: somebody must act
        assert two.host.run("systemctl", "start", "releasemgr-pull@shop.service", check=False).returncode != 0
        assert two.host.unit("releasemgr-pull@shop.service", "ExecMainStatus")["ExecMainStatus"] == str(REFUSED)
        done = two.releasemgr("check", check=False)
        assert done.returncode != 0 and "expired" in done.stdout
        assert two.releasemgr("status").returncode == 0
    two.releasemgr("rollback")
    assert two.front_page()["version"] == "1.0.0"
    two.releasemgr("repo", "refresh", "--repo", REPOSITORY, "--keys", KEYS)
    assert_succeeds_now(two, "1.2.0")


# The host

def test_disk_is_seen_to_be_too_full(two):
    two.host.shell("mkdir /run/keep; cp -a /opt/shop /run/keep; mount -t tmpfs -o size=8m tmpfs /opt; "
                   "cp -a /run/keep/shop /opt; systemctl restart shop.service; "
                   "head -c $(($(df --output=avail -B1 /opt | tail -1) - 600000)) /dev/zero >/opt/ballast")
    with Unchanged(two):
        assert_says(activate(two), REFUSED, "on the disk", hint="make room")
    two.host.run("mount", "-o", "remount,size=100m", "/opt")
    assert_succeeds_now(two)


def test_disk_fills_up_while_staging(shop):
    """What was free when the deployment looked is taken by somebody else while the bundle comes."""
    two = shop
    two.host.shell("mkdir /run/keep; cp -a /opt/shop /run/keep; mount -t tmpfs -o size=60m tmpfs /opt; "
                   "cp -a /run/keep/shop /opt; systemctl restart shop.service")
    with open("/dev/urandom", "rb") as f:
        two.publish("1.1.0", schema=releases.PRICED, extra={"assets/big": f.read(20 << 20)})
    greedy = two.host.spawn("bash", "-c", """
        until compgen -G '/opt/shop/releases/.staging-*' >/dev/null; do sleep 0.001; done
        head -c 60m /dev/zero >/opt/ballast""")
    two.configure("[Repository]\nMaxRate=2M\n")  # so that somebody else comes in time
    with Unchanged(two):
        done = activate(two)
        greedy.wait()
        assert_says(done, REFUSED, "The disk is full", hint="releasemgr prune")
    two.configure(None)
    two.host.run("rm", "/opt/ballast")
    assert_succeeds_now(two)


# Database

def test_database_down(two):
    two.database.stop()
    two.configure("[Database]\nConnectTimeout=1s\nDeadline=2s\n")
    with Unchanged(two, database=False, fetched="1.1.0"):
        assert_says(activate(two), FAILED, servers.SOCKET, hint="Start it")
    two.database.start()
    assert_succeeds_now(two)


def test_database_password_wrong(two):
    two.host.write("/srv/wrong", "wrong\n", 0o600)
    two.configure("[Database]\nPasswordFile=/srv/wrong\n")
    with Unchanged(two, fetched="1.1.0"):
        text = assert_says(activate(two), FAILED, "shop", "denied", hint="Check user, password")
        assert "wrong\n" not in text
    two.configure(None)
    assert_succeeds_now(two)


def test_failing_migration(two):
    """Nothing is switched; what was applied before the failing statement is an expansion and stays."""
    page = two.front_page()
    files, unit = two.snapshot()["files"], two.snapshot()["unit"]
    two.publish("1.2.0", schema=releases.FIRST, extra={
        "migrations/0002_broken.sql": "CREATE TABLE fine (id INT);\n\nALTER TABLE nothing ADD COLUMN x INT;\n"})
    assert_says(activate(two, "1.2.0"), FAILED, "0002_broken.sql", ":3", "nothing")
    after = two.snapshot()
    assert (after["unit"], two.front_page()) == (unit, page)
    assert after["files"].get("current") == files.get("current")


# Two at once

def test_two_at_once(shop):
    shop.publish("1.1.0", behaviour="slow-start", schema=releases.PRICED)
    first = shop.host.spawn("releasemgr", "activate", "1.1.0")
    shop.host.until(lambda: shop.host.unit("shop.service")["ActiveState"] == "activating", what="the restart")
    text = assert_says(activate(shop, "1.0.0"), LOCKED, "1.1.0", hint="--wait")
    assert "root" in text
    shop.host.write("/run/shop.may-start", "")
    done = first.communicate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert shop.front_page()["version"] == "1.1.0"


# Health

@pytest.mark.parametrize("behaviour,words", [
    ("silent", ["1.1.0", "1.0.0 serves again"]),
    ("error", ["500", "1.0.0 serves again"]),
    ("unhealthy", ["503", "1.0.0 serves again"]),
    ("old-version", ["1.0.0", "1.1.0", "serves again"]),
    ("exits", ["1.1.0", "1.0.0 serves again"]),
])
def test_unhealthy(shop, behaviour, words):
    shop.configure("[Health]\nDeadline=4s\nTimeout=1s\n")
    shop.publish("1.1.0", behaviour=behaviour)
    before = shop.snapshot()
    text = assert_says(activate(shop), TAKEN_BACK, *words, hint="releasemgr show")
    assert shop.front_page()["version"] == "1.0.0"
    after = shop.snapshot()
    assert after["database"] == before["database"]
    assert after["files"]["current"] == before["files"]["current"]
    assert {k: after["unit"][k] for k in ("ActiveState", "SubState")} == {"ActiveState": "active", "SubState": "running"}
    assert shop.history()[0]["verdict"] == "taken-back"
    # the host remembers, and says how to forget
    assert_says(activate(shop), REFUSED, "quarantine", hint="releasemgr quarantine lift 1.1.0")
    assert text.count("Traceback") == 0


def test_neither_is_healthy(shop):
    """The old release stopped being healthy too, for a reason of its own: exit 4 says so."""
    shop.publish("1.1.0", behaviour="unhealthy")
    shop.configure("[Health]\nDeadline=2s\n")
    shop.database.stop()
    shop.configure("[Health]\nDeadline=2s\nRevertDeadline=2s\nExpectJson=mood=sunny\n")
    shop.database.start()
    assert_says(activate(shop), 4, "1.1.0", "1.0.0", hint="releasemgr show")


def test_json_is_json(two):
    """--json: every line of standard output is an object, also where it fails."""
    two.web.stop()
    done = two.releasemgr("activate", "1.1.0", "--json", check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines and all(isinstance(line, dict) for line in lines)
    assert lines[-1]["exit"] == done.returncode == FAILED
    assert os.linesep.join(done.stderr.splitlines()) == ""


def test_not_root(two):
    """Whoever is not root is told so, and is told nothing that only root could have seen."""
    said = two.releasemgr("status", user="nobody").stdout
    assert "1.0.0" in said and "not running from" not in said and "only root can see" in said
    unit = json.loads(two.releasemgr("--json", "status", user="nobody").stdout)["unit"]
    assert unit["serves_current"] is None
    assert json.loads(two.releasemgr("--json", "status").stdout)["unit"]["serves_current"] is True
    with Unchanged(two):
        for verb in ("activate", "1.1.0"), ("rollback",), ("hold",), ("prune",):
            assert_says(two.releasemgr(*verb, check=False, user="nobody"), FAILED, "Permission denied",
                        hint="run it as root")
