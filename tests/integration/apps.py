"""Many small apps on one throwaway host, each with a repository and a unit of its own, whose releases do whatever a test
wants them to do: their program runs the Python that their release.json holds."""

import concurrent.futures
import json
import os

# `first` runs at the beginning, `start` in a thread once it listens, `answer` before each answer, with `n` its number, and
# `status` and `answer` to be changed. At SIGHUP it reads the release that current names by then.
SERVE = """\
#!/usr/bin/python3
import http.server, json, os, signal, socket, sys, threading, time

count = 0
release = {}


def after(n):
    while count < n:
        time.sleep(0.02)


def load(*_):
    with open(os.path.dirname(__file__) + "/../release.json") as f:
        release.update({"first": "", "start": "", "answer": ""}, **json.load(f))


def tell(state):
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.connect("\\0" + address[1:] if address[0] == "@" else address)
            s.send(state.encode())


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global count
        count += 1
        scope = dict(globals(), n=count, status=200, self=self, answer={"version": release["version"]})
        exec(release["answer"], scope)
        body = json.dumps(scope["answer"]).encode()
        self.send_response(scope["status"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


load()
exec(release["first"])
signal.signal(signal.SIGHUP, load)
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
server.daemon_threads = True
threading.Thread(target=lambda: exec(release["start"], globals()), daemon=True).start()
tell("READY=1")
server.serve_forever()
"""
CONFIG = """\
[Service]
DrainTimeout=1s
[Health]
ExpectVersion=version
Interval=50ms
IntervalMax=200ms
Timeout=10s
Deadline=60s
RevertDeadline=60s
"""


class App:
    """An app @name, whose 1.0.0 is good and whose 2.0.0 does as the test says."""

    def __init__(self, host, name, port, config="", unit="", strategy="restart", old=None, **new):
        """@config: for 2.0.0. @unit: settings of the service. @old, @new: what 1.0.0 and 2.0.0 do."""
        self.host, self.name, self.port = host, name, port
        self.config, self.unit, self.strategy = config, unit, strategy
        self.releases = {"1.0.0": old or {}, "2.0.0": new}
        self.done = None

    def releasemgr(self, *arguments, check=True, **options):
        return self.host.run("releasemgr", f"--app={self.name}", *arguments, check=check, **options)

    def publish(self, version, **more):
        tree, repository = f"/run/trees/{self.name}/{version}", f"/srv/{self.name}"
        self.host.write(f"{tree}/bin/serve", SERVE, 0o755)
        self.host.write(f"{tree}/release.json", json.dumps({"version": version, **more}))
        self.host.run("releasemgr", "repo", "publish", tree, "--version", version, "--app", self.name, "--repo", repository,
                      "--keys", f"{repository}.keys")

    def configure(self, text):
        self.host.write(f"/etc/releasemgr/{self.name}.conf.d/test.conf", text)

    def configure_new(self):
        self.configure(CONFIG + self.config)

    def set_up(self):
        self.host.run("releasemgr", "repo", "init", "--repo", f"/srv/{self.name}", "--keys", f"/srv/{self.name}.keys")
        for version, about in self.releases.items():
            self.publish(version, **about)
        self.host.write(f"/etc/systemd/system/{self.name}.service.d/test.conf",
                        f"[Service]\nEnvironment=PORT={self.port}\n{self.unit}")
        self.configure(CONFIG)
        self.host.run("releasemgr", "init", self.name, "--url", f"file:///srv/{self.name}", "--trust",
                      f"/srv/{self.name}/metadata/1.root.json", "--type", "notify", "--strategy",
                      self.strategy, "--exec",
                      f"/opt/{self.name}/current/bin/serve", "--health", f"http://127.0.0.1:{self.port}/health")
        self.releasemgr("activate", "1.0.0")
        return self

    def go(self):
        """Activates 2.0.0, and waits for what comes of it."""
        self.configure_new()
        self.done = self.releasemgr("activate", "--foreground", "2.0.0", check=False)
        return self

    def current(self):
        return os.readlink(self.host.path(f"/opt/{self.name}/current")).removeprefix("releases/")

    def answer(self):
        done = self.host.run("curl", "-s", "--max-time", "60", f"http://127.0.0.1:{self.port}/", check=False)
        return json.loads(done.stdout)["version"] if done.returncode == 0 else None

    def history(self):
        return [json.loads(line) for line in self.releasemgr("history", "--json").stdout.splitlines()]

    @property
    def text(self):
        return self.done.stdout + self.done.stderr


def all_at_once(apps, action, workers=8):
    """Calls @action for each app, in threads."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(action, apps))
