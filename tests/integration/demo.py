"""The demo: the main job, told on the terminal, on a throwaway host with a real database and a real HTTP server."""

import argparse
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import build  # noqa: E402
import releases  # noqa: E402
from host import PATH, Host  # noqa: E402
from shop import KEYS, REPOSITORY, Shop, make_layers  # noqa: E402

STORY = {
    "1.0.0": {"schema": releases.FIRST},
    "1.1.0": {"schema": releases.PRICED},
    "1.2.0": {"schema": releases.PRICED, "behaviour": "unhealthy"},
    "1.3.0": {"schema": releases.PRICED, "behaviour": "exits"},
}


class Teller:
    """Writes the story. Colour where it is wanted: on a terminal, or by --colour."""

    def __init__(self, colour):
        self.colour = colour
        self.started = time.monotonic()

    def paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def chapter(self, text):
        clock = f"[{time.monotonic() - self.started:5.1f}s]"
        print(f"\n{self.paint('2', clock)} {self.paint('1;34', text)}", flush=True)

    def command(self, text):
        print(f"{self.paint('1;32', '#')} {self.paint('1', text)}", flush=True)

    def note(self, text):
        print(self.paint("36", f"  {text}"), flush=True)

    def ended(self, seconds, code):
        verdict = self.paint("32", "exit 0") if code == 0 else self.paint("33", f"exit {code}")
        print(f"{self.paint('2', f'  {seconds:.2f} s,')} {verdict}", flush=True)

    def table(self, head, rows):
        widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
        def line(row):
            return "  ".join(str(cell).ljust(w) if i < 3 else str(cell).rjust(w)
                             for i, (cell, w) in enumerate(zip(row, widths))).rstrip()
        print(self.paint("1", line(head)))
        for row in rows:
            colour = {"succeeded": "32", "taken-back": "33"}.get(row[2], "31")
            print(self.paint(colour, line(row)))


class Demo:
    def __init__(self, shop, teller):
        self.shop, self.host, self.tell = shop, shop.host, teller
        self.spans = []  # (begin, end) on CLOCK_MONOTONIC of each deployment, in order

    def type(self, *command, expect=0):
        """Types a command in the host, with its output as it comes."""
        self.tell.command(" ".join(command))
        begin = time.monotonic()
        environment = {"TERM": os.environ.get("TERM", "dumb")}
        if not self.tell.colour:
            environment["NO_COLOR"] = "1"
        words = ["nsenter", "-t", str(self.host.leader), "-a", "env", "-i", f"PATH={PATH}", "HOME=/root",
                 "LANG=C.UTF-8", *(f"{k}={v}" for k, v in environment.items()), *command]
        code = subprocess.run(words, stdin=subprocess.DEVNULL).returncode
        end = time.monotonic()
        self.tell.ended(end - begin, code)
        if code != expect:
            raise SystemExit(f"the story breaks here: exit {code} where {expect} was expected")
        return begin, end

    def releasemgr(self, *arguments, expect=0):
        colour = ["--colour=always"] if self.tell.colour else []
        return self.type("releasemgr", *colour, *arguments, expect=expect)

    def deploy(self, *arguments, expect=0):
        self.spans.append(self.releasemgr(*arguments, expect=expect))
        page = self.shop.front_page()
        self.tell.note(f"a client sees: {page}" if page else "a client sees nothing")

    def publish(self):
        self.tell.chapter("The publisher makes a repository, and signs four releases")
        self.releasemgr("repo", "init", "--repo", REPOSITORY, "--keys", KEYS)
        for version, options in STORY.items():
            tree = self.shop.make_release(version, **options)
            self.releasemgr("repo", "publish", tree, "--version", version, "--app", "shop", "--repo", REPOSITORY,
                            "--keys", KEYS)

    def set_up(self):
        self.tell.chapter("The operator sets up the host, once")
        self.shop.set_up(self.releasemgr)

    def deployments(self):
        self.tell.chapter("A first release")
        self.deploy("activate", "1.0.0")
        with self.shop.probe() as outages:
            self.tell.chapter("A new one, which migrates the database")
            self.deploy("activate", "1.1.0")
            self.tell.chapter("One that starts, but is not well: it takes itself back")
            self.shop.configure("[Health]\nDeadline=5s\n")
            self.deploy("activate", "1.2.0", expect=3)
            self.shop.configure(None)
            self.tell.chapter("One that dies at once: the same")
            self.deploy("activate", "1.3.0", expect=3)
            self.tell.chapter("The operator changes his mind")
            self.deploy("rollback")
            self.pull()
        return outages

    def pull(self):
        self.tell.chapter("The publisher points the channel at 1.1.0, and the timer brings it")
        self.releasemgr("repo", "promote", "1.1.0", "--channel", "stable", "--app", "shop", "--repo", REPOSITORY,
                        "--keys", KEYS)
        self.releasemgr("unhold")
        self.host.write("/etc/systemd/system/releasemgr-pull@shop.timer.d/soon.conf",
                        "[Timer]\nOnActiveSec=1s\nRandomizedDelaySec=0\nAccuracySec=1ms\n")
        self.host.run("systemctl", "daemon-reload")
        before = len(self.shop.history())
        begin = time.monotonic()
        self.type("systemctl", "enable", "--now", "releasemgr-pull@shop.timer")
        self.host.until(lambda: len(self.shop.history()) > before, what="the timer's deployment")
        self.spans.append((begin, time.monotonic()))
        self.type("journalctl", "--no-pager", "--output=cat", "--unit=releasemgr-pull@shop.service")
        self.tell.note(f"a client sees: {self.shop.front_page()}")

    def look(self):
        self.tell.chapter("What the host says of itself")
        for verb in ("status", "list", "history"):
            self.releasemgr(verb)

    def summary(self, outages):
        self.tell.chapter("How long it took")
        rows = []
        for entry, (begin, end) in zip(reversed(self.shop.history()), self.spans):
            back = entry.get("revert", 0)
            rows.append([entry["verb"], entry["version"], entry["verdict"], f"{entry['took'] / 1e6:.2f} s",
                         f"{back / 1e6:.2f} s" if back else "-",
                         f"{outages.between(begin, end):.3f} s" if len(rows) else "-"])
        self.tell.table(["deployment", "release", "verdict", "took", "of it revert", "clients waited"], rows)
        self.tell.note("clients waited: measured from inside the host by a client that asks every 2 ms")

    def run(self):
        self.publish()
        self.set_up()
        outages = self.deployments()
        self.look()
        self.summary(outages)


def main():
    parser = argparse.ArgumentParser(prog="tests/demo", description="Shows the main job of releasemgr.")
    parser.add_argument("--colour", choices=["auto", "always", "never"], default="auto")
    parser.add_argument("--build-dir", type=pathlib.Path, help="where to build; build-tests in the tree otherwise")
    options = parser.parse_args()
    colour = options.colour == "always" or (options.colour == "auto" and sys.stdout.isatty())
    tell = Teller(colour)
    tell.chapter("Building releasemgr")
    builds = build.Builds(options.build_dir)
    tree = builds.install("gcc")
    tell.chapter("Booting a throwaway host, with systemd as its PID 1")
    with Host(make_layers(builds.directory / "cache", tree)) as host:
        tell.note(f"up after {host.boot_seconds:.2f} s")
        tell.chapter("Starting a private MariaDB and a web server in it")
        Demo(Shop(host).start_servers(), tell).run()


if __name__ == "__main__":
    try:
        main()
    except build.BuildFailed as e:
        sys.exit(f"the build failed: {e}")
