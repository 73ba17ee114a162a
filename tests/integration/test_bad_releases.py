"""Releases that go bad in every way we know of, each as a whole deployment on a real host: taken back in time, with the
sentence that says why, on one screen, and in quarantine. All of them at once, each an app of its own."""

import json

import pytest

from apps import App, all_at_once
from host import Host

SOAK = "[Health]\nSoak=120s\n"
SHORT = "[Health]\nDeadline=5s\n"
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"

# What a release does, and what is said of it.
SOAKED = {
    "turns-bad": (dict(answer="if n > 25: status = 500"), "the status is 500, expected 200 (3 times in a row)"),
    "falls": (dict(start="after(15); os._exit(3)"), "falls.service exited with status 3"),
    "leaks": (dict(start="after(5)\nl = []\nwhile True: l.append(b'x' * (4 << 20)); time.sleep(0.02)",
                   unit="MemoryMax=96M\nMemorySwapMax=0\n"), "(OOM)"),
    "old-version": (dict(answer="answer['version'] = '1.0.0' if n > 10 else '2.0.0'"),
                    "'version' is '1.0.0', expected '2.0.0', the release that was activated (3 times in a row)"),
    "slower": (dict(answer="time.sleep(3 if n > 25 else 0.02)", config=SOAK + "Timeout=20s\n"), "times as slowly as at the beginning"),
    "closes": (dict(start="after(5); server.socket.close(); time.sleep(1e9)"), "Nothing listens at http://127.0.0.1:8105/health (3 times in a row)"),
    "leaves": (dict(start="after(5); os._exit(0)"), "leaves.service is inactive: its main process ended with status 0"),
    "hangs": (dict(start="while count < 8: tell('WATCHDOG=1'); time.sleep(0.2)", unit="WatchdogSec=8s\n",
                   old=dict(start="while True: tell('WATCHDOG=1'); time.sleep(0.2)")),
              "hangs.service was killed because it missed its watchdog"),
    "deaf": (dict(first=DEAF, answer="if n > 8: status = 500"), "the status is 500, expected 200 (3 times in a row)"),
}
BAD = SOAKED | {
    "forks": (dict(first="if os.fork(): os._exit(0)\nos.environ.pop('NOTIFY_SOCKET')"), "forks.service did not keep to its Type='s protocol"),
    "waits": (dict(answer="time.sleep(3)", config=SHORT + "Timeout=500ms\n"), "/health did not answer in time"),
    "endless": (dict(answer="self.send_response(200)\nself.end_headers()\nwhile True: self.wfile.write(b'x' * 65536)",
                     config=SHORT), "/health is larger than 256K"),
    "binary": (dict(start="sys.stdout.buffer.write(bytes(range(256)) * 500 + b'\\ntoken=sesame \\x1b[31m\\n'); "
                          "sys.stdout.flush(); os._exit(4)"), "binary.service exited with status 4"),
}
# Neither is the old release healthy by then.
BROKEN = {
    "nowhere": (dict(config=SHORT + "Socket=/run/nowhere.sock\nRevertDeadline=2s\n"),
                ["2.0.0 failed: Cannot connect", "and 1.0.0 is not healthy either: Cannot connect"]),
    "dead": (dict(old=dict(first="os.path.exists('/run/dead') and os._exit(5)"), first="open('/run/dead', 'w'); os._exit(3)",
                  unit="[Unit]\nStartLimitIntervalSec=0\n"),
             ["2.0.0 failed: Cannot restart: dead.service exited with status 3", "and 1.0.0 is not healthy either: Cannot restart: "
              "dead.service exited with status 5"]),
}


@pytest.fixture(scope="module")
def apps(layers):
    with Host(layers) as h:
        h.allow_memory_limits()
        cases = [(name, {"config": SOAK} | what) for name, (what, _) in SOAKED.items()]
        cases += [(name, what) for name, (what, _) in (BAD | BROKEN).items() if name not in SOAKED]
        apps = [App(h, name, 8100 + n, **what) for n, (name, what) in enumerate(cases)]
        all_at_once(apps, App.set_up, 4)
        all_at_once(apps, App.go, len(apps))
        yield {app.name: app for app in apps}


def assert_one_screen(app, *words):
    """From the verdict on, all that one needs to know."""
    said = app.text[app.text.index(" 2.0.0 failed: "):]
    for word in "stage: ", "unit: " + app.name, "undone: current -> 1.0.0", "clients: affected for ", "next: releasemgr ", *words:
        assert word in said, f"{word!r} is not said in:\n{said}"
    assert said.count("\n") <= 24 and said.replace("\n", "").isprintable() and "sesame" not in said, said


@pytest.mark.parametrize("name", BAD)
def test_taken_back(apps, name):
    app, sentence = apps[name], BAD[name][1]
    assert app.done.returncode == 3, app.text
    assert sentence in app.text
    assert_one_screen(app, "went back: healthy", *(["after it was healthy"] if name in SOAKED else []))
    assert (app.current(), app.answer()) == ("1.0.0", "1.0.0")
    last, first = app.history()
    assert last["verdict"] == "taken-back" and sentence in last["failure"]["reason"] and not last["down"]
    assert first["verdict"] == "succeeded"
    assert "in quarantine" in app.releasemgr("activate", "2.0.0", check=False).stderr


@pytest.mark.parametrize("name", BROKEN)
def test_nor_is_the_old_one(apps, name):
    """Exit 4, with both reports; and there it stays: nobody goes on starting one or the other."""
    app, sentences = apps[name], BROKEN[name][1]
    assert app.done.returncode == 4, app.text
    for sentence in sentences:
        assert sentence in app.text
    assert_one_screen(app, "and still are", "rollback VERSION goes further back")
    assert app.text.count("  unit: ") == 2
    assert app.current() == "1.0.0"
    entries = app.history()
    failure = entries[0]["failure"]
    assert entries[0]["verdict"] == "broken" and entries[0]["down"] and len(entries) == 2
    assert {"unit", "back_unit", "undone", "reason", "fault"} <= failure.keys()
    assert entries[0]["revert"] < 30_000_000  # neither of the 60 s that others have
    before = app.host.unit("nowhere.service")
    assert "in quarantine" in app.releasemgr("pull").stdout
    assert app.history() == entries
    if name == "nowhere":  # of the other one, systemd goes on trying, as its unit says
        assert app.host.unit("nowhere.service") == before and before["ActiveState"] == "active"


def test_json_and_show_say_the_same(apps):
    app = apps["endless"]
    entry = app.history()[0]
    shown = app.releasemgr("show").stdout
    for text in entry["text"], entry["hint"], *entry["failure"]["undone"], *entry["failure"]["unit"]["lines"]:
        assert text in shown
    app.releasemgr("quarantine", "lift", "2.0.0")
    done = app.releasemgr("--json", "activate", "--foreground", "2.0.0", check=False)
    end = json.loads(done.stdout.splitlines()[-1])
    assert end["event"] == "end" and end["failure"]["stage"] == "prove" and end["failure"]["health"]["last"][0]["asked"]
    assert app.history()[0] == {key: value for key, value in end.items() if key not in ("event", "at")}
