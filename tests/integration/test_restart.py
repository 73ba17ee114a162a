"""Strategy=restart with the socket held by systemd: nobody is refused, they wait. Beside what `systemctl restart` does to the
clients of an app that binds its own socket."""

import pytest

from handover.world import HTTP, Echo
from host import Host

OWN = None  # the app binds its own sockets


@pytest.fixture
def echo(layers, request):
    with Host(layers) as h:
        e = Echo(h).set_up("restart", getattr(request, "param", HTTP[0]))
        e.publish("1.0.0")
        e.publish("2.0.0")
        e.releasemgr("activate", "1.0.0")
        yield e


def switch_and_back(echo, load, rounds):
    for _ in range(rounds):
        for verb, version in ("activate 2.0.0", "2.0.0"), ("rollback", "1.0.0"):
            echo.releasemgr(*verb.split())
            load.expect(version)
            assert echo.current() == version
            load.expect()


def restart(echo, times):
    with echo.clients() as load:
        for _ in range(times):
            echo.host.run("systemctl", "reset-failed", "echo.service")  # or it hits its start limit
            echo.host.run("systemctl", "restart", "echo.service")
    return load


def test_held_socket(echo, full):
    rounds = 50 if full else 4
    with echo.clients() as load:
        switch_and_back(echo, load, rounds)
    print(f"\n{2 * rounds} releases, systemd holds the sockets: {load}")
    print(f"{2 * rounds} x bare systemctl restart, the same: {restart(echo, 2 * rounds)}")
    assert load.seen["failures"] == {}


@pytest.mark.parametrize("echo", [OWN], indirect=True)
def test_own_sockets(echo, full):
    """That clients are refused here shows that the clients above would have noticed."""
    rounds = 50 if full else 4
    with echo.clients() as load:
        for _ in range(rounds):
            echo.releasemgr("activate", "2.0.0")
            echo.releasemgr("rollback")
    print(f"\n{2 * rounds} releases, the app binds its sockets: {load}")
    bare = restart(echo, 2 * rounds)
    print(f"{2 * rounds} x bare systemctl restart, the same: {bare}")
    assert "let systemd hold its socket" in echo.releasemgr("check").stdout
    assert any("Refused" in failure for failure in bare.seen["failures"])
    assert any("Refused" in failure for failure in load.seen["failures"])


@pytest.mark.parametrize("behaviour", ["unhealthy", "exits", "exits-at-once", "never-ready"])
def test_bad_release(echo, full, behaviour):
    """Not even a release that fails in a loop costs the socket."""
    tries = 25 if full else 2
    for n in range(tries):
        echo.publish(f"3.0.{n}", behaviour)
    echo.configure("[Service]\nStartTimeout=2s\n[Health]\nDeadline=2s\nRevertDeadline=60s\n", "60-short.conf")
    with echo.clients() as load:
        for n in range(tries):
            done = echo.releasemgr("activate", f"3.0.{n}", check=False)
            load.expect("1.0.0")
            assert done.returncode == 3, done.stdout + done.stderr
            load.expect()
    print(f"\n{tries} releases that fail ({behaviour}): {load}")
    assert load.seen["failures"] == {}


def test_check(echo):
    assert "echo.service is active (running)\n" in echo.releasemgr("check").stdout
    echo.host.write("/etc/systemd/system/echo.service.d/limit.conf", "[Unit]\nStartLimitIntervalSec=10\n")
    echo.host.run("systemctl", "daemon-reload")
    assert "StartLimitIntervalSec=0 keeps it" in echo.releasemgr("check").stdout


def test_boot(echo):
    """The socket is there at boot, and starts the service when a client comes."""
    echo.host.reboot()
    assert echo.answer() == "1.0.0"
    echo.host.run("systemctl", "stop", "echo.service")
    assert echo.answer() == "1.0.0"


def test_listen_without_exec(echo):
    done = echo.releasemgr("init", "other", "--url", "file:///srv/repository", "--trust",
                           "/srv/repository/metadata/1.root.json", "--listen", "8000", check=False)
    assert done.returncode == 2 and "--listen without --exec" in done.stderr and "Sockets=" in done.stderr
    assert not echo.host.path("/etc/releasemgr/other.conf").exists()
