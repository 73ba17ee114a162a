"""Hooks that hang, ignore SIGTERM, leave daemons behind and write without end: none holds up a deployment, and nothing of
them stays. And what comes of it when releasemgr, or the machine, is killed while one runs."""

import json

import pytest

from apps import App, all_at_once
from host import Host

DEAF = "#!/bin/sh\ntrap '' TERM INT HUP\nwhile :; do sleep 0.1; done\n"
DAEMON = "#!/bin/sh\nsetsid sh -c \"trap '' TERM HUP; sleep 4242\" </dev/null >/dev/null 2>&1 &\n"
FLOOD = "#!/bin/sh\nyes 'all work and no play'\n"
# Hangs the first time; what comes after a crash finds it mended.
ONCE = "#!/bin/sh\ntest -e /opt/$RELEASEMGR_APP/shared/once && exit 0\ntouch /opt/$RELEASEMGR_APP/shared/once\nexec sleep 1000\n"
BAD = {"start": "os._exit(3)"}

# app: (hook, program, the new release, exit code, what is said)
HOSTILE = {
    "before-deaf": ("BeforeSwitch", "deaf", {}, 1, "deaf was killed after 3.0s; nothing was switched"),
    "before-daemon": ("BeforeSwitch", "daemon", {}, 0, "2.0.0 is active and healthy"),
    "after-flood": ("AfterSwitch", "flood", {}, 3, "flood was killed after 3.0s; 1.0.0 serves again"),
    "after-daemon": ("AfterSwitch", "daemon", {}, 0, "2.0.0 is active and healthy"),
    "success-deaf": ("AfterSuccess", "deaf", {}, 0, "after-success: /usr/local/bin/deaf was killed after 3.0s"),
    "failure-flood": ("AfterFailure", "flood", BAD, 3, "after-failure: /usr/local/bin/flood was killed after 3.0s"),
    "failure-daemon": ("AfterFailure", "daemon", BAD, 3, "1.0.0 serves again"),
}
# app: (hook, the new release, the version that serves in the end, the verdict)
KILLED = {
    "killed-before": ("BeforeSwitch", {}, "1.0.0", "failed"),
    "killed-after": ("AfterSwitch", {}, "1.0.0", "taken-back"),
    "killed-success": ("AfterSuccess", {}, "2.0.0", "succeeded"),
    "killed-failure": ("AfterFailure", BAD, "1.0.0", "taken-back"),
}
POWER = {
    "power-before": ("BeforeSwitch", {}, "1.0.0", "failed"),
    "power-after": ("AfterSwitch", {}, "1.0.0", "taken-back"),
    "power-success": ("AfterSuccess", {}, "2.0.0", "succeeded"),
}


def hooks_running(host):
    units = host.run("systemctl", "list-units", "--plain", "--no-legend", "--all", "releasemgr-*.service").stdout
    return [line.split()[0] for line in units.splitlines() if not line.startswith("releasemgr-recover")]


def until_in_hook(app):
    app.host.until(lambda: app.host.path(f"/opt/{app.name}/shared/once").exists(), what=f"the hook of {app.name}")


def begin(app):
    """Has a deployment come as far as its hook, which hangs."""
    process = app.host.spawn("releasemgr", f"--app={app.name}", "activate", "2.0.0")
    until_in_hook(app)
    process.signal(9)
    process.wait()
    return app


def kill(app):
    """... and kills releasemgr there; what systemd runs after its end sees to the rest."""
    begin(app)
    unit = next(name for name in hooks_running(app.host) if name.startswith(f"releasemgr-{app.name}-"))
    app.host.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", unit)
    app.host.until(lambda: unit not in hooks_running(app.host), what="the end of the recovery")


@pytest.fixture(scope="module")
def host(layers):
    with Host(layers) as h:
        for name, text in {"deaf": DEAF, "daemon": DAEMON, "flood": FLOOD, "once": ONCE}.items():
            h.write(f"/usr/local/bin/{name}", text, 0o755)
        yield h


def make_apps(host, port, cases):
    """The apps of @cases, each with 1.0.0 active and the hook set: (name, hook, program, timeout, new release)."""
    apps = [App(host, name, port + n, f"[Hooks]\n{hook}=/usr/local/bin/{program}\nTimeout={timeout}\n", **new)
            for n, (name, hook, program, timeout, new) in enumerate(cases)]
    all_at_once(apps, App.set_up, 4)
    for app in apps:
        host.path(f"/opt/{app.name}/shared").mkdir(exist_ok=True)
    return {app.name: app for app in apps}


def assert_ended(app, serves, verdict):
    last = app.history()[0]
    assert (app.current(), app.answer(), last["verdict"]) == (serves, serves, verdict), json.dumps(last)
    assert not [unit for unit in hooks_running(app.host) if app.name in unit]


def test_none_hangs(host):
    apps = make_apps(host, 8100, [(name, hook, program, "3s", new) for name, (hook, program, new, *_) in HOSTILE.items()])
    all_at_once(apps.values(), App.go, len(apps))
    for name, (_, _, _, code, sentence) in HOSTILE.items():
        assert apps[name].done.returncode == code and sentence in apps[name].text, apps[name].text
        assert apps[name].history()[0]["took"] < 120_000_000
    assert hooks_running(host) == []
    assert host.run("pgrep", "-f", "sleep 4242", check=False).stdout == ""


def test_releasemgr_is_killed(host):
    apps = make_apps(host, 8200, [(name, hook, "once", "100s", new) for name, (hook, new, *_) in KILLED.items()])
    for app in apps.values():
        app.configure_new()
    all_at_once(apps.values(), kill, len(apps))
    for name, (_, _, serves, verdict) in KILLED.items():
        assert_ended(apps[name], serves, verdict)


def test_machine_is_killed(host):
    apps = make_apps(host, 8300, [(name, hook, "once", "100s", new) for name, (hook, new, *_) in POWER.items()])
    for app in apps.values():
        app.configure_new()
    all_at_once(apps.values(), begin, len(apps))
    host.power_off()
    host.start()
    for name, (_, _, serves, verdict) in POWER.items():
        app = apps[name]
        host.until(lambda: app.answer(), what=f"{name} after the boot")
        assert_ended(app, serves, verdict)
