"""Handover: a switch that no client notices. Real units, real sockets, clients that never stop asking."""

import json
import re
import time

import pytest

from handover.world import HTTP, Echo
from host import Host


@pytest.fixture
def echo(layers):
    with Host(layers) as h:
        e = Echo(h).set_up()
        e.publish("1.0.0")
        e.publish("2.0.0")
        e.releasemgr("activate", "1.0.0")
        yield e


def assert_nobody_noticed(load, switches, undisturbed=None):
    print(f"\n{switches} switches: {load}" + (f"\nundisturbed: {undisturbed}" if undisturbed else ""))
    assert load.seen["failures"] == {}
    assert min(load.seen["requests"].values()) > switches


def idle(echo, seconds):
    """What the same clients see for as long when nothing happens."""
    with echo.clients() as load:
        time.sleep(seconds)
    assert load.failed == 0
    return load


def test_back_and_forth(echo, full):
    with echo.clients() as load:
        for n in range(100 if full else 5):
            echo.releasemgr("activate", "2.0.0")
            load.expect("2.0.0")  # the old one is drained: nobody hears of it any more
            assert (echo.current(), echo.instances()) == ("2.0.0", ["2.0.0"])
            load.expect()
            echo.releasemgr("rollback")
            load.expect("1.0.0")
            assert (echo.current(), echo.instances()) == ("1.0.0", ["1.0.0"])
            load.expect()
    assert_nobody_noticed(load, 2 * (n + 1), idle(echo, load.seconds))


@pytest.mark.parametrize("behaviour", ["unhealthy", "exits", "never-ready"])
def test_bad_release_never_interrupts(echo, full, behaviour):
    tries = 100 if full else 3
    before = echo.host.unit("echo@1.0.0.service", "InvocationID", "MainPID")
    echo.configure("[Service]\nStartTimeout=2s\n[Health]\nDeadline=2s\n", "60-short.conf")
    for n in range(tries):
        echo.publish(f"3.0.{n}", behaviour)
    with echo.clients() as load:
        for n in range(tries):
            done = echo.releasemgr("activate", f"3.0.{n}", check=False)
            load.expect("1.0.0")
            assert done.returncode == 3, done.stdout + done.stderr
            assert "1.0.0 serves on, undisturbed" in done.stdout + done.stderr
            assert (echo.current(), echo.instances()) == ("1.0.0", ["1.0.0"])
            load.expect()
    assert_nobody_noticed(load, tries, idle(echo, load.seconds) if full else None)
    assert echo.host.unit("echo@1.0.0.service", "InvocationID", "MainPID") == before


@pytest.mark.parametrize("behaviour, sentence", [
    ("turns-bad", "the status is 500, expected 200 (3 times in a row)"),
    ("dies", "echo@3.0.0.service exited with status 3"),
])
def test_taken_back_within_the_soak(echo, behaviour, sentence):
    echo.configure("[Health]\nSoak=120s\nIntervalMax=200ms\n", "60-soak.conf")
    echo.publish("3.0.0", behaviour)
    with echo.clients() as load:
        done = echo.releasemgr("activate", "--foreground", "3.0.0", check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    assert sentence in done.stdout + done.stderr
    assert echo.current() == "1.0.0"
    assert echo.instances() == ["1.0.0"]
    if behaviour != "dies":  # a process that dies takes its connections along
        assert_nobody_noticed(load, 2)
    assert echo.releasemgr("activate", "3.0.0", check=False).returncode == 6


def test_nor_does_the_old_one_start(echo):
    """Within the soak neither is well: exit 4, both are told of, and the old one is tried once."""
    echo.configure("[Health]\nSoak=120s\nIntervalMax=200ms\nRevertDeadline=60s\n", "60-soak.conf")
    echo.publish("3.0.0", "turns-bad", breaks=True)
    done = echo.releasemgr("activate", "--foreground", "3.0.0", check=False)
    out = done.stdout
    assert done.returncode == 4, out + done.stderr
    assert "expected 200 (3 times in a row)" in out and "and 1.0.0 is not healthy either: Cannot start: echo@1.0.0.service exited" in out
    assert "release 1.0.0 cannot start" in out and "echo@3.0.0.service stopped" in out and "and still are" in out
    assert out.count("| serve[") == 1 and echo.current() == "1.0.0"


@pytest.mark.parametrize("what, limits", [("start", "[Service]\nStartTimeout=60s\n[Health]\nDeadline=6s\n"),
                                          ("health", "[Service]\nStartTimeout=6s\n[Health]\nDeadline=60s\n")])
def test_time_to_go_back(echo, what, limits):
    """By default the old one has StartTimeout= and Deadline= together, for both."""
    echo.configure("[Health]\nSoak=60s\nIntervalMax=200ms\n" + limits, "60-soak.conf")
    echo.publish("3.0.0", "turns-bad", slows=what)
    done = echo.releasemgr("activate", "--foreground", "3.0.0", check=False)
    assert done.returncode == 3 and "1.0.0 serves again" in done.stdout, done.stdout + done.stderr
    entry = json.loads(echo.releasemgr("history", "--json").stdout.splitlines()[0])
    assert entry["revert"] > 9_000_000 and (echo.current(), echo.answer()) == ("1.0.0", "1.0.0")


def test_rollback_cuts_the_soak_short(echo):
    echo.configure("[Health]\nSoak=600s\n", "60-soak.conf")
    with echo.clients() as load:
        done = echo.releasemgr("activate", "2.0.0")  # returns when it is healthy
        assert "taken back if it turns bad" in done.stdout
        assert echo.instances() == ["2.0.0"]
        echo.host.until(lambda: re.search("at stage soak, .* left", echo.releasemgr("status").stdout), what="the soak")
        assert [e["version"] for e in map(json.loads, echo.releasemgr("history", "--json").stdout.splitlines())] == ["1.0.0"]
        other = echo.releasemgr("activate", "1.0.0", check=False)
        assert other.returncode == 5, other.stdout + other.stderr
        assert "left" in other.stderr
        echo.releasemgr("rollback")
    assert_nobody_noticed(load, 2)
    assert echo.current() == "1.0.0"
    assert echo.instances() == ["1.0.0"]
    assert "held by" in echo.releasemgr("pull").stdout  # the timer does not bring it again
    assert echo.instances() == ["1.0.0"]
    assert echo.releasemgr("activate", "2.0.0").returncode == 0  # a person may


def test_boot_starts_the_current_instance(echo):
    echo.releasemgr("activate", "2.0.0")
    echo.host.reboot()
    assert echo.answer() == "2.0.0"
    assert echo.instances() == ["2.0.0"]
    echo.host.run("systemctl", "stop", "echo@2.0.0.service")
    assert echo.instances() == []
    assert echo.answer() == "2.0.0"  # the socket brings it back
    assert echo.instances() == ["2.0.0"]


def test_a_client_waits_while_there_is_nothing_to_start(echo):
    """Before the first release, or when its link is lost: systemd would close the socket of a start that ends at once."""
    echo.host.run("systemctl", "stop", "echo@1.0.0.service")
    echo.host.shell("mv /opt/echo/current /opt/echo/away")
    client = echo.host.spawn("curl", "-s", "--max-time", "300", f"http://{HTTP[0]}/")
    echo.host.until(lambda: echo.host.journal("--unit=echo.service").count("nothing to start") >= 6, timeout=120,
                    what="six tries to start a release")
    assert echo.host.unit("echo.socket", "ActiveState") == {"ActiveState": "active"}
    assert client.poll() is None
    echo.host.shell("mv /opt/echo/away /opt/echo/current")
    done = client.communicate()
    assert done.returncode == 0 and json.loads(done.stdout)["version"] == "1.0.0", done.stdout + done.stderr
    assert echo.instances() == ["1.0.0"]


def test_check_looks_at_the_instance(echo):
    assert "echo@1.0.0.service is active (running)\n" in echo.releasemgr("check").stdout
    echo.host.shell("mkdir -p /run/systemd/system/echo@.service.d; cd /run/systemd/system/echo@.service.d; "
                    "printf '[Service]\\nKillMode=process\\nWorkingDirectory=/opt/echo/current\\n[Unit]\\nStartLimitIntervalSec=5\\n' >spoil.conf; "
                    "systemctl daemon-reload")
    done = echo.releasemgr("check", check=False)
    assert done.returncode != 0 and "KillMode=process: " in done.stdout
    assert "StartLimitIntervalSec=: " in done.stdout and "Sockets=: " not in done.stdout
    assert "WorkingDirectory=/opt/echo/current: " in done.stdout and "Type=" not in done.stdout


def test_check_misses_the_socket(echo):
    echo.host.shell("sed -i '/^Sockets=/d' /etc/systemd/system/echo@.service; systemctl daemon-reload")
    echo.host.run("systemctl", "restart", "echo@1.0.0.service")
    done = echo.releasemgr("check", check=False)
    assert done.returncode != 0 and "Sockets=: instances are not given the app's socket" in done.stdout
