"""The demo app's whole world on a throwaway host: database, repository behind a web server, keys, releases, and the
app as an operator would set it up. Tests, demo and benchmark all stand on this."""

import hashlib
import json
import os
import pathlib
import re
import stat
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import build  # noqa: E402
import releases  # noqa: E402
import servers  # noqa: E402

PROBER = pathlib.Path(__file__).parent / "prober.py"
REPOSITORY = "/srv/repository"
KEYS = "/srv/keys"
TREES = "/srv/trees"
PORT = 8000
HEALTH = f"http://127.0.0.1:{PORT}/health"

# What `init` leaves to the operator: what healthy means here, and where the database is.
CONFIG = f"""\
[Health]
ExpectJson=status=healthy
ExpectVersion=version
Timeout=10s
Deadline=30s
RevertDeadline=30s

[Database]
Name=shop
Socket={servers.SOCKET}
User=shop
PasswordFile=/etc/releasemgr/shop.password
"""
SERVICE = f"""\
[Service]
Environment=SHOP_DATABASE_SOCKET={servers.SOCKET}
Environment=SHOP_PASSWORD_FILE=/etc/releasemgr/shop.password
Environment=SHOP_PORT={PORT}
"""


class Shop:
    def __init__(self, host):
        self.host = host
        self.database = servers.Database(host)
        self.web = servers.WebServer(host, REPOSITORY)

    # What the operator types

    def releasemgr(self, *arguments, check=True, env=None, **options):
        """Runs the program; a finding of a sanitizer is an error, whatever the test expects."""
        done = self.host.run("releasemgr", *arguments, check=False,
                             env={**build.SANITIZER_ENVIRONMENT, **(env or {})}, **options)
        # it says so whenever stacks are switched, and is then told of every switch (base/fiber.c)
        done.stderr = re.sub(r"==\d+==WARNING: ASan doesn't fully support makecontext.*\n", "", done.stderr)
        for mark in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
            if mark in done.stderr:
                raise AssertionError(f"{done.args}: a sanitizer's finding\n{done.stderr}")
        if check and done.returncode != 0:
            raise AssertionError(f"{done.args} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def start_servers(self):
        self.database.start()
        self.web.start()
        return self

    def make_repository(self):
        self.releasemgr("repo", "init", "--repo", REPOSITORY, "--keys", KEYS)
        return self

    def make_release(self, version, **options):
        """A release's tree in the host; returns its path inside."""
        inside = f"{TREES}/{version}"
        releases.make_release(self.host.path(inside), version, **options)
        return inside

    def publish(self, version, *more, tree=None, **options):
        tree = tree or self.make_release(version, **options)
        return self.releasemgr("repo", "publish", tree, "--version", version, "--app", "shop",
                               "--repo", REPOSITORY, "--keys", KEYS, *more)

    def set_up(self, releasemgr=None):
        """The app on the host, as README's "On your server" does it; @releasemgr types the command."""
        self.host.write("/etc/releasemgr/shop.password", servers.PASSWORD + "\n", 0o600)
        self.host.write("/etc/releasemgr/shop.conf.d/10-shop.conf", CONFIG)
        self.host.write("/etc/systemd/system/shop.service.d/shop.conf", SERVICE)
        (releasemgr or self.releasemgr)(
            "init", "shop", "--url", self.web.url, "--trust", f"{REPOSITORY}/metadata/1.root.json",
            "--health", HEALTH, "--exec", "/opt/shop/current/bin/shop", "--type", "notify")
        return self

    def configure(self, text, name="test.conf"):
        """A drop-in; taken away again with text=None."""
        path = f"/etc/releasemgr/shop.conf.d/{name}"
        if text is None:
            self.host.path(path).unlink()
        else:
            self.host.write(path, text)

    # What is seen from outside

    def front_page(self):
        """What a client gets, or None where nobody answers."""
        done = self.host.run("curl", "-s", "--max-time", "60", f"http://127.0.0.1:{PORT}/", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def current(self):
        """What `current` names: "releases/1.0.0", or None."""
        path = self.host.path("/opt/shop/current")
        return os.readlink(path) if path.is_symlink() else None

    def history(self):
        """The deployments, the newest first."""
        return [json.loads(line) for line in self.releasemgr("history", "--json").stdout.splitlines()]

    def staging(self):
        """What was left half done in the store."""
        directory = self.host.path("/opt/shop/releases")
        return [name for name in os.listdir(directory) if name.startswith(".")] if directory.exists() else []

    def snapshot(self, database=True):
        """All that a deployment that failed before the switch must leave as it was."""
        return {
            "files": describe_tree(self.host.path("/opt/shop")),
            "unit": self.host.unit("shop.service", "ActiveState", "SubState", "MainPID", "InvocationID", "NRestarts"),
            "database": self.database.dump() if database else None,
        }

    def probe(self):
        """Starts the prober inside the host; see Outages."""
        return Outages(self.host)


def describe_tree(root):
    """Every file below @root: kind, mode, owner, and content or target."""
    found = {}
    for directory, names, files in os.walk(root):
        for name in names + files:
            path = pathlib.Path(directory, name)
            s = path.lstat()
            what = os.readlink(path) if stat.S_ISLNK(s.st_mode) else ""
            if stat.S_ISREG(s.st_mode):
                what = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(root))] = (oct(s.st_mode), s.st_uid, s.st_gid, what)
    return found


class Outages:
    """Watches the app from inside the host for as long as the block lasts."""

    def __init__(self, host):
        self.host = host
        self.changes = []

    def __enter__(self):
        self._process = self.host.spawn("/usr/bin/python3", "-u", "-c", PROBER.read_text(), str(PORT))
        return self

    def __exit__(self, *_):
        self._process.signal(15)
        out, _ = self._process.popen.communicate(timeout=120)
        self.changes += [json.loads(line) for line in out.splitlines()]

    def between(self, begin, end):
        """Seconds without service between two times of CLOCK_MONOTONIC: all outages that began in between, whole."""
        lost, down_since = 0.0, None
        for change in self.changes:
            if change["up"]:
                if down_since is not None:
                    lost += change["t"] - down_since
                down_since = None
            elif down_since is None and begin <= change["t"] <= end:
                down_since = change["t"]
        return lost


def make_layers(cache, install_tree):
    """The layers of a Shop's host: the program as installed, and an initialised database."""
    cache = pathlib.Path(cache)
    cache.mkdir(parents=True, exist_ok=True)
    return [install_tree, servers.make_database_layer(cache / "database")]


def check_program(install_tree):
    """The version of an installed program, so that a broken build says so before any host boots."""
    program = next(pathlib.Path(install_tree).glob("usr/*/bin/releasemgr"), None) or (
        pathlib.Path(install_tree) / "usr/bin/releasemgr")
    return subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.strip()
