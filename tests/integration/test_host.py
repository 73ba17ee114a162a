"""The throwaway host keeps its own promises; everything else in this directory stands on them."""

import fcntl
import os
import pathlib
import subprocess
import sys

import pytest

from host import CommandFailed, Host, HostError


def test_is_a_real_systemd_host(host):
    assert host.run("systemctl", "is-system-running").stdout.strip() == "running"
    assert host.run("busctl", "status", "org.freedesktop.login1").returncode == 0
    assert host.read("/proc/1/comm") == "systemd\n"
    assert host.run("systemctl", "is-enabled", "mariadb.service", check=False).stdout.strip() == "masked"


def test_commands(host):
    assert host.run("cat", input="text").stdout == "text"
    assert host.shell("exit 3", check=False).returncode == 3
    assert host.run("env", env={"A": "b c"}).stdout.count("A=b c\n") == 1
    assert host.run("id", "-un", user="nobody").stdout == "nobody\n"
    with pytest.raises(CommandFailed):
        host.run("false")
    sleeper = host.spawn("sleep", "100")
    sleeper.signal(15)
    assert sleeper.wait() != 0


def test_changes_nothing_outside(host):
    host.write("/usr/lib/only-inside", "x")
    assert host.run("cat", "/usr/lib/only-inside").stdout == "x"
    assert not os.path.exists("/usr/lib/only-inside")


def test_program_is_installed(host):
    assert host.run("releasemgr", "--version").stdout.startswith("releasemgr ")


def test_reboot_keeps_the_disk_and_nothing_else():
    with Host() as h:
        h.write("/var/lib/kept", "1")
        h.write("/run/fresh", "1")
        # in microseconds: two starts may well fall into one second
        begun = ["systemctl", "show", "--value", "--property=UserspaceTimestampMonotonic"]
        starts = {h.run(*begun).stdout}
        for again in (h.reboot, lambda: (h.power_off(), h.start())):
            again()
            assert h.read("/var/lib/kept") == "1"
            assert not h.path("/run/fresh").exists()
            starts.add(h.run(*begun).stdout)
        assert len(starts) == 3


def test_power_cut_loses_what_was_not_synced():
    EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
    with Host() as h:
        h.power_off()
        h.add_disk("/srv/disk")
        h.start()
        h.shell("cd /srv/disk; echo 1 >synced; sync -f .; sync synced; echo 2 >lost")
        disk = os.open(h.path("/srv/disk"), os.O_RDONLY)
        fcntl.ioctl(disk, EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH.to_bytes(4, sys.byteorder))
        os.close(disk)
        assert h.shell("echo 3 >/srv/disk/late", check=False).returncode != 0
        h.power_off()
        h.detach_disk("/srv/disk")
        h.attach_disk("/srv/disk")
        h.start()
        assert h.read("/srv/disk/synced") == "1\n"
        assert not h.path("/srv/disk/lost").exists()


def test_two_at_once_and_nothing_left_behind():
    with Host() as a, Host() as b:
        a.write("/srv/who", "a")
        b.write("/srv/who", "b")
        assert (a.read("/srv/who"), b.read("/srv/who")) == ("a", "b")
        names, directories = [a.name, b.name], [a.directory, b.directory]
    assert not any(directory.exists() for directory in directories)
    mounts = pathlib.Path("/proc/self/mounts").read_text()
    groups = subprocess.run(["find", "/sys/fs/cgroup", "-maxdepth", "6", "-name", "releasemgr-test-*"],
                            capture_output=True, text=True).stdout
    for name in names:
        assert name not in mounts and name not in groups
        assert name not in subprocess.run(["losetup", "-a"], capture_output=True, text=True).stdout


def test_ends_with_a_killed_owner():
    script = "import os, sys; sys.path.insert(0, sys.argv[1]); import host; h = host.Host().start(); " \
             "print(h.name, h._leader, flush=True); os.kill(os.getpid(), 9)"
    done = subprocess.run(["/usr/bin/python3", "-c", script, os.path.dirname(__file__)], capture_output=True,
                          text=True)
    name, leader = done.stdout.split()

    def gone():
        try:
            return pathlib.Path(f"/proc/{leader}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
        except FileNotFoundError:
            return True

    with Host() as h:  # the next one clears away what was left
        h.until(gone, what="the end of an orphaned host")
    assert not list(pathlib.Path("/tmp").glob(name + "*"))


def test_a_broken_layer_is_an_error(tmp_path):
    with pytest.raises(HostError, match="cannot lay"):
        Host([tmp_path / "missing"]).start()
