"""Every fault at every call of a deployment in small (driver.c), on a real ext4. Run by test_engine.py in a mount
namespace of its own; prints how many points were tried, or ends with what went wrong."""

import concurrent.futures
import errno
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from faults import Fault, Plan, build_shim, cut_power, error


class Wrong(Exception):
    pass


class Bench:
    def __init__(self, directory, driver):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.plan = Plan(self.directory / "fault")
        self.shim = build_shim(self.directory)
        self.program = self.directory / "releasemgr"
        shutil.copy(driver, self.program)
        self.image, self.disk = self.directory / "disk.img", self.directory / "disk"
        self.disk.mkdir()
        subprocess.run(f"truncate -s 4M {self.image} && mkfs.ext4 -q -F -O ^metadata_csum {self.image}", shell=True, check=True)
        self.mount()

    def mount(self):
        subprocess.run(["mount", "-o", "loop", self.image, self.disk], check=True)

    def power_on(self):
        # A child that another thread is just making may hold our descriptor of it for a moment.
        while subprocess.run(["umount", self.disk], capture_output=True).returncode != 0:
            time.sleep(0.01)
        self.mount()

    def reset(self):
        """The world before: the old version, and a deployment that ended."""
        for path in self.disk.iterdir():
            if path.name != "lost+found":
                path.unlink()
        (self.disk / "file").write_text("old")
        (self.disk / "current").symlink_to("old")
        subprocess.run(["sync", "-f", self.disk], check=True)

    def run(self, *arguments):
        environment = {"LD_PRELOAD": str(self.shim), "FAULT_DIRECTORY": str(self.plan.directory),
                       "PATH": os.environ["PATH"]}
        return subprocess.run([self.program, arguments[0], self.disk, *arguments[1:]], env=environment,
                              capture_output=True, text=True, timeout=180)

    def faulted(self, fault, *arguments):
        """Runs with a fault. False where the run came to its end before that."""
        self.plan.set(fault)
        done = self.run(*arguments)
        struck = self.plan.struck()
        self.plan.clear()
        if not struck and done.returncode != 0:
            raise Wrong(f"without a fault: {done}")
        if struck and fault.action.startswith(("kill", "cut")) and done.returncode != -signal.SIGKILL:
            raise Wrong(f"it did not die at {struck}: {done}")
        return struck

    def verdicts(self):
        history = self.disk / "history.jsonl"
        return [json.loads(line)["verdict"] for line in history.read_text().splitlines()] if history.exists() else []

    def check(self, what):
        """Recovers, and looks: all is old or all is new, and the history says which."""
        done = self.run("recover")
        if done.returncode != 0:
            raise Wrong(f"{what}: recover: {done.stdout}")
        world = {os.readlink(self.disk / "current"), (self.disk / "file").read_text()}
        ledger = self.disk / "ledger.json"
        proven = "new" if ledger.exists() and "new" in ledger.read_text() else "old"
        begun = (self.disk / "journal").exists()
        if world != {proven}:
            raise Wrong(f"{what}: {world} where the ledger says {proven}")
        if begun and self.verdicts()[-1] != ("committed" if proven == "new" else "taken-back"):
            raise Wrong(f"{what}: all is {proven}, the history says {self.verdicts()}")
        if self.run("recover").stdout != "nothing\n":
            raise Wrong(f"{what}: not over after recover")

    def every_point_unharmed(self, make_fault, *arguments):
        """As every_point(), with faults that nothing may come of."""
        for n in itertools.count(1):
            self.reset()
            struck = self.faulted(make_fault(n), *arguments)
            if self.verdicts() != ["taken-back" if "fail" in arguments else "committed"]:
                raise Wrong(f"{' '.join(arguments)}, {make_fault(n)}: {struck}: {self.verdicts()}")
            if not struck:
                return n - 1

    def every_point(self, make_fault, *arguments, then_cut=False):
        """@make_fault(n) for every n until a run comes to its end. @then_cut: and then the power is cut."""
        for n in itertools.count(1):
            self.reset()
            fault = make_fault(n)
            struck = self.faulted(fault, *arguments)
            if then_cut and struck:
                cut_power(self.disk)
            if struck and (then_cut or fault.action.startswith("cut")):
                self.power_on()
            self.check(f"{' '.join(arguments)}, {fault}: {struck}")
            if not struck:
                return n - 1

    def every_point_of_recovery(self, *arguments, step):
        """Killed in the middle; and killed again in each recovery from that, at every call."""
        tried = 0
        for n in itertools.count(1, step):
            for m in itertools.count(1):
                self.reset()
                if not (first := self.faulted(Fault(n), *arguments)):
                    return tried
                second = self.faulted(Fault(m), "recover")
                self.check(f"{' '.join(arguments)}, killed at {first}, then recover at {second}")
                tried += 1
                if not second:
                    break


def scenarios(full):
    """What is tried: a name, and what a Bench does for it, returning the number of points."""
    syncs = {"classes": "sync,truncate"}
    for arguments in (["run"], ["run", "fail"]):
        def every(make_fault, arguments=arguments, **options):
            return lambda bench: bench.every_point(lambda n: make_fault(bench, n), *arguments, **options)

        found = {
            "killed": every(lambda b, n: Fault(n)),
            "killed, then the power cut": every(lambda b, n: Fault(n), then_cut=True),
            "power cut": every(lambda b, n: Fault(n, f"cut:{b.disk}")),
            "EIO": every(lambda b, n: Fault(n, error(errno.EIO))),
            "EIO from there on": every(lambda b, n: Fault(n, error(errno.EIO, True))),
            "EIO after it took effect": every(lambda b, n: Fault(n, error(errno.EIO), after=True)),
            "ENOSPC": every(lambda b, n: Fault(n, error(errno.ENOSPC))),
            "ENOSPC from there on": every(lambda b, n: Fault(n, error(errno.ENOSPC, True))),
            "EINTR": every(lambda b, n: Fault(n, error(errno.EINTR))),
            "every sync fails": every(lambda b, n: Fault(n, error(errno.EIO, True), **syncs)),
            "every sync fails, then the power cut": every(lambda b, n: Fault(n, error(errno.EIO, True), **syncs),
                                                          then_cut=True),
            "every sync fails after it took effect": every(
                lambda b, n: Fault(n, error(errno.EIO, True), after=True, **syncs)),
            "EINTR of what is tried again": lambda bench, arguments=arguments: bench.every_point_unharmed(
                lambda n: Fault(n, error(errno.EINTR), "open,write"), *arguments),
            "killed, and killed in recovery": lambda bench, arguments=arguments: bench.every_point_of_recovery(
                *arguments, step=1 if full else 5),
        }
        for name, run in found.items():
            yield f"{' '.join(arguments)}: {name}", run


def main(directory, driver, full):
    # The disks' images in memory: what a sync means to the program is the same, and nobody waits for a real one.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], check=True)
    # Most of the time is the engine's pauses between its tries.
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        tried = {}
        for i, (name, run) in enumerate(scenarios(full)):
            bench = Bench(pathlib.Path(directory) / str(i), driver)
            tried[name] = pool.submit(run, bench)
        for name, count in tried.items():
            print(f"{count.result():6} {name}")
        print(f"{sum(count.result() for count in tried.values()):6} points in all")


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], "--full" in sys.argv)
    except Wrong as e:
        sys.exit(str(e))
