"""The test command, once everything is installed: builds, runs every kind of test, counts.

The counts come from the JUnit reports that meson and pytest write. A build that fails is a failed test.
"""

import argparse
import dataclasses
import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree

import build

PYTEST = ["/usr/bin/python3", "-B", "-m", "pytest", "-p", "no:cacheprovider", "-q", "--tb=short", "-ra", "--durations=5"]
KINDS = ["lint", "unit", "integration", "crash"]


@dataclasses.dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __iadd__(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        return self

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def read_report(path):
    """Counts a JUnit report, and says which tests failed or were skipped, and why."""
    count = Count()
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        bad = [e for e in case if e.tag in ("failure", "error")]
        skip = case.find("skipped")
        if bad:
            count.failed += 1
        elif skip is not None:
            count.skipped += 1
        else:
            count.passed += 1
    return count


class Run:
    def __init__(self, options):
        self.options = options
        self.builds = build.Builds(options.build_dir)
        self.reports = self.builds.directory / "reports"
        self.reports.mkdir(exist_ok=True)
        self.total = Count()
        self.started = time.monotonic()

    def headline(self, text):
        print(f"\n== {text}", flush=True)

    def finish(self, what, count, started):
        self.total += count
        print(f"-- {what}: {count} ({time.monotonic() - started:.1f} s)", flush=True)

    def section(self, what, command, report, environment=None):
        """Runs @command, which writes @report, and counts it. One that ends badly without a failed test in its report
        counts as one failure: the runner itself broke."""
        self.headline(what)
        started = time.monotonic()
        report.unlink(missing_ok=True)
        done = subprocess.run(command, cwd=build.SOURCE, env={**os.environ, **(environment or {})},
                              stdin=subprocess.DEVNULL)
        count = read_report(report) if report.exists() else Count()
        if done.returncode != 0 and count.failed == 0:
            # pytest's 5: -k left nothing to run, which only a developer can ask for.
            if not (done.returncode == 5 and self.options.keyword):
                print(f"{command[0]} ended with {done.returncode} and no failed test")
                count.failed += 1
        self.finish(what, count, started)

    def pytest(self, what, directory, *more, environment=None):
        report = self.reports / (what.replace(" ", "-") + ".xml")
        keyword = ["-k", self.options.keyword] if self.options.keyword else []
        self.section(what, [*PYTEST, directory, f"--junitxml={report}", *keyword, *more], report, environment)

    def compile(self, variant):
        self.headline(f"build {variant}")
        started = time.monotonic()
        try:
            tree = self.builds.install(variant)
        except build.BuildFailed as e:
            print(f"the build failed: {e}")
            self.finish(f"build {variant}", Count(failed=1), started)
            return None
        self.finish(f"build {variant}", Count(passed=1), started)
        return tree

    def unit(self, variant):
        directory = self.builds.directory / variant
        report = directory / "meson-logs" / "testlog.junit.xml"
        keyword = [self.options.keyword] if self.options.keyword else []
        self.section(f"unit {variant}",
                     ["meson", "test", "-C", str(directory), "--no-rebuild", "--print-errorlogs", "--quiet",
                      "--timeout-multiplier=4", *keyword],
                     report, build.SANITIZER_ENVIRONMENT)

    def integration(self, variant, tree):
        plain = self.builds.directory / "gcc" / "releasemgr" / "releasemgr"
        more = ["--install-tree", str(tree), "--cache", str(self.builds.directory / "cache")]
        if self.options.full:
            more.append("--full")
        self.pytest(f"integration {variant}", "tests/integration", *more,
                    environment={"RELEASEMGR_BUILD": str(self.builds.directory / variant),
                                 "RELEASEMGR_PLAIN": str(plain) if plain.exists() else ""})

    def crash(self, variant, tree):
        more = ["--install-tree", str(tree), "--build", str(self.builds.directory / variant), "-s"]
        if self.options.full:
            more.append("--full")
        self.pytest("crash", "tests/crash", *more)

    def lint(self, variant, tree):
        self.pytest("lint", "tests/lint", "--program", str(tree / "usr/local/bin/releasemgr"),
                    "--libraries", str(self.builds.directory / variant))

    def fuzz(self):
        """Every libFuzzer target for a minute, from its corpus on; what is found stays in the build directory."""
        self.headline("fuzz")
        started, count = time.monotonic(), Count()
        try:
            directory = self.builds.build("fuzzing") / "tests" / "fuzz"
        except build.BuildFailed as e:
            print(f"the build failed: {e}")
            return self.finish("fuzz", Count(failed=1), started)
        for target in sorted(path for path in directory.glob("fuzz-*") if path.is_file()):
            found = directory / f"found-{target.name}"
            found.mkdir(exist_ok=True)
            corpus = build.SOURCE / "tests" / "fuzz" / "corpus" / target.name.removeprefix("fuzz-")
            done = subprocess.run([target, "-max_total_time=60", "-timeout=10", "-print_final_stats=0", found, corpus], cwd=found,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  errors="replace")
            if done.returncode == 0:
                count.passed += 1
            else:
                count.failed += 1
                print(f"{target.name} found something: {done.stdout[-4000:]}", flush=True)
        self.finish("fuzz", count, started)

    def all(self):
        kinds = self.options.only or KINDS
        trees = {variant: self.compile(variant) for variant in self.options.variant or ["gcc", "sanitized"]}
        if "lint" in kinds and trees.get("gcc"):
            self.lint("gcc", trees["gcc"])
        if "crash" in kinds and trees.get("gcc"):
            self.crash("gcc", trees["gcc"])
        for variant, tree in trees.items():
            if tree and "unit" in kinds:
                self.unit(variant)
            if tree and "integration" in kinds:
                self.integration(variant, tree)
        if self.options.full:
            self.fuzz()
        print(f"\n{time.monotonic() - self.started:.0f} s in all\n{self.total}", flush=True)
        return 1 if self.total.failed or not self.total.passed else 0


def main():
    parser = argparse.ArgumentParser(prog="tests/run", description="Passes all tests of releasemgr.")
    parser.add_argument("--only", action="append", choices=KINDS, help="one kind of tests; may be repeated")
    parser.add_argument("--variant", action="append", choices=list(build.VARIANTS),
                        help="one build; gcc and sanitized where not given; may be repeated")
    parser.add_argument("-k", dest="keyword", metavar="NAME",
                        help="only tests of this name (as pytest's -k; meson takes it as a test's name)")
    parser.add_argument("--full", action="store_true", help="larger counts: hours, not minutes")
    parser.add_argument("--build-dir", type=pathlib.Path, help="where to build; build-tests in the tree otherwise")
    return Run(parser.parse_args()).all()


if __name__ == "__main__":
    sys.exit(main())
