"""Handovers beside what people do by hand, with clients that never let go.

    time       from `activate` of a release that is already here until the old instance has drained, against the bare
               sequence: systemctl start the new one, probe it, ln -sfn, systemctl stop the old one
    slowest    request of 16 keep-alive clients, 16 with a connection for each request, and a raw echo, while one handover
               happens, against the same clients for as long when none does
    held       the longest wait of the same clients while a service whose sockets systemd holds is restarted with a new
               release, against a bare systemctl restart of it; nobody may be refused
    by hand    ln -sfn, systemctl restart, a loop of curl and `sleep 1`, for an app that binds its own port: seconds and
               failed requests for each release, beside those of a handover
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
from handover.world import HTTP, Echo  # noqa: E402
from host import Host  # noqa: E402

TIME_AT_MOST = 1.2
SLOWEST_AT_MOST = 3
VERSIONS = ("1.0.0", "2.0.0")
SETTLE = 0.5  # seconds of clients before and after a handover
PROBE = "curl -sf --unix-socket /run/echo/{new}.sock http://localhost/health >/dev/null"
BARE = (f"systemctl start echo@{{new}}; until {PROBE}; do :; done; ln -sfn releases/{{new}} /opt/echo/current; "
        "systemctl stop echo@{old}")
BY_HAND = ("ln -sfn releases/{new} /opt/echo/current; systemctl reset-failed echo; systemctl restart echo; "
           f"until curl -sf http://{HTTP[0]}/health >/dev/null; do sleep 1; done")


def make_app(host, **options):
    echo = Echo(host).set_up(**options)
    for version in reversed(VERSIONS):
        echo.publish(version)
        echo.releasemgr("activate", version)
    return echo


def until_drained(echo, version):
    """Seconds until the old instance is gone; what is written down afterwards keeps nobody waiting."""
    begin, drained = time.monotonic(), None
    process = echo.host.spawn("releasemgr", "--json", "activate", version, stdout=subprocess.PIPE)
    for line in process.popen.stdout:
        event = json.loads(line)
        if event["event"] == "done" and event["stage"] == "drain":
            drained = time.monotonic()
    if process.wait() != 0:
        raise SystemExit(f"activate {version} ended with {event}")
    return drained - begin


def by_script(echo, script, new, old):
    return timed(lambda: echo.host.shell(script.format(new=new, old=old)))


def measure_time(echo, rounds):
    """Both ways, there and back, in every round, so that a slow moment of the machine meets them all."""
    samples = {"handover": [], "bare start, probe, stop": []}
    one, two = VERSIONS
    for _ in range(rounds):
        samples["handover"].append(until_drained(echo, two))
        samples["bare start, probe, stop"].append(by_script(echo, BARE, one, two))
        samples["bare start, probe, stop"].append(by_script(echo, BARE, two, one))
        samples["handover"].append(until_drained(echo, one))
    return samples


def slowest(echo, action):
    with echo.clients() as load:
        time.sleep(SETTLE)
        action()
        time.sleep(SETTLE)
    return max(load.seen["slowest"].values()), load


def measure_slowest(echo, rounds, took):
    """Slowest requests, in seconds; and the loads of the handovers."""
    samples, loads = {"slowest request, undisturbed": [], "slowest request, one handover": []}, []
    for n in range(rounds):
        samples["slowest request, undisturbed"].append(slowest(echo, lambda: time.sleep(took))[0])
        seconds, load = slowest(echo, lambda: echo.releasemgr("activate", VERSIONS[(n + 1) % 2]))
        samples["slowest request, one handover"].append(seconds)
        loads.append(load)
    return samples, loads


def measure_held(echo, rounds):
    samples, loads = {"longest wait, restart with held sockets": [], "longest wait, bare systemctl restart": []}, []
    for n in range(rounds):
        for name, command in zip(samples, (f"releasemgr activate {VERSIONS[(n + 1) % 2]}", "systemctl restart echo")):
            seconds, load = slowest(echo, lambda: echo.host.run(*command.split()))
            samples[name].append(seconds)
            loads.append(load)
    return samples, loads


def measure_by_hand(echo, rounds):
    """Seconds and failed requests of each switch."""
    seconds, failed = [], []
    for n in range(rounds):
        new, old = VERSIONS[(n + 1) % 2], VERSIONS[n % 2]
        load = slowest(echo, lambda: seconds.append(by_script(echo, BY_HAND, new, old)))[1]
        failed.append(load.failed)
    return seconds, failed


def show(times, waits, loads, held, held_loads, seconds, failed):
    show_samples({**times, **waits, **held, "by hand: ln, restart, curl and sleep 1": seconds})
    medians = {name: statistics.median(s) for name, s in {**times, **waits}.items()}
    report = Report()
    report.figure("handover against the bare sequence", medians["handover"] / medians["bare start, probe, stop"], "times",
                  TIME_AT_MOST)
    report.figure("slowest request of clients, against undisturbed",
                  medians["slowest request, one handover"] / medians["slowest request, undisturbed"], "times",
                  SLOWEST_AT_MOST)
    report.figure("failed requests, all handovers", sum(load.failed for load in loads), "", 0)
    report.figure("failed requests, all restarts with held sockets", sum(load.failed for load in held_loads), "", 0)
    report.figure("failed requests for each release, by hand", statistics.median(failed), "")
    return report.end()


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run handovers", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--build-dir", type=pathlib.Path, help="where to build; build-tests in the tree otherwise")
    options = parser.parse_args()
    tree = build.Builds(options.build_dir).install("gcc")
    with Host([tree]) as host:
        echo = make_app(host)
        times = measure_time(echo, options.rounds)
        waits, loads = measure_slowest(echo, options.rounds, statistics.median(times["handover"]))
    with Host([tree]) as host:
        held = measure_held(make_app(host, strategy="restart"), options.rounds)
    with Host([tree]) as host:
        by_hand = measure_by_hand(make_app(host, strategy="restart", listen=None), options.rounds)
    return show(times, waits, loads, *held, *by_hand)


if __name__ == "__main__":
    sys.exit(main())
