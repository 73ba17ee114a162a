"""Sockets that systemd closed, or opened too late for what runs: nobody reaches a release that is started without them,
however well it is. It is told, it is mended where that can be, and no release is blamed for it."""

import json

import pytest

from handover.world import HTTP, Echo
from host import Host

# One more socket, of a kind that can be opened again while a process holds its old one.
EXTRA = "[Socket]\nListenStream=/run/extra.sock\nService=echo.service\n"
EXTRA_SERVICE = "[Service]\nSockets=echo-echo.socket\nSockets=echo-extra.socket\n"


def make(host, strategy):
    host.write("/etc/systemd/system/echo-extra.socket", EXTRA)
    e = Echo(host).set_up(strategy, service=EXTRA_SERVICE)
    e.host.run("systemctl", "start", "echo-extra.socket")
    for version in "1.0.0", "2.0.0":
        e.publish(version)
    e.releasemgr("activate", "1.0.0")
    return e


@pytest.fixture
def echo(layers):
    with Host(layers) as h:
        yield make(h, "handover")


@pytest.fixture
def alone(layers):
    with Host(layers) as h:
        yield make(h, "restart")


def drop_in(echo, unit, text):
    echo.host.write(f"/run/systemd/system/{unit}.d/spoil.conf", text)
    echo.host.run("systemctl", "daemon-reload")


def extra(echo):
    """Who answers at the socket that came later."""
    done = echo.host.run("curl", "-s", "--max-time", "60", "--unix-socket", "/run/extra.sock", "http://localhost/", check=False)
    return json.loads(done.stdout)["version"] if done.returncode == 0 else None


def assert_told(echo, *words):
    status, check = echo.releasemgr("status"), echo.releasemgr("check", check=False)
    assert check.returncode == 1
    for said in status.stdout, check.stdout:
        for word in words:
            assert word in said, said
    assert words[0] in json.loads(echo.releasemgr("status", "--json").stdout)["socket"]["text"]


def assert_well(echo, version):
    assert (echo.current(), echo.answer(), extra(echo)) == (version, version, version)
    assert "socket:" not in echo.releasemgr("status").stdout and "ok   unit" in echo.releasemgr("check", check=False).stdout


def test_closed_under_what_runs(echo):
    """It cannot be opened while the old instance holds its address: so that is not let go for one that nobody would reach."""
    before = echo.host.unit("echo@1.0.0.service", "InvocationID")
    assert_well(echo, "1.0.0")
    echo.host.run("systemctl", "stop", "echo.socket")
    assert_told(echo, "echo.socket is closed: it was stopped", "systemctl start echo.socket echo@1.0.0.service")
    again = echo.releasemgr("activate", "1.0.0")
    assert "echo.socket is closed: it was stopped" in again.stdout + again.stderr
    done = echo.releasemgr("activate", "2.0.0", check=False)
    assert done.returncode == 6, done.stdout + done.stderr
    assert "start: echo.socket is closed: its address cannot be had; nothing was switched" in done.stdout
    assert "`journalctl -u echo.socket`" in done.stdout
    assert (echo.current(), echo.instances(), echo.answer()) == ("1.0.0", ["1.0.0"], "1.0.0")
    assert echo.host.unit("echo@1.0.0.service", "InvocationID") == before
    echo.host.run("systemctl", "stop", "echo@1.0.0.service")
    echo.releasemgr("activate", "2.0.0")  # is not in quarantine
    assert_well(echo, "2.0.0")


def test_rollback_with_one_that_was_closed(echo):
    """Nobody waits for an operator to find out why he cannot go back: what holds the address stops first."""
    echo.releasemgr("activate", "2.0.0")
    echo.host.run("systemctl", "stop", "echo.socket")
    done = echo.releasemgr("rollback")
    assert "echo.socket is closed: its address cannot be had; " in done.stdout + done.stderr
    assert echo.instances() == ["1.0.0"]
    assert_well(echo, "1.0.0")


def test_rollback_with_one_that_was_closed_to_what_is_ill(echo):
    """What was stopped for it comes back, and is reached."""
    echo.releasemgr("activate", "2.0.0")
    drop_in(echo, "echo@1.0.0.service", "[Service]\nExecStartPre=/bin/false\n")
    echo.host.run("systemctl", "stop", "echo.socket")
    done = echo.releasemgr("rollback", check=False)
    assert done.returncode == 3 and "; 2.0.0 serves again" in done.stdout, done.stdout + done.stderr
    assert echo.instances() == ["2.0.0"]
    assert_well(echo, "2.0.0")


def test_rollback_with_one_that_stays_closed(echo):
    """That what runs holds the address is not what keeps it closed: nothing is stopped for it."""
    echo.releasemgr("activate", "2.0.0")
    before = echo.host.unit("echo@2.0.0.service", "InvocationID")
    drop_in(echo, "echo.socket", "[Socket]\nExecStartPre=/bin/false\n")
    echo.host.run("systemctl", "stop", "echo.socket")
    done = echo.releasemgr("rollback", check=False)
    assert done.returncode == 6 and "start: echo.socket is closed: exit-code; nothing was switched" in done.stdout, done.stdout
    assert (echo.current(), echo.instances(), echo.answer()) == ("2.0.0", ["2.0.0"], "2.0.0")
    assert echo.host.unit("echo@2.0.0.service", "InvocationID") == before


def test_opened_after_what_runs(echo):
    echo.host.run("systemctl", "restart", "echo-extra.socket")
    late = "echo-extra.socket was opened after the process of echo@1.0.0.service was started, which does not have it"
    assert_told(echo, late, "systemctl restart echo@1.0.0.service")
    again = echo.releasemgr("activate", "1.0.0")
    assert "1.0.0 is active already" in again.stdout and late in again.stdout + again.stderr
    client = echo.host.spawn("curl", "-s", "--max-time", "300", "--unix-socket", "/run/extra.sock", "http://localhost/")
    echo.releasemgr("activate", "2.0.0")  # who waits there is answered
    assert json.loads(client.communicate().stdout)["version"] == "2.0.0"
    assert_well(echo, "2.0.0")


def test_closed_while_the_new_one_starts(echo):
    """As where systemd closes it for a limit. The old one drains only for one that is reached."""
    drop_in(echo, "echo@.service", "[Service]\nExecStartPost=/bin/sh -c 'test ! -e /run/close || systemctl stop echo-extra.socket'\n")
    echo.host.write("/run/close", "")
    done = echo.releasemgr("activate", "2.0.0", check=False)
    assert done.returncode == 6, done.stdout + done.stderr
    assert "start: echo-extra.socket is closed: it was stopped; nothing was switched" in done.stdout
    assert "releasemgr status names the commands" in done.stdout
    assert (echo.current(), echo.instances(), echo.answer()) == ("1.0.0", ["1.0.0"], "1.0.0")
    assert_told(echo, "echo-extra.socket is closed: it was stopped", "systemctl start echo-extra.socket echo@1.0.0.service")
    echo.host.path("/run/close").unlink()
    echo.releasemgr("activate", "2.0.0")  # is not in quarantine
    assert_well(echo, "2.0.0")


@pytest.mark.parametrize("how", ["", "[Service]\nKillSignal=SIGCONT\n"])
def test_closed_within_the_soak(echo, how):
    """What turns bad holds the address, so it has to go before the old one comes; even where it does not want to."""
    echo.configure("[Health]\nSoak=60s\nIntervalMax=500ms\nRevertDeadline=10s\n", "60-soak.conf")
    echo.publish("3.0.0", "turns-bad")
    drop_in(echo, "echo@3.0.0.service", how)
    drop_in(echo, "echo@1.0.0.service", "[Service]\nExecStopPost=systemctl stop --no-block echo.socket\n")
    done = echo.releasemgr("activate", "--foreground", "3.0.0", check=False)
    assert done.returncode == 3 and "1.0.0 serves again" in done.stdout, done.stdout + done.stderr
    assert_well(echo, "1.0.0")


def test_there_is_none(echo):
    drop_in(echo, "echo@.service", "[Service]\nSockets=echo-none.socket\n")
    done = echo.releasemgr("activate", "2.0.0", check=False)
    assert done.returncode == 6 and "start: echo-none.socket is closed: there is no such unit; nothing was" in done.stdout, done.stdout
    assert_told(echo, "echo-none.socket is closed: there is no such unit")
    assert (echo.current(), echo.instances(), echo.answer()) == ("1.0.0", ["1.0.0"], "1.0.0")


def test_touched_too_often(echo):
    """systemd closes it. The next release has it again."""
    drop_in(echo, "echo.service", "[Unit]\nConditionPathExists=/nowhere\nStartLimitIntervalSec=10\n")
    check = echo.releasemgr("check", check=False).stdout
    for word in "FAIL unit       echo.service: StartLimitIntervalSec=: ", "ConditionPathExists=: ", "systemctl edit echo.service":
        assert word in check, check
    echo.host.run("systemctl", "stop", "echo@1.0.0.service")
    echo.answer()
    echo.host.until(lambda: echo.host.unit("echo.socket")["Result"] == "trigger-limit-hit", what="the limit")
    assert "echo.socket is closed: it was touched too often" in echo.releasemgr("status").stdout
    echo.releasemgr("activate", "2.0.0")
    drop_in(echo, "echo.service", "")
    assert_well(echo, "2.0.0")


def test_start_keeps_pace(echo):
    """What starts well and ends at once is started again for a client that waits, but not so often as to lose the socket."""
    drop_in(echo, "echo.socket", "[Socket]\nTriggerLimitIntervalSec=4s\nTriggerLimitBurst=12\n")  # it counts two a start
    drop_in(echo, "echo@.service", "[Service]\nType=exec\nExecStart=\nExecStart=/bin/true\n")
    echo.host.run("systemctl", "stop", "echo@1.0.0.service")
    client = echo.host.spawn("curl", "-s", "--max-time", "300", f"http://{HTTP[0]}/")
    journal = lambda: echo.host.journal("--unit=echo.service").count("Finished")  # noqa: E731
    before = journal()
    echo.host.until(lambda: journal() >= before + 8 or echo.host.unit("echo.socket")["ActiveState"] != "active", what="eight starts")
    assert echo.host.unit("echo.socket")["ActiveState"] == "active" and client.poll() is None
    drop_in(echo, "echo@.service", "")
    assert json.loads(client.communicate().stdout)["version"] == "1.0.0"


def test_boots_with_a_wrong_configuration(echo):
    """What is wrong there keeps nobody from starting what current names."""
    echo.configure("[Health]\nNonsense=1\n[Health x]\nTcp=nowhere\n", "60-wrong.conf")
    echo.host.reboot()
    assert (echo.instances(), echo.answer()) == (["1.0.0"], "1.0.0")


def test_restart_opens_what_was_stopped(alone):
    alone.host.run("systemctl", "stop", "echo.socket", "echo-extra.socket")
    assert_told(alone, "echo", "is closed: it was stopped")
    alone.releasemgr("activate", "2.0.0")
    assert_well(alone, "2.0.0")


def test_restart_cannot_open_it(alone):
    """As before it, and so only told; but what is lost by the restart is taken back, and the release not blamed."""
    drop_in(alone, "echo-extra.socket", "[Unit]\nPartOf=echo.service\n[Socket]\nExecStartPre=test ! -e /run/broken\n")
    alone.host.write("/run/broken", "")
    done = alone.releasemgr("activate", "2.0.0", check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "restart: echo-extra.socket is closed: " in done.stdout and "; 1.0.0 serves again" in done.stdout
    assert (alone.current(), alone.answer()) == ("1.0.0", "1.0.0")
    done = alone.releasemgr("activate", "2.0.0")  # is not in quarantine
    assert "echo-extra.socket is closed: " in done.stdout + done.stderr and alone.answer() == "2.0.0"
    alone.host.path("/run/broken").unlink()
    alone.releasemgr("rollback")
    assert_well(alone, "1.0.0")
