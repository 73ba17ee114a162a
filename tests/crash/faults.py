"""Faults: compiles the shim (shim.c), writes its plan, reads its log."""

import ctypes
import dataclasses
import errno
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent

ALL = "all"
BUS = "bus"


def build_shim(directory):
    """Compiles the shim into @directory; returns its path."""
    shim = pathlib.Path(directory) / "fault.so"
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-o", shim, *HERE.glob("shim*.c"),
                    "-ldl"], check=True)
    return shim


@dataclasses.dataclass(frozen=True)
class Fault:
    """What happens at the n-th call of some classes; see shim.c. n = 0: nothing, the calls are only counted."""
    n: int = 0
    action: str = "kill"
    classes: str = ALL
    after: bool = False
    word: str = "-"
    mark: str = ""

    def plan(self):
        return f"{self.classes} {self.n} {self.action} {'after' if self.after else 'before'} {self.word} {self.mark}\n"

    def __str__(self):
        what = self.action
        if what.rstrip("+").isdigit():
            what = errno.errorcode[int(what.rstrip("+"))] + ("+" if what.endswith("+") else "")
        return f"{what} {'after' if self.after else 'at'} call {self.n} of {self.classes}"


def error(number, from_then_on=False):
    """The action of a call that fails."""
    return f"{number}+" if from_then_on else str(number)


class Plan:
    """The file that the shim reads, and its log."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)

    def set(self, fault):
        (self.directory / "log").unlink(missing_ok=True)
        (self.directory / "plan").write_text(fault.plan())

    def clear(self):
        (self.directory / "plan").unlink(missing_ok=True)

    def log(self):
        """The calls that were counted, as text."""
        path = self.directory / "log"
        return path.read_text(errors="replace").splitlines() if path.exists() else []

    def classes(self):
        """The classes of the calls that were counted, in order."""
        return [line.split()[1] for line in self.log() if not line.startswith("left ")]

    def left(self):
        """The descriptors that were not closed, as text."""
        return [line for line in self.log() if line.startswith("left ")]

    def struck(self):
        """The call that was hit, or None."""
        return next((line for line in self.log() if line.endswith(" <- here")), None)


def cut_power(directory):
    """Shuts the ext4 at @directory down without writing its log: what was not synced is lost."""
    EXT4_IOC_SHUTDOWN, no_log_flush = 0x8004587D, ctypes.c_uint32(2)
    import fcntl
    import os

    fd = os.open(directory, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, no_log_flush)
    finally:
        os.close(fd)
