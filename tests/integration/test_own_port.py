"""Apps that bind their own port: the three ways of README's "Apps that bind their own port", as they stand there."""

import re

import pytest

import build
from handover.world import Echo
from host import Host

TCP = ["127.0.0.1:8000", "[::1]:8000"]


def recipe(beginning):
    """The commands below the paragraph of README that begins so, for our app."""
    text = (build.SOURCE / "README.md").read_text()
    section = text[text.index("### Apps that bind their own port"):]
    paragraph = section[section.index(f"**{beginning}"):]
    return re.search(r"^```sh\n(.*?)^```", paragraph, re.DOTALL | re.MULTILINE).group(1).replace("shop", "echo")


def environment(bind, **more):
    settings = {"BIND": bind, **more}
    return "[Service]\n" + "".join(f'Environment="{key}={value}"\n' for key, value in settings.items())


@pytest.fixture
def echo(layers):
    with Host(layers) as h:
        yield Echo(h)


def begin(echo, strategy, service, commands=None, config=""):
    echo.configure(config, "60-own.conf")
    echo.set_up(strategy, listen=None, service=service)
    if commands:
        echo.host.shell(commands)
    for version in ("1.0.0", "2.0.0"):
        echo.publish(version)
    echo.releasemgr("activate", "1.0.0")


def switch_and_back(echo, load, rounds):
    for _ in range(rounds):
        for verb, version in ("activate 2.0.0", "2.0.0"), ("rollback", "1.0.0"):
            echo.releasemgr(*verb.split())
            load.expect(version)
            load.expect()


def test_proxy_and_handover(echo, full):
    rounds = 50 if full else 3
    begin(echo, "handover", environment("http=/run/echo/%I.http"),
          recipe("The app may run twice and listens where it is told."))
    echo.publish("3.0.0", "unhealthy")
    with echo.clients(web=TCP, raw=[]) as load:
        switch_and_back(echo, load, rounds)
        echo.configure("[Health]\nDeadline=3s\n", "60-own.conf")
        assert echo.releasemgr("activate", "3.0.0", check=False).returncode == 3
        echo.configure("", "60-own.conf")
        load.expect("1.0.0")
    print(f"\n{2 * rounds} handovers behind socket-proxyd: {load}")
    assert load.seen["failures"] == {}
    # an instance that died does not stay the live one
    echo.host.run("systemctl", "kill", "--signal=KILL", "echo@1.0.0.service")
    echo.host.run("systemctl", "stop", "echo@1.0.0.service")
    echo.releasemgr("activate", "2.0.0")
    assert echo.answer() == "2.0.0"
    echo.host.reboot()
    assert echo.answer() == "2.0.0"


@pytest.mark.parametrize("migrate", [True, False], ids=["migrate", "plain"])
def test_reuseport(echo, full, migrate):
    """Without tcp_migrate_req connections may be reset: how many depends on the moment, and is told, not tested."""
    rounds = 50 if full else 3
    begin(echo, "handover", environment("http=127.0.0.1:8000 http=[::1]:8000 echo=127.0.0.1:8001", REUSE_PORT=1),
          recipe("The app may run twice and binds its port with SO_REUSEPORT.") if migrate else None)
    with echo.clients(web=TCP, raw=["127.0.0.1:8001"]) as load:
        switch_and_back(echo, load, rounds)
    print(f"\n{2 * rounds} handovers with SO_REUSEPORT, tcp_migrate_req={int(migrate)}: {load}\n{load.seen['failures']}")
    if migrate:
        assert load.seen["failures"] == {}
    else:
        assert {failure for failure in load.seen["failures"] if "reset" not in failure} == set()
    echo.host.reboot()
    assert echo.answer() == "1.0.0"


def test_proxy_and_restart(echo, full):
    rounds = 50 if full else 3
    begin(echo, "restart", environment("http=127.0.0.1:8080"),
          recipe("The app can only run once, on a port of its own."),
          "[Health]\nUrl=http://127.0.0.1:8080/health\n")
    echo.publish("3.0.0", "exits")
    with echo.clients(web=TCP, raw=[]) as load:
        switch_and_back(echo, load, rounds)
        assert echo.releasemgr("activate", "3.0.0", check=False).returncode == 3
        load.expect("1.0.0")
    print(f"\n{2 * rounds} restarts behind socket-proxyd: {load}\n{load.seen['failures']}")
    assert not any("Refused" in failure for failure in load.seen["failures"])
    echo.host.reboot()
    assert echo.answer() == "1.0.0"
