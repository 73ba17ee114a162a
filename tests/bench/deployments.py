"""Deployments beside what a careful script does.

    activate   of a release that is already here, until it says that its first probe was good, against
               `systemctl restart` and a tight loop of probes until the first good one
    rollback   against the same
    memory     the peak of one activate that fetches, by the bundle's size
    journal    synced writes to the journal of one deployment
    recover    processor time of `recover` with nothing to do, above that of `--version`, which does nothing at all
    status     with 1,000 deployments in the history against 10
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / place) for place in (".", "integration")]

import build  # noqa: E402
from figures import Report, show_samples, timed  # noqa: E402
from host import Host  # noqa: E402
from shop import HEALTH, Shop, make_layers  # noqa: E402

# What a careful person's script does.
RESTART_AND_PROBE = f"systemctl restart shop.service; until curl -sf {HEALTH} >/dev/null; do :; done"
RATIO_AT_MOST = 1.3
MEMORY_AT_MOST = 32
SIZES_MB = (1, 32, 128)
SYNCED_WRITES_AT_MOST = 10
RECOVER_MS_AT_MOST = 5
STATUS_RATIO_AT_MOST = 2


def timed_to_probe(shop, *arguments):
    """Until the program says that the release is healthy; what it writes down afterwards keeps no client waiting."""
    begin, good = time.monotonic(), None
    process = shop.host.spawn("releasemgr", "--json", *arguments, stdout=subprocess.PIPE)
    for line in process.popen.stdout:
        event = json.loads(line)
        if event["event"] == "done" and event["stage"] == "prove":
            good = time.monotonic()
    if process.wait() != 0:
        raise SystemExit(f"{' '.join(arguments)} ended with {event}")
    return good - begin


def prepare(host):
    shop = Shop(host).start_servers().make_repository()
    for version in ("1.0.0", "1.1.0"):
        shop.publish(version)
    shop.set_up()
    shop.releasemgr("activate", "1.0.0")
    shop.releasemgr("activate", "1.1.0")
    return shop


def measure_switches(shop, rounds):
    """One of each in every round, so that a slow moment of the machine meets them all."""
    samples = {"bare": [], "activate": [], "rollback": []}
    for _ in range(rounds):
        samples["bare"].append(timed(lambda: shop.host.shell(RESTART_AND_PROBE)))
        samples["rollback"].append(timed_to_probe(shop, "rollback"))
        samples["activate"].append(timed_to_probe(shop, "activate", "1.1.0"))
    return samples


def measure_journal(shop):
    """Counts what reaches the disk through the journal's file, from its making to its end."""
    trace = "/run/journal.trace"
    shop.host.run("strace", "-f", "-y", "-o", trace, "-e", "trace=fsync,fdatasync", "releasemgr", "activate",
                  "--foreground", "1.0.0")
    lines = shop.host.read(trace).splitlines()
    return sum(1 for line in lines if "/journal>" in line or "/.#journal" in line)


CPU = """
import os, statistics, sys
def once():
    pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", 1, 0)])
    used = os.wait4(pid, 0)[2]
    return (used.ru_utime + used.ru_stime) * 1000
print(statistics.median(once() for _ in range(25)))
"""


def cpu_ms(shop, *arguments):
    """Median user and system milliseconds of a whole process."""
    program = shop.host.run("which", "releasemgr").stdout.strip()
    return float(shop.host.run("/usr/bin/python3", "-c", CPU, program, *arguments).stdout)


def measure_recover(shop):
    return cpu_ms(shop, "--app=shop", "recover") - cpu_ms(shop, "--version")


def measure_status(shop):
    """Seconds of `status` by the length of the history."""
    history = "/var/lib/releasemgr/shop/history.jsonl"
    line = shop.host.read(history).splitlines()[-1]
    medians = {}
    for count in (10, 1000):
        shop.host.write(history, (line + "\n") * count)
        medians[count] = statistics.median(timed(lambda: shop.releasemgr("status")) for _ in range(15))
    return medians


def noise(size):
    """Bytes that do not compress."""
    with open("/dev/urandom", "rb") as f:
        return f.read(size)


def measure_memory(shop):
    """Peak MB of an activate, by the size of the bundle in MB."""
    peaks = {}
    for n, size in enumerate(SIZES_MB):
        version = f"2.{n}.0"
        shop.publish(version, "--patches", "0", extra={"assets/big": noise(size << 20)})
        shop.host.run("/usr/bin/time", "--format=%M", "--output=/run/peak", "releasemgr", "activate",
                      "--foreground", version)
        peaks[size] = int(shop.host.read("/run/peak")) / 1024
    return peaks


def show(samples, peaks, journal, recover, status):
    show_samples(samples)
    report, bare = Report(), statistics.median(samples["bare"])
    for name in ("activate", "rollback"):
        report.figure(f"{name} against restart and probe loop", statistics.median(samples[name]) / bare, "times",
                      RATIO_AT_MOST)
    for size, peak in peaks.items():
        report.figure(f"peak memory of activate, bundle of {size} MB", peak, "MB", MEMORY_AT_MOST)
    report.figure("synced writes to the journal", journal, "", SYNCED_WRITES_AT_MOST)
    report.figure("recover with nothing to do, own processor time", recover, "ms", RECOVER_MS_AT_MOST)
    report.figure("status, 1,000 deployments against 10", status[1000] / status[10], "times", STATUS_RATIO_AT_MOST)
    return report.end()


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run deployments", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--build-dir", type=pathlib.Path, help="where to build; build-tests in the tree otherwise")
    options = parser.parse_args()
    builds = build.Builds(options.build_dir)
    with Host(make_layers(builds.directory / "cache", builds.install("gcc"))) as host:
        shop = prepare(host)
        return show(measure_switches(shop, options.rounds), measure_memory(shop), measure_journal(shop),
                    measure_recover(shop), measure_status(shop))


if __name__ == "__main__":
    sys.exit(main())
