"""How small patches are, and what making and applying one costs, on consecutive releases of real packages (from npm's
registry, so this one needs the network): a program in Go of two makers, and a package of many files.

    bsdiff       bsdiff of the two tars
    patch-from   zstd -19 --long=27 --patch-from=OLD NEW
    zstd -19     of the new tar: what the time (of the processor) is compared with
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / place) for place in (".", "integration")]

import build  # noqa: E402
from figures import Report  # noqa: E402
from host import Host  # noqa: E402

REPOSITORY = "/srv/repository"
KEYS = "/srv/keys"
PAIRS = {
    "esbuild": ("@esbuild/linux-x64", "0.21.4", "0.21.5"),
    "lefthook": ("lefthook-linux-x64", "1.6.9", "1.6.10"),
    "typescript": ("typescript", "5.4.4", "5.4.5"),
}
OF_BSDIFF_AT_MOST = 1.1
OF_PATCH_FROM_AT_MOST = 0.5
OF_ZSTD_TIME_AT_MOST = 3
BYTES_A_BYTE_AT_MOST = 9
APPLY_AT_MOST = 24


def fetch_package(package, version, tree):
    """What npm would install, without the packages that it needs."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["npm", "pack", "--silent", f"{package}@{version}"], cwd=scratch, check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=600)
        archive, = pathlib.Path(scratch).glob("*.tgz")
        tree.mkdir(parents=True)
        subprocess.run(["tar", "xf", archive, "-C", tree, "--strip-components=1", "--no-same-owner"], check=True)


class World:
    def __init__(self, host):
        self.host = host

    def cost(self, *command):
        """Runs it; seconds of the processor, what it says, and the peak of its memory in bytes."""
        done = self.host.run("/usr/bin/time", "--format=%U %S %M", "--output=/run/cost", *command, timeout=3600)
        user, system, peak = self.host.read("/run/cost").split()
        return float(user) + float(system), int(peak) * 1024, done.stdout

    def publish(self, app, version, patches):
        """In a repository for each number of patches, so that one cost can be taken from the other."""
        place = ["--repo", f"{REPOSITORY}-{patches}", "--keys", f"{KEYS}-{patches}"]
        if not self.host.path(f"{REPOSITORY}-{patches}").exists():
            self.host.run("releasemgr", "repo", "init", *place)
        return self.cost("releasemgr", "repo", "publish", f"/srv/trees/{app}-{version}", "--version", version, "--app",
                         app, "--patches", patches, *place)

    def size_of(self, pattern):
        path, = self.host.path(f"{REPOSITORY}-1/targets").glob(pattern)
        return path.stat().st_size

    def apply(self, app, old, new):
        """The peak of an activation by the patch."""
        self.host.run("releasemgr", "init", app, "--url", f"file://{REPOSITORY}-1", "--trust",
                      f"{REPOSITORY}-1/metadata/1.root.json", "--exec", "/bin/sleep infinity")
        self.host.run("releasemgr", f"--app={app}", "activate", old, timeout=600)
        _, peak, said = self.cost("releasemgr", f"--app={app}", "activate", "--foreground", new)
        if f"a patch from {old}" not in said:
            raise SystemExit(said)
        return peak / (1 << 20)

    def measure(self, app, package, old, new):
        for version in (old, new):
            fetch_package(package, version, self.host.path(f"/srv/trees/{app}-{version}"))
        for patches in (0, 1):
            self.publish(app, old, patches)
        plain, _, _ = self.publish(app, new, 0)
        made, memory, _ = self.publish(app, new, 1)
        for version in (old, new):
            self.host.shell(f"zstd -qdc {REPOSITORY}-1/targets/{app}/{version}/*.zst >/srv/{app}-{version}.tar")
        tars = [f"/srv/{app}-{version}.tar" for version in (old, new)]
        sizes = [os.path.getsize(self.host.path(tar)) for tar in tars]
        self.host.run("bsdiff", *tars, "/srv/bsdiff", timeout=3600)
        self.host.run("zstd", "-q", "-f", "-19", "--long=27", f"--patch-from={tars[0]}", tars[1], "-o", "/srv/from", timeout=3600)
        zstd, _, _ = self.cost("zstd", "-q", "-f", "-19", tars[1], "-o", "/srv/zstd")
        return {
            "bundle": self.size_of(f"{app}/{new}/*.tar.zst"),
            "patch": self.size_of(f"{app}/{new}/*.patch"),
            "bsdiff": os.path.getsize(self.host.path("/srv/bsdiff")),
            "patch-from": os.path.getsize(self.host.path("/srv/from")),
            "seconds": made - plain, "zstd": zstd, "memory": memory / sum(sizes), "apply": self.apply(app, old, new),
        }


def show(rows):
    print(f"\n{'':28}{'bundle':>13}{'patch':>13}{'bsdiff':>13}{'patch-from':>13}{'made in':>11}{'zstd -19':>11}")
    for name, row in rows.items():
        sizes = "".join(f"{row[key]:13,}" for key in ("bundle", "patch", "bsdiff", "patch-from"))
        print(f"{name:28}{sizes}{row['seconds']:9.1f} s{row['zstd']:9.1f} s")
    report = Report()
    for name, row in rows.items():
        report.figure(f"{name}: of bsdiff", row["patch"] / row["bsdiff"], "times", OF_BSDIFF_AT_MOST)
        report.figure(f"{name}: of zstd --patch-from", row["patch"] / row["patch-from"], "times", OF_PATCH_FROM_AT_MOST)
        report.figure(f"{name}: made, of the time of zstd -19", row["seconds"] / row["zstd"], "times", OF_ZSTD_TIME_AT_MOST)
        report.figure(f"{name}: memory a byte of both tars", row["memory"], "bytes", BYTES_A_BYTE_AT_MOST)
        report.figure(f"{name}: peak memory of applying it", row["apply"], "MiB", APPLY_AT_MOST)
    return report.end()


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run patches", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help="taken for the sake of the others: sizes are the same in every round")
    parser.add_argument("--build-dir", type=pathlib.Path, help="where to build; build-tests in the tree otherwise")
    options = parser.parse_args()
    with Host([build.Builds(options.build_dir).install("gcc")]) as host:
        world = World(host)
        return show({f"{app} {old} to {new}": world.measure(app, package, old, new)
                     for app, (package, old, new) in PAIRS.items()})


if __name__ == "__main__":
    sys.exit(main())
