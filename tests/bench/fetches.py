"""How fast, how small and how thrifty a release comes to the host, beside what people do without releasemgr.

Everything stands on one throwaway host: nginx on loopback, an ext4 in memory to unpack to, so that the disk of the
machine says nothing (one that is slow would make all of them alike, and the undurable pipe the fastest). Every round
does each way once, from a bundle that nobody has here. "late" goes through a proxy that makes the first question of each
connection 40 ms longer, "far" through one that does so with every question.

    releasemgr   `activate`, from the start of the program until its release is sealed: fetched, verified, unpacked, durable
    careful      curl -O && sha256sum -c && tar xf && sync -f
    pipe         curl | zstd -d | tar x: neither verified nor durable
    casync       casync extract --seed OLD && sync -f
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / place) for place in (".", "integration")]

import build  # noqa: E402
import trees  # noqa: E402
from figures import Report, show_samples, timed  # noqa: E402
from host import Host  # noqa: E402
from servers import WebServer  # noqa: E402

REPOSITORY = "/srv/repository"
KEYS = "/srv/keys"
SLOW = pathlib.Path(__file__).parent / "slow.py"
DELAY_MS = 40
PORTS = {"near": 8080, "late": 8081, "far": 8082}
DELAYED = {"late": "connection", "far": "question"}
MEMORY_AT_MOST = 24
CAREFUL_AT_MOST = 0.7
PIPE_AT_MOST = 1.0
BASE = "0.1.0"


class World:
    """A host with a repository of both kinds of releases, and an app that fetches each of them."""

    def __init__(self, host):
        self.host = host
        self.web = WebServer(host, REPOSITORY)
        self.bundles = {}
        self.work = "/opt/work"

    def releasemgr(self, *arguments, **options):
        return self.host.run("releasemgr", *arguments, timeout=1800, **options)

    def prepare(self):
        self.web.start()
        self.host.write("/srv/slow.py", SLOW.read_text())
        for way, what in DELAYED.items():
            self.host.service(way, "/usr/bin/python3", "/srv/slow.py", PORTS[way], PORTS["near"], DELAY_MS, what)
        self.releasemgr("repo", "init", "--repo", REPOSITORY, "--keys", KEYS)
        for kind in trees.KINDS:
            self.publish(kind)
            self.releasemgr("init", kind, "--url", self.url("near"), "--trust", f"{REPOSITORY}/metadata/1.root.json",
                            "--exec", "/bin/sleep infinity")
            self.releasemgr("--app", kind, "activate", BASE)
        return self

    def publish(self, kind):
        place = self.host.path("/srv/trees")
        made = trees.make(kind, place)
        (place / BASE).mkdir(exist_ok=True)
        (place / BASE / "first").write_text("a release to begin with\n")
        for version, patches in ((BASE, 0), ("1.0.0", 0), ("1.1.0", 1)):
            tree = f"/srv/trees/{made[version].name}" if version in made else f"/srv/trees/{BASE}"
            self.releasemgr("repo", "publish", tree, "--version", version, "--app", kind, "--patches", patches,
                            "--repo", REPOSITORY, "--keys", KEYS)
            self.bundles[kind, version] = self.find(kind, version)
            self.releasemgr("repo", "refresh", "--repo", REPOSITORY, "--keys", KEYS)
        self.host.shell(f"mkdir -p {REPOSITORY}/casync && cd {REPOSITORY} && for v in 1.0.0 1.1.0; do "
                        f"casync make --store=casync/{kind}.castr casync/{kind}-$v.caidx /srv/trees/{kind}-$v; done",
                        timeout=1800)

    def find(self, kind, version):
        """Where the bundle is below the repository; and its sum, as people publish it, in a file beside it."""
        path, = (p for p in self.host.path(f"{REPOSITORY}/targets/{kind}/{version}").glob("*.tar.zst"))
        inside = str(path).split("/root", 1)[1]
        self.host.shell(f"cd {os.path.dirname(inside)} && sha256sum {path.name} >{path.name}.sum")
        return inside.removeprefix(REPOSITORY + "/")

    def url(self, way):
        return f"http://127.0.0.1:{PORTS[way]}/"

    def sent(self):
        """The bytes that nginx sent since the last call."""
        log = self.host.path("/run/web/access.log")
        total = sum(int(line.split('"')[2].split()[1]) for line in log.read_text().splitlines())
        log.write_text("")
        return total

    def use(self, kind, way):
        self.host.write(f"/etc/releasemgr/{kind}.conf.d/way.conf", f"[Repository]\nUrl={self.url(way)}\n")

    # The ways to have a release

    def activate(self, kind, version):
        """Seconds until the release is sealed, and the peak of the memory in MB."""
        command = ["/usr/bin/time", "--format=%M", "--output=/run/peak", "releasemgr", "--json", f"--app={kind}",
                   "activate", "--foreground", version]
        sealed = []

        def run():
            process = self.host.spawn(*command, stderr=subprocess.STDOUT)
            for line in process.popen.stdout:
                event = json.loads(line)
                if event["event"] == "done" and event["stage"] == "fetch":
                    return process
            raise SystemExit(f"{' '.join(command)}: {event}")

        def until_sealed():
            sealed.append(run())

        seconds = timed(until_sealed)
        sealed[0].communicate()
        return seconds, int(self.host.read("/run/peak")) / 1024

    def forget(self, kind, *versions):
        """Back to the base, with these versions gone from the host, and nothing left to be written."""
        if os.readlink(self.host.path(f"/opt/{kind}/current")) != f"releases/{BASE}":
            self.releasemgr(f"--app={kind}", "activate", BASE)
        for version in versions:
            shutil.rmtree(self.host.path(f"/opt/{kind}/releases/{version}"), ignore_errors=True)
        self.host.shell(f"rm -rf {self.work}; mkdir -p {self.work}/tree; sync -f /opt")
        self.sent()

    def careful(self, kind, version, way):
        url = self.url(way) + self.bundles[kind, version]
        name = url.rsplit("/", 1)[1]
        return timed(lambda: self.host.shell(
            f"cd {self.work} && curl -sO {url} -O {url}.sum && sha256sum -c --quiet {name}.sum && "
            f"tar xf {name} -C tree && sync -f tree"))

    def pipe(self, kind, version, way):
        url = self.url(way) + self.bundles[kind, version]
        return timed(lambda: self.host.shell(f"curl -s {url} | zstd -dc | tar x -C {self.work}/tree"))

    def casync(self, kind, way):
        url = f"{self.url(way)}casync/{kind}-1.1.0.caidx"
        return timed(lambda: self.host.shell(
            f"casync extract --store={self.url(way)}casync/{kind}.castr --seed=/srv/trees/{kind}-1.0.0 "
            f"{url} {self.work}/tree && sync -f {self.work}", timeout=600))


def measure_full(world, kind, way, rounds):
    """Seconds of each way to the whole bundle, and the highest peak."""
    samples, peaks = {"releasemgr": [], "careful": [], "pipe": []}, []
    world.use(kind, way)
    for _ in range(rounds):
        world.forget(kind, "1.0.0")
        seconds, peak = world.activate(kind, "1.0.0")
        samples["releasemgr"].append(seconds)
        peaks.append(peak)
        world.forget(kind, "1.0.0")
        samples["careful"].append(world.careful(kind, "1.0.0", way))
        world.forget(kind)
        samples["pipe"].append(world.pipe(kind, "1.0.0", way))
    return samples, max(peaks)


def measure_update(world, kind, way, rounds):
    """From 1.0.0, which is here, to 1.1.0: {way to do it: ([seconds], bytes)}, and the highest peak of a patch."""
    found, peaks = {"patch": ([], []), "casync": ([], []), "full": ([], [])}, []

    def note(name, seconds):
        found[name][0].append(seconds)
        found[name][1].append(world.sent())

    world.use(kind, way)
    world.forget(kind, "1.0.0", "1.1.0")
    for _ in range(rounds):
        world.forget(kind, "1.0.0", "1.1.0")
        note("full", world.activate(kind, "1.1.0")[0])
        world.forget(kind, "1.1.0")
        world.activate(kind, "1.0.0")
        world.forget(kind)
        seconds, peak = world.activate(kind, "1.1.0")
        note("patch", seconds)
        peaks.append(peak)
        world.forget(kind)
        note("casync", world.casync(kind, way))
    return {name: (seconds, statistics.median(sizes)) for name, (seconds, sizes) in found.items()}, max(peaks)


def show_update(kind, way, found):
    full = found["full"]
    print(f"\n{kind}, {way}: from 1.0.0 to 1.1.0{'':14}{'median':>11}{'of full':>9}{'bytes':>14}{'of full':>9}")
    for name, (seconds, size) in found.items():
        median = statistics.median(seconds)
        print(f"    {name:37}{median * 1000:8.1f} ms{median / statistics.median(full[0]):8.2f} {size:14,.0f}"
              f"{size / full[1]:8.3f}")


def show(full, updates):
    for (kind, way), (samples, _) in full.items():
        show_samples({f"{kind}, {way}: {name}": seconds for name, seconds in samples.items()})
    for (kind, way), (found, _) in updates.items():
        show_update(kind, way, found)
    report = Report()
    for (kind, way), (samples, peak) in full.items():
        medians = {name: statistics.median(seconds) for name, seconds in samples.items()}
        report.figure(f"{kind}, {way}: against curl, sha256sum, tar, sync", medians["releasemgr"] / medians["careful"],
                      "times", CAREFUL_AT_MOST)
        report.figure(f"{kind}, {way}: against the undurable pipe", medians["releasemgr"] / medians["pipe"], "times",
                      PIPE_AT_MOST)
        report.figure(f"{kind}, {way}: peak memory, bundle", peak, "MiB", MEMORY_AT_MOST)
        report.figure(f"{kind}, {way}: peak memory, patch", updates[kind, way][1], "MiB", MEMORY_AT_MOST)
    return report.end()


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run fetches", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--build-dir", type=pathlib.Path, help="where to build; build-tests in the tree otherwise")
    options = parser.parse_args()
    host = Host([build.Builds(options.build_dir).install("gcc")])
    host.add_disk("/opt", "2G")
    with host:
        world, full, updates = World(host).prepare(), {}, {}
        for kind in trees.KINDS:
            for way in PORTS:
                full[kind, way] = measure_full(world, kind, way, options.rounds)
                updates[kind, way] = measure_update(world, kind, way, max(options.rounds // 4, 3))
        return show(full, updates)


if __name__ == "__main__":
    sys.exit(main())
