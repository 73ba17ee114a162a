"""Handover when something else happens as well: old instances that do not end, templates that change, names that systemd
escapes, crashes, prunes, and the power."""

import contextlib
import json

import pytest

from handover.world import Echo
from host import Host


@pytest.fixture
def echo(layers, request):
    with Host(layers) as h:
        e = Echo(h).set_up(**getattr(request, "param", {}))
        e.publish("1.0.0")
        e.publish("2.0.0")
        e.releasemgr("activate", "1.0.0")
        yield e


def enabled(echo):
    """All that is started at boot because of an enablement."""
    return echo.host.shell("cd /etc/systemd/system; find . -type l -path '*.wants/*echo*' | sort").stdout


def assert_boots(echo, version, before):
    """At boot one instance comes up by itself, that of @version, and no other was ever enabled."""
    assert (echo.current(), echo.instances()) == (version, [version])
    assert echo.answer() == version
    assert enabled(echo) == before


@contextlib.contextmanager
def at_stage(echo, stage, *command):
    """A deployment that has come to @stage and stays there; its client is gone at the end."""
    process = echo.host.spawn("releasemgr", "--json", *command)
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "stage" and event["stage"] == stage:
            break
    else:
        raise AssertionError(f"it never came to {stage}: {process.communicate()}")
    try:
        yield process
    finally:
        process.signal(9)
        process.wait()


def test_boot_after(echo):
    before = enabled(echo)
    assert "echo@" not in before
    echo.publish("3.0.0", "exits")
    for command in "activate 2.0.0", "activate 3.0.0", "rollback":
        echo.releasemgr(*command.split(), check=False)
        version = "1.0.0" if command == "rollback" else "2.0.0"
        assert echo.current() == version
        echo.host.reboot()
        assert_boots(echo, version, before)


@pytest.mark.parametrize("stage", ["start", "drain"])
def test_power_off(echo, stage):
    before = enabled(echo)
    if stage == "start":
        echo.publish("3.0.0", "never-ready")
        expected = "1.0.0"
    else:  # not yet past the point of no return: it is taken back
        echo.publish("2.5.0", "never-exits")
        echo.releasemgr("activate", "2.5.0")
        echo.publish("3.0.0")
        expected = "2.5.0"
    with at_stage(echo, stage, "activate", "3.0.0"):
        if stage == "drain":
            echo.host.until(lambda: echo.current() == "3.0.0", what="the switch")
        echo.host.power_off()
    echo.host.start()
    assert_boots(echo, expected, before)


def test_old_one_never_exits(echo):
    echo.publish("2.5.0", "never-exits")
    echo.releasemgr("activate", "2.5.0")
    echo.configure("[Service]\nDrainTimeout=1s\n", "60-drain.conf")
    done = echo.releasemgr("activate", "2.0.0")
    assert "echo@2.5.0.service had not finished in time and was killed" in done.stdout + done.stderr
    assert (echo.current(), echo.instances(), echo.answer()) == ("2.0.0", ["2.0.0"], "2.0.0")
    assert json.loads(echo.releasemgr("history", "--json").stdout.splitlines()[0])["verdict"] == "succeeded"
    assert "echo@" not in echo.host.run("systemctl", "--failed").stdout


def test_old_one_cannot_be_stopped(echo):
    """Not even by SIGKILL, for what comes behind it: told as what it is, and the release that is going serves again."""
    echo.publish("1.5.0", "never-exits")
    echo.releasemgr("activate", "1.5.0")
    echo.configure("[Service]\nDrainTimeout=1s\n", "60-drain.conf")
    echo.host.write("/etc/systemd/system/echo@.service.d/stop.conf", "[Service]\nTimeoutStopSec=15s\n"
                    "ExecStopPost=/bin/sh -c 'test %i != 1.5.0 || test -e /run/let-go || sleep 1000'\n")
    echo.host.run("systemctl", "daemon-reload")
    done = echo.releasemgr("activate", "2.0.0", check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "2.0.0 failed" not in done.stdout
    assert "drain: echo@1.5.0.service was asked to stop and had not done so after 1" in done.stdout
    assert "(it is deactivating, stop-post); 1.5.0 serves again" in done.stdout
    assert (echo.current(), echo.instances(), echo.answer()) == ("1.5.0", ["1.5.0"], "1.5.0")
    echo.host.write("/run/let-go", "")
    echo.releasemgr("activate", "2.0.0")  # is not in quarantine
    assert (echo.current(), echo.instances(), echo.answer()) == ("2.0.0", ["2.0.0"], "2.0.0")


def test_template_edited_meanwhile(echo):
    """Nobody told systemd to read its files again: the next instance follows the new text, the old one drains."""
    template = "/etc/systemd/system/echo@.service"
    text = echo.host.read(template)
    echo.host.write(template, text + "Environment=EDITED=1\n")
    with echo.clients() as load:
        echo.releasemgr("activate", "2.0.0")
        assert "EDITED=1" in echo.host.unit("echo@2.0.0.service", "Environment")["Environment"]
        before = echo.host.unit("echo@2.0.0.service", "InvocationID")
        echo.host.write(template, text.replace("ExecStart=", "ExecStart=nowhere"))
        done = echo.releasemgr("activate", "1.0.0", check=False)
        assert done.returncode == 1 and "systemd-analyze verify echo@1.0.0.service" in done.stderr, done.stderr
        load.expect("2.0.0")
        echo.host.write(template, text)
        load.expect()
        echo.releasemgr("rollback")
        load.expect("1.0.0")
    assert load.seen["failures"] == {}
    assert before != echo.host.unit("echo@2.0.0.service", "InvocationID")


@pytest.mark.parametrize("version", ["1.0.0+build.rc1", "2.1.0-rc.1", "2.0.0_a-b-c"])
def test_escaped_names(echo, version):
    echo.publish(version)
    echo.releasemgr("activate", version)
    assert (echo.current(), echo.instances(), echo.answer()) == (version, [version], version)
    echo.host.reboot()
    assert (echo.instances(), echo.answer()) == ([version], version)
    echo.releasemgr("rollback")
    assert (echo.instances(), echo.answer()) == (["1.0.0"], "1.0.0")


def test_crashes_do_not_cost_the_socket(echo):
    """While the current release fails at each start, clients wait; nothing that systemd limits closes the socket."""
    with echo.clients() as load:
        echo.host.write("/run/echo.broken", "")
        echo.host.run("systemctl", "kill", "--signal=KILL", "echo@1.0.0.service")
        echo.host.until(lambda: int(echo.host.unit("echo@1.0.0.service", "NRestarts")["NRestarts"]) >= 6 or
                        echo.host.unit("echo.socket")["ActiveState"] != "active", what="six crashes")
        assert echo.host.unit("echo.socket")["ActiveState"] == "active", echo.host.journal("-u", "echo*")
        echo.host.path("/run/echo.broken").unlink()
        echo.host.until(lambda: echo.answer() == "1.0.0")
    assert not any("Refused" in failure or "No such file" in failure for failure in load.seen["failures"])


@pytest.mark.parametrize("echo", [{"listen": None, "service": "[Service]\n"}], ids=["worker"], indirect=True)
def test_worker_without_a_socket(echo):
    for command, version in ("activate 2.0.0", "2.0.0"), ("rollback", "1.0.0"):
        echo.releasemgr(*command.split())
        assert (echo.current(), echo.instances()) == (version, [version])
    echo.host.reboot()
    assert echo.instances() == ["1.0.0"]


def test_two_do_not_fit(echo):
    """Said before anything moves; but the way back is open."""
    echo.releasemgr("activate", "2.0.0")
    echo.publish("3.0.0")
    echo.host.shell("sed 's/^MemAvailable:.*/MemAvailable: 1000 kB/' /proc/meminfo >/run/meminfo; "
                    "mount --bind /run/meminfo /proc/meminfo")
    for verb in "plan", "activate":
        done = echo.releasemgr(verb, "3.0.0", check=False)
        assert done.returncode == 6 and "Two instances do not fit into memory" in done.stderr, done.stdout + done.stderr
    assert not echo.host.path("/opt/echo/releases/3.0.0").exists() and echo.instances() == ["2.0.0"]
    assert "Two instances do not fit into memory" in echo.releasemgr("rollback").stdout
    assert (echo.current(), echo.answer()) == ("1.0.0", "1.0.0")


def test_prune_spares_what_runs(echo):
    echo.configure("[Retention]\nKeep=1\n", "60-keep.conf")
    release = echo.host.path("/opt/echo/releases/1.0.0")
    echo.publish("2.5.0", "never-exits")
    echo.publish("3.0.0")
    echo.releasemgr("activate", "2.0.0")
    echo.host.run("systemctl", "start", "echo@1.0.0.service")  # by hand
    echo.releasemgr("pin", "1.0.0")
    echo.releasemgr("activate", "2.5.0")  # which drains it again
    echo.host.run("systemctl", "start", "echo@1.0.0.service")
    echo.releasemgr("unpin", "1.0.0")
    echo.releasemgr("prune")
    assert release.exists()
    with at_stage(echo, "drain", "activate", "3.0.0"):
        done = echo.releasemgr("prune", check=False)
        assert done.returncode == 5 and "at stage drain" in done.stderr, done.stderr
    echo.host.run("systemctl", "kill", "--signal=KILL", "echo@2.5.0.service")
    echo.host.until(lambda: echo.instances() == ["3.0.0"], what="the end of the drain")
    echo.host.until(lambda: not release.exists(), what="the end of what nobody needs")
