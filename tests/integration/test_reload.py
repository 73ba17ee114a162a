"""Strategy=reload: the process stays, and reads the new release by itself; whole deployments, good ones and bad ones."""

import pytest

from apps import CONFIG, App
from host import Host

# What the release itself says is done by ExecReload=.
RELOAD = """\
ExecReload=/bin/sh -c 'if grep -q refuses /opt/app/current/release.json; then exit 7; fi; \
if grep -q hangs /opt/app/current/release.json; then sleep 1000; fi; kill -HUP $MAINPID'
"""


@pytest.fixture(scope="module")
def app(layers):
    with Host(layers) as h:
        yield App(h, "app", 8100, unit=RELOAD, strategy="reload").set_up()


def pid(app):
    return app.host.unit("app.service")["MainPID"]


def activate(app, version):
    done = app.releasemgr("activate", version, check=False)
    return done.returncode, done.stdout + done.stderr


def test_there_and_back(app):
    before = pid(app)
    assert activate(app, "2.0.0")[0] == 0
    assert (app.current(), app.answer()) == ("2.0.0", "2.0.0")
    app.releasemgr("rollback")
    assert (app.current(), app.answer(), pid(app)) == ("1.0.0", "1.0.0", before)


@pytest.mark.parametrize("version, about, sentence", [
    ("3.0.0", {"answer": "status = 503"}, "the status is 503, expected 200"),
    ("3.1.0", {"answer": "answer['version'] = '1.0.0'"}, "'version' is '1.0.0', expected '3.1.0'"),
    ("3.2.0", {"refuses": 1}, "Cannot reload app.service"),
])
def test_bad_release(app, version, about, sentence):
    before = pid(app)
    app.publish(version, **about)
    app.configure(CONFIG + "[Health]\nDeadline=4s\n")
    code, said = activate(app, version)
    assert code == 3 and sentence in said and "1.0.0 loaded again" in said, said
    assert (app.current(), app.answer(), pid(app)) == ("1.0.0", "1.0.0", before)
    assert "in quarantine" in activate(app, version)[1]


def test_reload_hangs(app):
    """Nothing but a restart ends it, and leads back: after half of the time that there is for that."""
    app.publish("4.0.0", hangs=1)
    app.configure(CONFIG + "[Service]\nStartTimeout=4s\n[Health]\nRevertDeadline=20s\n")
    code, said = activate(app, "4.0.0")
    assert code == 3 and "was asked to reload and had not done so after" in said and "it is restarted" in said, said
    assert (app.current(), app.answer()) == ("1.0.0", "1.0.0")


def test_not_running(app):
    app.host.run("systemctl", "stop", "app.service")
    app.configure(CONFIG)
    assert activate(app, "2.0.0")[0] == 0
    assert app.answer() == "2.0.0"
