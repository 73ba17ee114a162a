"""Builds of the tree for tests, demo and benchmark, in directories that no other run uses at the same time."""

import fcntl
import itertools
import os
import pathlib
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent

# Where a sanitizer found something, the program ends with this: no exit code of its own.
SANITIZER_EXIT = 86
SANITIZER_ENVIRONMENT = {
    "ASAN_OPTIONS": f"exitcode={SANITIZER_EXIT}:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": f"exitcode={SANITIZER_EXIT}:halt_on_error=1:print_stacktrace=1",
    "LSAN_OPTIONS": f"exitcode={SANITIZER_EXIT}",
}

VARIANTS = {
    "gcc": ("gcc", ["--werror"]),
    "clang": ("clang", ["--werror"]),
    "fuzzing": ("clang", ["--werror", "-Dfuzzing=true", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1"]),
    "sanitized": ("clang", ["--werror", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1"]),
}


class BuildFailed(Exception):
    pass


class Builds:
    """A directory for builds, taken for this process until it ends. Kept afterwards, so that the next run has less
    to do; a second run at the same time takes the next directory."""

    def __init__(self, base=None):
        base = pathlib.Path(base or SOURCE / "build-tests")
        base.mkdir(parents=True, exist_ok=True)
        for n in itertools.count():
            self._lock = os.open(base / f"{n}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                os.close(self._lock)
        self.directory = base / str(n)
        self.directory.mkdir(exist_ok=True)

    def build(self, variant):
        """Configures and compiles; returns the build directory."""
        compiler, options = VARIANTS[variant]
        directory = self.directory / variant
        environment = dict(os.environ, CC=compiler)
        if not (directory / "build.ninja").exists():
            shutil.rmtree(directory, ignore_errors=True)
            self._run(["meson", "setup", *options, str(directory), str(SOURCE)], environment)
        self._run(["ninja", "-C", str(directory)], environment)
        return directory

    def install(self, variant):
        """Builds, and installs below a directory as a package would; returns that directory."""
        directory = self.build(variant)
        tree = self.directory / f"{variant}-installed"
        shutil.rmtree(tree, ignore_errors=True)
        self._run(["meson", "install", "--quiet", "--no-rebuild", "-C", str(directory), "--destdir", str(tree)],
                  os.environ)
        return tree

    def _run(self, command, environment):
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            sys.stdout.write(done.stdout)
            raise BuildFailed(" ".join(command))
