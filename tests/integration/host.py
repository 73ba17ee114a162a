"""A throwaway host: a real systemd as PID 1, booted in about a second from the machine's own root file system.

The machine's root is the lowest layer of an overlay whose upper layer lives in memory, so the host sees every
program that is installed here and can change nothing. Further layers may stand in between: the tree that
`meson install --destdir` wrote, a prepared database. All of it lives in a mount namespace of its own, held open
by one process: when that one ends, mounts, loop devices and memory go with it, however the test ended.

The upper layer outlives a reboot and a power-off of the host, as a disk would; /tmp and /run do not.
"""

import contextlib
import ctypes
import itertools
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

# What the machine may run at boot and a test host must not: their place is taken by the tests' own.
MASKED_UNITS = """
    apt-daily.service apt-daily.timer apt-daily-upgrade.service apt-daily-upgrade.timer cron.service
    dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer getty.target getty@.service
    console-getty.service logrotate.timer man-db.timer mariadb.service mysql.service nginx.service
    networking.service postgresql.service postgresql@.service redis-server.service remote-fs.target
    smartmontools.service ssh.service ssh.socket docker.service docker.socket containerd.service
    systemd-networkd.service systemd-resolved.service systemd-timesyncd.service systemd-firstboot.service
    systemd-pcrphase.service systemd-pstore.service unattended-upgrades.service modprobe@.service
    ldconfig.service systemd-hwdb-update.service systemd-udev-trigger.service systemd-udevd.service
    systemd-update-utmp.service systemd-journal-catalog-update.service phpsessionclean.timer rsyslog.service
""".split()

# Directories of the machine that a test host has empty, or as its layers fill them: opaque in the overlay.
HIDDEN = ["/etc/releasemgr", "/opt", "/srv", "/var/lib/releasemgr", "/var/log/journal", "/var/lib/mysql"]
HIDE = """
import os, sys
for name in sys.argv[2:]:
    os.makedirs(sys.argv[1] + name)
    os.setxattr(sys.argv[1] + name, "trusted.overlay.opaque", b"y")
"""

BOOT_TIMEOUT = 180
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

NAME = "releasemgr-test-"
_serial = itertools.count(1)


class HostError(Exception):
    """The host itself failed, not what was tested on it."""


class CommandFailed(Exception):
    """A command that should have succeeded inside the host; shows what it said."""

    def __init__(self, completed):
        self.completed = completed
        super().__init__(
            f"{completed.args} ended with {completed.returncode}\n{completed.stdout}{completed.stderr}")


def _die_with_parent():
    """Between fork and exec: the kernel ends this process when the one that runs the tests is gone."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _own_cgroups():
    """The directories of this process's cgroup: one a hierarchy with v1 or hybrid, one in all with v2."""
    mounts = {}
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        if kind == "cgroup2":
            mounts[""] = where
        elif kind == "cgroup":
            for option in options.split(","):
                mounts[option] = where
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        # What a host's systemd itself builds on: the unified hierarchy, and with v1 its named one; and memory, for those
        # who allow_memory_limits().
        if controllers in ("", "name=systemd", "memory") and controllers in mounts:
            yield pathlib.Path(mounts[controllers] + path)


def _children(pid):
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def _wait_for(condition, timeout, what):
    """Asks @condition again and again until it says something true, and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise HostError(f"{what} did not happen within {timeout} s")
        time.sleep(0.01)


def _remove_cgroup(group):
    """True once it is gone; only an empty one can go."""
    for directory, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(directory)
    return not group.exists()


def _reap_stale():
    """What a run that was killed could not put away itself: empty cgroups and directories, by the pid in their
    names."""
    stale = [group for parent in _own_cgroups() for group in parent.glob(NAME + "*")]
    stale += pathlib.Path(tempfile.gettempdir()).glob(NAME + "*")
    for path in stale:
        if os.path.exists("/proc/" + path.name[len(NAME):].split("-")[0]):
            continue
        if path.is_relative_to("/sys"):
            _remove_cgroup(path)
        else:
            shutil.rmtree(path, ignore_errors=True)


class Process:
    """A command under way inside a host."""

    def __init__(self, popen):
        self.popen = popen
        self.stdin, self.stdout, self.stderr = popen.stdin, popen.stdout, popen.stderr

    @property
    def pid(self):
        """The command itself, as numbered outside: nsenter stands between, and passes no signal on."""
        return _wait_for(lambda: _children(self.popen.pid) or (self.popen.poll() is not None and [0]), 60,
                         "the start of a command")[0]

    def signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            if self.pid:
                os.kill(self.pid, number)

    def poll(self):
        return self.popen.poll()

    def wait(self, timeout=300):
        return self.popen.wait(timeout)

    def communicate(self, timeout=300):
        out, err = self.popen.communicate(timeout=timeout)
        return subprocess.CompletedProcess(self.popen.args, self.popen.returncode, out, err)


class Host:
    """One throwaway host. Use it as a context manager, or call start() and close().

    layers: directories laid over the machine's root, the first on top; read only
    binds:  directories of the machine seen inside at the same path, writable
    """

    def __init__(self, layers=(), binds=(), masked=MASKED_UNITS):
        if os.geteuid() != 0:
            raise HostError("a throwaway host needs root: run this with sudo")
        self.layers = [str(pathlib.Path(layer).resolve()) for layer in layers]
        self.binds = [str(bind) for bind in binds]
        self.masked = masked
        _reap_stale()
        self.name = f"{NAME}{os.getpid()}-{next(_serial)}"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=self.name + "-"))
        self.console = self.directory / "console"
        self.boot_seconds = None
        self._cgroups = []
        self._holder = None
        self._init = None
        self._nspawn = None
        self._leader = None

    # Life and death

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def start(self):
        """Boots, and returns once systemd says that the boot is complete."""
        started = time.monotonic()
        if not self._holder:
            self._hold()
        try:
            self._boot()
        except BaseException:
            self.power_off()
            raise
        self.boot_seconds = time.monotonic() - started
        return self

    def _hold(self):
        """The process that keeps the mount namespace, and in it the host's root file system. It is also the init
        of a PID namespace that systemd-nspawn is started in: the kernel ends all of that with it."""
        self._make_cgroups()
        root, memory = self.directory / "root", self.directory / "memory"
        lowest = self.directory / "machine"
        for directory in (root, memory, lowest):
            directory.mkdir()
        # The kernel takes no layer that lies inside another one, and / is one: hence the copies.
        copies = [f"{memory}/layer{n}" for n in range(len(self.layers))]
        copy = "\n".join(f"cp -a {layer}/. {copy}" for layer, copy in zip(self.layers, copies))
        lower = ":".join(copies + [f"{memory}/bare", str(lowest)])
        script = f"""
            set -e
            mount --make-rprivate /
            mount -t tmpfs -o mode=755 releasemgr-test {memory}
            mount -t tmpfs -o mode=755 releasemgr-test /run
            mount --bind / {lowest}
            mkdir {memory}/upper {memory}/work {memory}/disks {" ".join(copies)}
            {copy}
            /usr/bin/python3 -c {shlex.quote(HIDE)} {memory}/bare {" ".join(HIDDEN)}
            mount -t overlay -o lowerdir={lower},upperdir={memory}/upper,workdir={memory}/work overlay {root}
            echo ready
            exec sleep infinity
        """
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self._holder = subprocess.Popen([*unshare, "sh", "-c", script], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        preexec_fn=self._enter_cgroups)
        if self._holder.stdout.readline() != "ready\n":
            message = self._holder.stderr.read()
            self.close()
            raise HostError(f"cannot lay the host's root file system: {message}")
        self._init = _children(self._holder.pid)[0]
        units = self.root / "etc/systemd/system"
        for unit in self.masked:
            target = units / unit
            with contextlib.suppress(FileNotFoundError):
                target.unlink()
            target.symlink_to("/dev/null")
        # An identity of its own, and no wait for a network that is not there.
        (self.root / "etc/machine-id").write_text("uninitialized\n")
        (self.root / "etc/hostname").write_text("throwaway\n")

    def _make_cgroups(self):
        for parent in _own_cgroups():
            group = parent / self.name
            with contextlib.suppress(FileExistsError):
                group.mkdir()
            self._cgroups.append(group)

    def _enter_cgroups(self):
        _die_with_parent()
        for group in self._cgroups:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    def _boot(self):
        binds = [f"--bind={bind}" for bind in self.binds]
        command = ["nsenter", "-t", str(self._init), "-m", "-p", "systemd-nspawn", "--quiet",
                   f"--machine={self.name}", "--hostname=throwaway", f"--directory={self.directory}/root",
                   "--register=no", "--keep-unit", "--boot", "--console=pipe", "--link-journal=no",
                   "--private-network", "--resolv-conf=off", "--timezone=off", *binds,
                   "systemd.unit=multi-user.target", "systemd.firstboot=off"]
        environment = {"PATH": PATH, "SYSTEMD_LOG_LEVEL": "warning"}
        with open(self.console, "ab") as console:
            self._nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                                            env=environment, preexec_fn=self._enter_cgroups)
        self._leader = _wait_for(self._find_leader, BOOT_TIMEOUT, "the start of systemd")
        deadline = time.monotonic() + BOOT_TIMEOUT
        while self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip() not in (
                "running", "degraded"):
            if self._nspawn.poll() is not None or time.monotonic() > deadline:
                raise HostError(f"the host did not boot\n{self.console_text()}")
            time.sleep(0.02)

    def _find_leader(self):
        if self._nspawn.poll() is not None:
            raise HostError(f"systemd-nspawn ended with {self._nspawn.returncode}\n{self.console_text()}")
        for nspawn in _children(self._nspawn.pid):
            for child in _children(nspawn):
                with contextlib.suppress(OSError):
                    if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                        return child
        return None

    def power_off(self):
        """Off at once, as by pulling the plug: nothing inside is told."""
        if self._nspawn:
            if self._leader:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._leader, signal.SIGKILL)
            try:
                self._nspawn.wait(5 if self._leader else 0)
            except subprocess.TimeoutExpired:
                for nspawn in _children(self._nspawn.pid):
                    os.kill(nspawn, signal.SIGKILL)
                self._nspawn.wait(120)
        self._nspawn = self._leader = None

    def shut_down(self, timeout=180):
        """Off in good order, as by `systemctl poweroff`."""
        self.run("systemctl", "poweroff", check=False)
        self._nspawn.wait(timeout)
        self._nspawn = self._leader = None

    def reboot(self):
        """Down in good order, and up again with what was on disk."""
        self.shut_down()
        return self.start()

    def close(self):
        """Ends the host and leaves nothing behind. May be called again."""
        self.power_off()
        if self._holder:
            self._holder.kill()
            self._holder.communicate()
            self._holder = None
        for group in self._cgroups:
            _wait_for(lambda: _remove_cgroup(group), 60, f"the end of all processes in {group}")
        self._cgroups = []
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def leader(self):
        """The host's PID 1, as numbered outside."""
        return self._leader

    @property
    def running(self):
        return self._nspawn is not None and self._nspawn.poll() is None

    def console_text(self):
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    # The file system

    @property
    def root(self):
        """The host's root as seen from outside, up or down. What a unit mounts inside is not in it: see path()."""
        return pathlib.Path(f"/proc/{self._init}/root{self.directory}/root")

    def path(self, inside):
        """A path of the running host, as seen from outside."""
        return pathlib.Path(f"/proc/{self._leader}/root") / str(inside).lstrip("/")

    def write(self, inside, text, mode=0o644):
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(text)
        path.chmod(mode)

    def read(self, inside):
        return self.path(inside).read_text()

    def allow_memory_limits(self):
        """From now on MemoryMax= of units means something. With v1 systemd-nspawn lets nobody write there, and systemd looks
        only once whether it may."""
        self.shell("mount -o remount,bind,rw /sys/fs/cgroup/memory && systemctl daemon-reexec || true")

    # A disk whose power can be cut

    def add_disk(self, inside, size="64M", options="defaults"):
        """Puts an ext4 of its own at @inside: a loop device, gone with the host. Before start(), or while it is
        off; attach_disk() mounts it again after a detach_disk(). All of its memory is taken now: to find some with
        each write would cost the processor more than the write, as no disk does."""
        if not self._holder:
            self._hold()
        image = f"{self.directory}/memory/disks/{pathlib.Path(inside).name}.img"
        self._outside(f"head -c {size} /dev/zero >{image} && mkfs.ext4 -q -F -E nodiscard {image}")
        self.attach_disk(inside, options)

    def attach_disk(self, inside, options="defaults"):
        image = f"{self.directory}/memory/disks/{pathlib.Path(inside).name}.img"
        where = f"{self.directory}/root{inside}"
        self._outside(f"mkdir -p {where} && mount -o loop,{options} {image} {where}")

    def detach_disk(self, inside):
        self._outside(f"umount {self.directory}/root{inside}")

    def _outside(self, script):
        """Runs a script in the namespace that holds the host's root."""
        subprocess.run(["nsenter", "-t", str(self._init), "-m", "-p", "sh", "-ec", script], check=True,
                       stdin=subprocess.DEVNULL, capture_output=True, text=True)

    # Commands

    def _command(self, command, env, user, directory):
        words = ["nsenter", "-t", str(self._leader), "-a", f"--wdns={directory}"]
        if user:
            words += ["runuser", "-u", user, "--"]
        words += ["env", "-i", f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8"]
        words += [f"{key}={value}" for key, value in (env or {}).items()]
        return words + [str(word) for word in command]

    def run(self, *command, check=True, input=None, env=None, timeout=300, user=None, directory="/"):
        """Runs a command inside, without a terminal, and returns its CompletedProcess with text."""
        completed = subprocess.run(self._command(command, env, user, directory), input=input, timeout=timeout,
                                   stdin=subprocess.DEVNULL if input is None else None,
                                   capture_output=True, text=True, errors="replace")
        completed.args = " ".join(map(str, command))
        if check and completed.returncode != 0:
            raise CommandFailed(completed)
        return completed

    def shell(self, script, **options):
        return self.run("bash", "-euo", "pipefail", "-c", script, **options)

    def spawn(self, *command, env=None, user=None, directory="/", stdin=subprocess.DEVNULL,
              stdout=subprocess.PIPE, stderr=subprocess.PIPE):
        """Starts a command inside and returns a Process."""
        return Process(subprocess.Popen(self._command(command, env, user, directory), stdin=stdin,
                                        stdout=stdout, stderr=stderr, text=True, errors="replace"))

    # systemd

    def unit(self, name, *properties):
        """Properties of a unit as a dict."""
        wanted = properties or ("ActiveState", "SubState", "MainPID", "Result", "NRestarts", "InvocationID")
        answer = self.run("systemctl", "show", name, "--property=" + ",".join(wanted)).stdout
        return dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)

    def service(self, name, *command, properties=(), user=None):
        """Starts a long-running command as a transient service of the host."""
        options = [f"--property={p}" for p in properties]
        if user:
            options.append(f"--uid={user}")
        self.run("systemd-run", "--quiet", f"--unit={name}", "--collect", *options, *command)

    def journal(self, *options):
        """All that was sent to it until now: journald may have some of that still to read."""
        self.run("journalctl", "--sync", check=False)
        return self.run("journalctl", "--no-pager", "--output=short-monotonic", *options, check=False).stdout

    def until(self, condition, timeout=120, what="what was waited for"):
        return _wait_for(condition, timeout, what)
