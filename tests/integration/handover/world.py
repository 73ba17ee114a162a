"""An app under load on a throwaway host: its releases, its units as `init` writes them for each strategy, and clients that
never let go of it."""

import contextlib
import json
import os
import pathlib
import subprocess
import time

HERE = pathlib.Path(__file__).parent
REPOSITORY = "/srv/repository"
KEYS = "/srv/keys"
HTTP = ["127.0.0.1:8000", "[::1]:8000", "/run/echo-http.sock"]
RAW = ["127.0.0.1:8001", "/run/echo-raw.sock"]

# Beside what init writes: more addresses, a second socket for the raw echo, and what healthy means.
SOCKET = "[Socket]\nFileDescriptorName=http\n" + "".join(f"ListenStream={address}\n" for address in HTTP[1:])
ECHO_SOCKET = "[Socket]\nFileDescriptorName=echo\nService=echo.service\n" + "".join(
    f"ListenStream={address}\n" for address in RAW)
SERVICE = "[Service]\nSockets=echo-echo.socket\n"
# An app that knows no socket but its own.
BIND = " ".join([f"http={address}" for address in HTTP] + [f"echo={address}" for address in RAW])
OWN = f'[Service]\nEnvironment="BIND={BIND}"\n'
CONFIG = "[Health]\nExpectJson=status=healthy\nExpectVersion=version\nTimeout=10s\nDeadline=60s\n"
STRATEGIES = {
    "handover": ["--exec", "/opt/echo/releases/%I/bin/serve", "--health", "http://localhost/health", "--health-socket",
                 "/run/echo/%v.sock"],
    "restart": ["--exec", "/opt/echo/current/bin/serve", "--type", "notify", "--health", f"http://{HTTP[0]}/health"],
}


class Load:
    """Clients under way; see load.py. What they saw is there once the block has ended."""

    def __init__(self, process):
        self._process = process
        self._began = time.monotonic()
        self.seen = None

    def expect(self, version=""):
        """Nobody but @version may answer what is asked from now on; without one, anybody."""
        self._process.stdin.write(f"expect {version}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "ok\n"

    def end(self):
        self.seconds = time.monotonic() - self._began
        done = self._process.communicate()
        assert done.returncode == 0, done.stderr
        self.seen = json.loads(done.stdout)

    @property
    def failed(self):
        return sum(self.seen["failures"].values())

    @property
    def slowest_ms(self):
        return {kind: round(1000 * s) for kind, s in self.seen["slowest"].items()}

    def __str__(self):
        return (f"{self.seconds:.1f} s, {sum(self.seen['requests'].values())} requests, {self.failed} failed, slowest " +
                ", ".join(f"{kind} {ms} ms" for kind, ms in self.slowest_ms.items()))


class Echo:
    """The app "echo" on @host."""

    def __init__(self, host):
        self.host = host

    def releasemgr(self, *arguments, check=True, **options):
        return self.host.run("releasemgr", *arguments, check=check, **options)

    def publish(self, version, behaviour="good", **more):
        tree = f"/run/trees/{version}"
        program = "#!/bin/false\n" if behaviour == "exits-at-once" else (HERE / "serve").read_text()
        self.host.write(f"{tree}/bin/serve", program, 0o755)
        self.host.write(f"{tree}/release.json", json.dumps({"version": version, "behaviour": behaviour, **more}))
        self.releasemgr("repo", "publish", tree, "--version", version, "--app", "echo", "--repo", REPOSITORY,
                        "--keys", KEYS)

    def set_up(self, strategy="handover", listen=HTTP[0], service=None):
        """@listen: the address that systemd holds; None: the app binds its own, as @service, a drop-in, says."""
        self.releasemgr("repo", "init", "--repo", REPOSITORY, "--keys", KEYS)
        unit = "echo@.service" if strategy == "handover" else "echo.service"
        self.host.write(f"/etc/systemd/system/{unit}.d/test.conf", service or (SERVICE if listen else OWN))
        if listen:
            self.host.write("/etc/systemd/system/echo-echo.socket", ECHO_SOCKET)
            self.host.write("/etc/systemd/system/echo.socket.d/test.conf", SOCKET)
        self.configure(CONFIG)
        self.releasemgr("init", "echo", "--url", f"file://{REPOSITORY}", "--trust",
                        f"{REPOSITORY}/metadata/1.root.json", "--strategy", strategy,
                        *(["--listen", listen] if listen else []), *STRATEGIES[strategy])
        if listen:
            self.host.run("systemctl", "start", "echo.socket", "echo-echo.socket")
        return self

    def configure(self, text, name="50-test.conf"):
        self.host.write(f"/etc/releasemgr/echo.conf.d/{name}", text)

    def current(self):
        return os.readlink(self.host.path("/opt/echo/current")).removeprefix("releases/")

    def instances(self):
        """The versions of the instances that run."""
        units = self.host.run("systemctl", "list-units", "--plain", "--no-legend", "--state=active,activating,deactivating",
                              "echo@*").stdout.splitlines()
        names = [line.split()[0] for line in units]
        if not names:
            return []
        versions = self.host.run("systemd-escape", "--unescape", "--instance", *names).stdout
        return sorted(versions.split())

    def answer(self):
        done = self.host.run("curl", "-s", "--max-time", "60", f"http://{HTTP[0]}/", check=False)
        return json.loads(done.stdout)["version"] if done.returncode == 0 else None

    @contextlib.contextmanager
    def clients(self, n=16, web=HTTP, raw=RAW):
        """@n keep-alive clients, @n with a connection for each request, and some of the raw echo."""
        self.host.write("/srv/load.py", (HERE / "load.py").read_text())
        process = self.host.spawn("/usr/bin/python3", "-B", "/srv/load.py", n, *web, "--", *raw, stdin=subprocess.PIPE)
        assert process.stdout.readline() == "ready\n"
        load = Load(process)
        try:
            yield load
        finally:
            load.end()
