"""Deployments that go well, and what they promise on the way: sealed releases, shared paths, the migrations' memory, the
journal, and the publisher's side."""

import json
import os
import stat

import pytest

import releases
from shop import KEYS, REPOSITORY


def test_sealed_and_owned_by_root(shop):
    release = shop.host.path("/opt/shop/releases/1.0.0")
    assert shop.current() == "releases/1.0.0"
    seen = 0
    for directory, names, files in os.walk(release):
        for path in [directory] + [os.path.join(directory, name) for name in files]:
            s = os.lstat(path)
            seen += 1
            assert (s.st_uid, s.st_gid) == (0, 0), path
            assert not s.st_mode & (stat.S_IWGRP | stat.S_IWOTH | stat.S_ISUID | stat.S_ISGID), path
            if stat.S_ISREG(s.st_mode):
                assert not s.st_mode & stat.S_IWUSR, path
    assert seen > 10
    assert shop.releasemgr("verify").stdout.startswith("1.0.0 is as it was sealed")


def test_verify_names_what_changed(shop):
    release = shop.host.path("/opt/shop/releases/1.0.0")
    os.chmod(release, 0o755)
    os.chmod(release / "release.json", 0o644)
    with open(release / "release.json", "a") as f:
        f.write(" ")
    (release / "added").write_text("x")
    os.unlink(release / "migrations" / "0001_create_products.sql")
    done = shop.releasemgr("verify", check=False)
    text = done.stdout + done.stderr
    assert done.returncode == 7
    for name in ("release.json", "added", "migrations/0001_create_products.sql"):
        assert name in text


def test_the_running_process_is_the_release(shop):
    shop.publish("1.1.0", schema=releases.PRICED)
    shop.releasemgr("activate", "latest")
    pid = shop.host.unit("shop.service")["MainPID"]
    assert os.readlink(shop.host.path(f"/proc/{pid}/cwd")).endswith("/opt/shop/releases/1.1.0")
    status = json.loads(shop.releasemgr("status", "--json").stdout.splitlines()[-1])
    assert status["current"] == "1.1.0"
    assert shop.front_page()["version"] == "1.1.0"


def test_activate_again_does_nothing(shop):
    before = shop.snapshot()
    assert "nothing to do" in shop.releasemgr("activate", "1.0.0").stdout
    assert shop.snapshot() == before
    assert len(shop.history()) == 1


def test_migrations_run_once(shop):
    shop.publish("1.1.0", schema=releases.PRICED)
    assert "2 applied, 1 already there" in shop.releasemgr("activate", "1.1.0").stdout
    shop.releasemgr("rollback")
    dump = shop.database.dump()
    assert shop.front_page() == {"version": "1.0.0", "products": [["tea"], ["coffee; ground"], ["cocoa"]]}
    shop.releasemgr("activate", "1.1.0")
    assert shop.database.dump() == dump
    assert shop.front_page()["products"][0] == ["tea", "2.50"]


def test_shared_paths_outlive_a_release(shop):
    shop.configure("[Release]\nShared=var/uploads/ config/local.json\n")
    shop.host.path("/opt/shop/shared/config").mkdir(parents=True)
    shop.host.write("/opt/shop/shared/config/local.json", "{}\n")
    for version in ("1.1.0", "1.2.0"):
        shop.publish(version)
        shop.releasemgr("activate", version)
        release = shop.host.path(f"/opt/shop/releases/{version}")
        assert shop.host.read("/opt/shop/current/config/local.json") == "{}\n"
        assert (release / "var/uploads").is_symlink()
        shop.host.write(f"/opt/shop/current/var/uploads/{version}", "kept")
    assert sorted(os.listdir(shop.host.path("/opt/shop/shared/var/uploads"))) == ["1.1.0", "1.2.0"]
    shop.releasemgr("verify")


def test_crash_looping_release_does_not_use_up_the_old_ones_starts(shop):
    """systemd refuses a unit that was started too often; the release that goes back must not meet that."""
    shop.host.write("/etc/systemd/system/shop.service.d/limit.conf",
                    "[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=60\n[Service]\nRestart=always\nRestartSec=10ms\n")
    shop.host.run("systemctl", "daemon-reload")
    for version in ("1.1.0", "1.2.0", "1.3.0"):
        shop.publish(version, behaviour="exits")
        done = shop.releasemgr("activate", version, check=False)
        assert done.returncode == 3, done.stdout + done.stderr
        assert shop.front_page()["version"] == "1.0.0"


def test_rollback_needs_no_network_and_no_database_server(shop):
    shop.publish("1.1.0")
    shop.releasemgr("activate", "1.1.0")
    shop.web.stop()
    shop.configure("[Database]\nSocket=/run/missing\nPasswordFile=/etc/missing\n")
    shop.releasemgr("rollback")
    assert shop.current() == "releases/1.0.0"


def test_journal_tells_the_deployment(shop):
    entries = [json.loads(line) for line in shop.host.journal("--output=json", "RELEASEMGR_APP=shop").splitlines()]
    ids = {entry["RELEASEMGR_ID"] for entry in entries}
    assert ids == {shop.history()[0]["id"]}
    assert all(len(entry["MESSAGE_ID"]) == 32 for entry in entries)
    assert len({entry["MESSAGE_ID"] for entry in entries}) >= 4


def test_output_without_a_terminal_is_plain_lines(shop):
    shop.publish("1.1.0")
    out = shop.releasemgr("activate", "1.1.0").stdout
    assert "\033" not in out and "\r" not in out
    stages = [line for line in out.splitlines() if line.startswith("[") and "/" in line.split("]")[1][:5]]
    assert len(stages) >= 5, out


def test_history_sorts_by_time_and_show_knows_all(shop):
    shop.publish("1.1.0", behaviour="unhealthy")
    shop.configure("[Health]\nDeadline=3s\n")
    shop.releasemgr("activate", "1.1.0", check=False)
    history = shop.history()
    assert [e["id"] for e in history] == sorted((e["id"] for e in history), reverse=True)
    report = shop.releasemgr("show", history[0]["id"]).stdout
    assert shop.releasemgr("show").stdout == report
    for word in ("taken-back", "503", "shop.service", history[0]["id"]):
        assert word in report


# The timer

def test_pull_follows_the_channel_and_skips_what_failed(shop):
    pull = lambda: shop.host.run("systemctl", "start", "releasemgr-pull@shop.service", check=False)  # noqa: E731
    shop.publish("1.1.0", behaviour="exits")
    assert pull().returncode != 0
    assert shop.front_page()["version"] == "1.0.0"
    count = len(shop.history())
    assert pull().returncode == 0  # in quarantine: nothing is wrong with this host
    done = shop.releasemgr("pull")
    assert "in quarantine on this host" in done.stdout and "nothing to do" in done.stdout
    assert len(shop.history()) == count
    shop.publish("1.2.0")
    assert pull().returncode == 0
    assert shop.front_page()["version"] == "1.2.0"


def test_rollback_by_hand_holds_the_timer(shop):
    shop.publish("1.1.0")
    shop.releasemgr("activate", "latest")
    shop.releasemgr("rollback")
    assert shop.host.run("systemctl", "start", "releasemgr-pull@shop.service", check=False).returncode == 0
    assert shop.front_page()["version"] == "1.0.0"
    assert "held" in shop.releasemgr("status").stdout
    shop.releasemgr("unhold")
    shop.host.run("systemctl", "start", "releasemgr-pull@shop.service")
    assert shop.front_page()["version"] == "1.1.0"


# The publisher

def repository_files(shop):
    root = shop.host.path(REPOSITORY)
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_keys_are_for_their_owner_alone(shop):
    keys = [p for p in shop.host.path(KEYS).rglob("*") if p.is_file()]
    assert keys
    for key in keys:
        assert key.stat().st_mode & 0o777 == 0o600, key
        assert b"PRIVATE KEY" in key.read_bytes()


def test_publishing_the_same_tree_again_changes_nothing(shop):
    before = repository_files(shop)
    done = shop.publish("1.0.0", tree="/srv/trees/1.0.0")
    assert "already" in done.stdout
    assert repository_files(shop) == before


def test_another_tree_under_the_same_version_is_refused(shop):
    before = repository_files(shop)
    shop.host.write("/srv/trees/1.0.0/added", "x")
    done = shop.releasemgr("repo", "publish", "/srv/trees/1.0.0", "--version", "1.0.0", "--app", "shop", "--repo",
                           REPOSITORY, "--keys", KEYS, check=False)
    assert done.returncode != 0 and "1.0.0" in done.stderr
    assert repository_files(shop) == before


def test_bundle_is_a_plain_tar(shop):
    done = shop.host.shell(f"""
        mkdir /srv/unpacked && cd /srv/unpacked
        tar -x --zstd -f {REPOSITORY}/$(cd {REPOSITORY} && find . -name '*1.0.0*.tar.zst')
        diff -r -x .releasemgr /srv/trees/1.0.0 . >&2 || ls""")
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_packing_is_reproducible(shop):
    bundles = {}
    for place in ("a", "b"):
        shop.host.shell(f"cp -r /srv/trees/1.0.0 /srv/{place} && touch -d '2001-01-0{len(bundles) + 1}' /srv/{place}/bin")
        shop.releasemgr("repo", "init", "--repo", f"/srv/repo-{place}", "--keys", f"/srv/keys-{place}")
        shop.releasemgr("repo", "publish", f"/srv/{place}", "--version", "1.0.0", "--app", "shop",
                        "--repo", f"/srv/repo-{place}", "--keys", f"/srv/keys-{place}")
        bundles[place], = (p.read_bytes() for p in shop.host.path(f"/srv/repo-{place}").rglob("*.tar.zst"))
    assert bundles["a"] == bundles["b"]


def test_promote_and_yank(shop):
    shop.publish("1.1.0", "--channel", "beta")
    assert "nothing to do" in shop.releasemgr("activate", "latest").stdout
    options = ["--app", "shop", "--repo", REPOSITORY, "--keys", KEYS]
    shop.releasemgr("repo", "promote", "1.1.0", "--channel", "stable", *options)
    shop.releasemgr("activate", "latest")
    assert shop.front_page()["version"] == "1.1.0"
    shop.publish("1.2.0")
    yank = ["repo", "yank", "1.2.0", "--reason", "it leaks", *options]
    assert "points at shop 1.2.0" in shop.releasemgr(*yank, check=False).stderr
    shop.releasemgr("repo", "promote", "1.1.0", "--channel", "stable", *options)
    shop.releasemgr(*yank)
    done = shop.releasemgr("activate", "1.2.0", check=False)
    assert done.returncode != 0
    assert "1.2.0" in done.stdout + done.stderr
    assert shop.front_page()["version"] == "1.1.0"


@pytest.mark.parametrize("name", ["../evil", "a/b", ".hidden", "", "-x", "1.0.0 "])
def test_versions_that_are_none(shop, name):
    before = repository_files(shop)
    done = shop.releasemgr("repo", "publish", "/srv/trees/1.0.0", f"--version={name}", "--app", "shop", "--repo",
                           REPOSITORY, "--keys", KEYS, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert shop.releasemgr("activate", "--", name, check=False).returncode == 2
    assert repository_files(shop) == before
