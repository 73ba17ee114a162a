"""A throwaway host with one app, three releases and a state to come back to: what the crash tests strike.

1.0.0 runs; 2.0.0 is published, and well, and what the channel points at; 3.0.0 is published, and is not; 4.0.0 is well, and has
a patch from 3.0.0 alone. The app is a small C program (app.c), the
repository a directory: a point of a crash test shall take a fraction of a second.
"""

import json
import os
import pathlib
import shutil
import subprocess

import faults
import servers
from host import Host

HERE = pathlib.Path(__file__).parent
RELEASES = {"1.0.0": "healthy", "2.0.0": "healthy", "3.0.0": "ill", "4.0.0": "healthy"}
REPOSITORY, KEYS = "/srv/repository", "/srv/keys"
CONFIG = """\
[Health]
ExpectJson=status=healthy
ExpectVersion=version
Deadline=20s
RevertDeadline=20s
Interval=20ms
"""
# What leads to where a command starts (None: no release was ever active), the command, and what may be current in the end.
COMMANDS = {
    "first activate": (None, ["activate", "2.0.0"], (None, "2.0.0")),
    "activate": ([], ["activate", "2.0.0"], ("1.0.0", "2.0.0")),
    "activate by two patches": ([], ["activate", "4.0.0"], ("1.0.0", "4.0.0")),
    "activate what is ill": ([], ["activate", "3.0.0"], ("1.0.0",)),
    "rollback": ([["activate", "2.0.0"]], ["rollback"], ("1.0.0", "2.0.0")),
    "rollback --verify": ([["activate", "2.0.0"]], ["rollback", "--verify"], ("1.0.0", "2.0.0")),
    "pull": ([], ["pull"], ("1.0.0", "2.0.0")),
    "prune": ([["activate", "3.0.0"]], ["prune"], ("1.0.0",)),
    "hold": ([], ["hold"], ("1.0.0",)),
    "unhold": ([["hold"]], ["unhold"], ("1.0.0",)),
    "quarantine lift": ([["activate", "3.0.0"]], ["quarantine", "lift", "3.0.0"], ("1.0.0",)),
}
# Those that need no unit of their own to work in.
IN_THE_CLIENT = ["prune", "hold", "unhold", "quarantine lift"]
# What a deployment may change on the host, and where it is kept as it was.
STATE = ["/opt/app", "/var/lib/releasemgr/app"]
KEPT, BARE = "/srv/kept", "bare"
ADDRESS = "127.0.0.1:8000"


class Wrong(AssertionError):
    """The host is between, or does not tell the truth."""


def make_layer(directory):
    """A layer with the shim, loaded into everything that systemd starts, and the releases' trees."""
    layer = pathlib.Path(directory) / "layer"
    (layer / "usr/local/lib").mkdir(parents=True)
    faults.build_shim(layer / "usr/local/lib")
    drop = layer / "etc/systemd/system.conf.d"
    drop.mkdir(parents=True)
    (drop / "fault.conf").write_text("[Manager]\nDefaultEnvironment=LD_PRELOAD=/usr/local/lib/fault.so\n")
    for version, status in RELEASES.items():
        program = layer / "srv/trees" / version / "bin"
        program.mkdir(parents=True)
        (program / "version").write_text(version + "\n")
        (program / "status").write_text(status + "\n")
        first = layer / "srv/trees/1.0.0/bin/app"
        if version == "1.0.0":
            subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-static", "-s", "-o", first, HERE / "app.c"],
                           check=True)
        else:
            shutil.copy(first, program / "app")
    return layer


class World:
    INIT = ["--health", f"http://{ADDRESS}/", "--exec", "/opt/app/current/bin/app", "--type", "notify"]
    SERVICES = "app.service"
    URL = f"file://{REPOSITORY}"

    def __init__(self, host):
        self.host = host
        self.plan = faults.Plan(host.path("/run/fault"))

    # Making it

    def make(self):
        run = self.host.run
        run("cp", "-a", "/srv/trees", "/srv/built")  # off the overlay, where a file seems to be on another device
        run("releasemgr", "repo", "init", "--repo", REPOSITORY, "--keys", KEYS)
        for version in RELEASES:
            run("releasemgr", "repo", "publish", f"/srv/built/{version}", "--version", version, "--app", "app",
                "--repo", REPOSITORY, "--keys", KEYS, *(["--patches=1"] if version == "4.0.0" else []))
        run("releasemgr", "repo", "promote", "2.0.0", "--channel", "stable", "--app", "app", "--repo", REPOSITORY,
            "--keys", KEYS)
        self.host.write("/etc/releasemgr/app.conf.d/crash.conf", CONFIG)
        run("releasemgr", "init", "app", "--url", self.URL, "--trust", f"{REPOSITORY}/metadata/1.root.json", *self.INIT)
        self.keep(BARE)
        run("releasemgr", "activate", "1.0.0")
        self.keep()
        return self

    def survive_boot(self):
        """What an operator does so that the app comes up with the host."""
        self.host.run("systemctl", "enable", "--quiet", "releasemgr-recover.service", "app.service")

    def keep(self, name="base"):
        """Remembers the state of the app, to come back to it."""
        self.host.shell(f"rm -rf {KEPT}/{name}; mkdir -p {KEPT}/{name}; "
                        f"cp -a --parents {' '.join(STATE)} {KEPT}/{name}")

    def under_way(self):
        """The units of deployments that systemd is not done with: what runs after the work counts too."""
        return self.host.run("systemctl", "list-units", "--plain", "--no-legend", "--state=active,activating,deactivating",
                             "releasemgr-app-*.service").stdout

    def settle(self):
        """Waits for the deployments' units: a client may be gone before its unit is, or before it even began."""
        self.host.until(lambda: not self.under_way(), timeout=180, what="the end of the deployments' units")

    def come_back(self, name="base"):
        self.plan.clear()
        self.settle()
        self.host.shell(f"systemctl stop {self.SERVICES}; rm -rf {' '.join(STATE)}; cp -a {KEPT}/{name}/. /; "
                        f"systemctl reset-failed {self.SERVICES} || true; "
                        "[ ! -L /opt/app/current ] || systemctl start app.service || "
                        "{ journalctl --boot --lines=60 --unit='app*' >&2; exit 1; }")

    def start_of(self, name):
        """The state that a command of COMMANDS starts from, for come_back(); made at the first call."""
        before = COMMANDS[name][0]
        if not before:
            return BARE if before is None else "base"
        key = name.replace(" ", "-")
        if not self.path(f"{KEPT}/{key}").exists():
            self.come_back()
            for command in before:
                self.releasemgr(*command)
            self.keep(key)
        return key

    # Working in it

    def releasemgr(self, *arguments, fault=None, check=False, timeout=180):
        """Runs the program, in this process and whatever unit it starts with a fault where one is given."""
        if fault:
            self.plan.set(fault)
        done = self.host.run("releasemgr", *arguments, check=False, timeout=timeout,
                             env={"LD_PRELOAD": "/usr/local/lib/fault.so"} if fault else None)
        if fault:
            self.plan.clear()
        if check and done.returncode != 0:
            raise Wrong(f"{done.args} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    # Looking at it

    def path(self, inside):
        return self.host.path(inside)

    def current(self):
        link = self.path("/opt/app/current")
        return os.path.basename(os.readlink(link)) if link.is_symlink() else None

    def answering(self):
        """The version that answers, as a client sees it. While no release is active, a socket keeps him waiting."""
        patience = "10" if self.current() else "0.2"
        done = self.host.run("curl", "-s", "--max-time", patience, f"http://{ADDRESS}/", check=False)
        return json.loads(done.stdout)["version"] if done.returncode == 0 else None

    def main_unit(self):
        """The unit that runs the release, or None."""
        return "app.service"

    def running(self):
        """The version whose program the service's main process is."""
        unit = self.main_unit()
        if not unit:
            return None
        pid = self.host.unit(unit, "MainPID")["MainPID"]
        done = self.host.run("readlink", f"/proc/{pid}/exe", check=False)
        parts = done.stdout.strip().split("/")
        return parts[4] if parts[1:4] == ["opt", "app", "releases"] else None

    def history(self):
        path = self.path("/var/lib/releasemgr/app/history.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def releases(self):
        return sorted(os.listdir(self.path("/opt/app/releases")))

    def left_over(self):
        """What nobody will ever look at again."""
        # A partial download is kept on purpose: the next fetch goes on with it.
        found = [name for name in self.releases() if name.startswith(".") and not name.startswith(".partial-")]
        for directory in ("/var/lib/releasemgr/app", "/var/lib/releasemgr/app/trust", "/opt/app"):
            path = self.path(directory)
            # The ledger's goes with its next change, under a lock of its own.
            found += [f"{directory}/{name}" for name in os.listdir(path)
                      if name.startswith(".#") and not name.startswith(".#ledger.json.")]
        return found

    def journal_is_closed(self):
        path = self.path("/var/lib/releasemgr/app/journal")
        return not path.exists() or '"type":"end"' in path.read_text().splitlines()[-1].replace(" ", "")

    def check(self, allowed=("1.0.0", "2.0.0"), running=True):
        """Old or new, never between; nothing left over; nobody holds the lock; and the history says what is."""
        current = self.current()
        if current not in allowed:
            raise Wrong(f"current names {current}")
        if current and current not in self.releases():
            raise Wrong(f"current names {current}, which is not there: {self.releases()}")
        if running:
            seen = self.running(), self.answering()
            if seen != (current, current):
                raise Wrong(f"current names {current}, but {seen} runs and answers")
        if self.left_over():
            raise Wrong(f"left over: {self.left_over()}")
        if not self.journal_is_closed():
            raise Wrong("the journal is still open")
        last = next((e for e in reversed(self.history()) if e["verdict"] != "stuck"), None)
        if last:
            says = last["version"] if last["verdict"] == "succeeded" else last.get("from")
            if says != current:
                raise Wrong(f"current names {current}, the history ends with {last}")


class HandoverWorld(World):
    """The app's releases take over from each other on one socket."""

    INIT = ["--strategy", "handover", "--listen", ADDRESS, "--exec", "/opt/app/releases/%I/bin/app", "--health",
            "http://localhost/", "--health-socket", "/run/app/%v.sock"]
    SERVICES = "'app@*.service' app.service"

    def make(self):
        super().make()
        self.host.run("systemctl", "start", "app.socket")
        return self

    def survive_boot(self):
        super().survive_boot()
        self.host.run("systemctl", "enable", "--quiet", "app.socket")

    def main_unit(self):
        """The one instance: a second one is one too many, however well it is."""
        units = self.host.run("systemctl", "list-units", "--plain", "--no-legend",
                              "--state=active,reloading,activating,deactivating,failed", "app@*.service").stdout
        names = [line.split()[0] for line in units.splitlines()]
        if len(names) > 1:
            raise Wrong(f"{names} run at once")
        return names[0] if names else None


class ClosedWorld(HandoverWorld):
    """Somebody closed the socket, whose address what runs holds still; and it takes its time to stop."""

    def make(self):
        self.host.write("/etc/systemd/system/app@.service.d/slow.conf", "[Service]\nExecStop=/bin/sleep 0.1\n")
        self.host.write("/etc/systemd/system/app.socket.d/often.conf", "[Unit]\nStartLimitIntervalSec=0\n")
        return super().make()

    def come_back(self, name="base"):
        super().come_back(name)
        if name != "base":  # from there the way leads to the others
            self.host.run("systemctl", "stop", "app.socket")


# One row twice, or none, would show that a statement ran twice, or was passed over.
ROWS = {
    "1.0.0": {"0001_create.sql": "CREATE TABLE product (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL) ENGINE=InnoDB;\n"},
    "2.0.0": {"0002_price.sql": "ALTER TABLE product ADD COLUMN price INT NULL;\n"
                                "INSERT INTO product (id, name, price) VALUES (1, 'one', 7);\n"
                                "UPDATE product SET price = price * 2;\n"
                                "CREATE TABLE visit (id INT PRIMARY KEY) ENGINE=InnoDB;\n"},
}
DATABASE_CONFIG = f"""\
[Database]
Name=shop
Socket={servers.SOCKET}
User=shop
PasswordFile=/etc/releasemgr/app.password
"""


class ServedWorld(World):
    """The app has a database, and its repository is behind a web server."""

    URL = "http://127.0.0.1:8080/"
    MIGRATIONS = ROWS

    def start_servers(self):
        self.database = servers.Database(self.host).start()
        servers.WebServer(self.host, REPOSITORY).start()

    def make(self):
        self.start_servers()
        self.kept_rows = {}
        self.host.write("/etc/releasemgr/app.password", servers.PASSWORD + "\n", 0o600)
        self.host.write("/etc/releasemgr/app.conf.d/database.conf", DATABASE_CONFIG)
        files = {}
        for version in RELEASES:
            files.update(self.MIGRATIONS.get(version, {}))
            for name, text in files.items():
                self.host.write(f"/srv/trees/{version}/migrations/{name}", text)
        return super().make()

    def keep(self, name="base"):
        super().keep(name)
        self.kept_rows[name] = self.database.dump()

    def come_back(self, name="base"):
        super().come_back(name)
        self.database.query("DROP DATABASE shop; CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop;\n" +
                            self.kept_rows[name])

    def check(self, allowed=("1.0.0", "2.0.0"), running=True):
        super().check(allowed, running)
        if self.current() == "2.0.0":
            self.check_rows()

    def check_rows(self):
        rows = self.database.query("SELECT id, name, price FROM product"), self.database.query("SELECT * FROM visit")
        applied = self.database.query("SELECT path, state FROM releasemgr_migration ORDER BY path")
        if rows != ([["1", "one", "14"]], []) or [state for _, state in applied] != ["applied"] * 2:
            raise Wrong(f"2.0.0 is active, and in the database are {rows} and {applied}")


def open_world(layers, directory, kind=World, disks=()):
    """A host with a @kind of World in it; @disks of its own, see Host.add_disk(). Close it with world.host.close()."""
    host = Host([make_layer(directory), *layers])
    try:
        for disk in disks:
            host.add_disk(disk, "32M")
        host.start()
        return kind(host).make()
    except BaseException:
        host.close()
        raise
