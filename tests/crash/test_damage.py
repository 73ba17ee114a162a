"""What the host remembers is damaged, or `current` is not what it was: what is wrong is said, with the file and what to do
next, and neither a rollback nor recovery needs any of it."""

import contextlib
import json
import shutil

import pytest

import faults
import world

STATE = "/var/lib/releasemgr/app"
LEDGER, HISTORY, JOURNAL = (f"{STATE}/{name}" for name in ("ledger.json", "history.jsonl", "journal"))
CURRENT = "/opt/app/current"
FAILED, UNHEALTHY, REFUSED = 1, 4, 6


@pytest.fixture
def lived(struck):
    """1.0.0, then 2.0.0, which runs; 3.0.0 failed."""
    w = struck
    w.come_back()
    if not w.path(f"{world.KEPT}/lived").exists():
        for version in ("2.0.0", "3.0.0"):
            w.releasemgr("activate", version)
        w.keep("lived")
    w.come_back("lived")
    return w


def says(done, code, *words):
    text = done.stdout + done.stderr
    assert done.returncode == code, (done.args, done.returncode, text)
    for word in words:
        assert word in text, (done.args, word, text)
    return text


def kept(w, path):
    return [p for p in w.path(STATE).iterdir() if p.name.startswith(f"{path.rsplit('/', 1)[1]}.damaged-")]


# The ledger

def half(path):
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


def directory(path):
    path.unlink()
    path.mkdir()


def noise(path):
    path.write_bytes(bytes(range(256)) * 16)


@pytest.mark.parametrize("damage", [half, directory, noise, lambda path: path.write_bytes(b"")])
def test_ledger(lived, damage):
    w = lived
    damage(w.path(LEDGER))
    says(w.releasemgr("status"), 0, LEDGER, "is damaged", "releasemgr recover", "2.0.0")
    says(w.releasemgr("list"), 0, LEDGER, "releasemgr recover", "1.0.0", "active")
    for command in (["hold"], ["pin", "1.0.0"], ["prune"], ["quarantine", "lift", "3.0.0"], ["check"], ["plan", "1.0.0"]):
        says(w.releasemgr(*command), FAILED, LEDGER, "is damaged", "releasemgr recover")
    says(w.releasemgr("rollback"), 0, LEDGER, f"{LEDGER}.damaged-", "1.0.0 is active and healthy")
    w.settle()
    w.check(("1.0.0",))
    assert len(kept(w, LEDGER)) == 1
    # What is not known is taken to be so: the timer is held, nothing is pruned, what failed is not brought again.
    says(w.releasemgr("pull"), 0, "held by", "nothing to do")
    w.check(("1.0.0",))
    says(w.releasemgr("activate", "3.0.0"), REFUSED, "quarantine lift 3.0.0")
    assert "pinned" in says(w.releasemgr("list"), 0)
    w.releasemgr("unhold", check=True)
    w.releasemgr("pull", check=True)
    w.check(("2.0.0",))


@pytest.mark.parametrize("boot", [[], ["--boot"]])
def test_ledger_at_recovery(lived, boot):
    w = lived
    w.path(LEDGER).write_bytes(b"{")
    says(w.releasemgr("recover", *boot), 0, LEDGER, f"{LEDGER}.damaged-", "unhold")
    says(w.releasemgr("recover", *boot), 0)
    assert len(kept(w, LEDGER)) == 1
    ledger = json.loads(w.path(LEDGER).read_text())
    assert [p["version"] for p in ledger["proven"]] == ["1.0.0", "2.0.0"]
    assert ledger["pins"] == w.releases() and ledger["hold"]["by"] == "releasemgr"
    w.check(("2.0.0",))
    says(w.releasemgr("rollback"), 0, "1.0.0 is active")


def lose(w, *paths):
    for path in paths:
        w.path(path).write_bytes(b"\0" * 4096)


def test_ledger_and_history(struck):
    """The journal still knows from which release the last deployment came, and from which one somebody rolled back."""
    w = struck
    w.come_back(w.start_of("rollback"))
    lose(w, LEDGER, HISTORY)
    says(w.releasemgr("rollback"), 0, "1.0.0 is active and healthy")
    w.settle()
    assert w.current() == w.running() == "1.0.0"
    lose(w, LEDGER, HISTORY)
    w.releasemgr("recover", check=True)
    assert [p["version"] for p in json.loads(w.path(LEDGER).read_text())["proven"]] == ["1.0.0", "2.0.0"]
    says(w.releasemgr("rollback"), REFUSED, "here are 2.0.0")


def test_ledger_and_a_history_that_cannot_be_read(struck):
    """As one that is lost. What could not be written into it is, once that can be."""
    w = struck
    w.come_back(w.start_of("rollback"))
    noise(w.path(LEDGER))
    directory(w.path(HISTORY))
    says(w.releasemgr("rollback"), 0, "cannot read history.jsonl", f"{LEDGER}.damaged-", "1.0.0 is active and healthy")
    w.settle()
    assert w.current() == w.running() == "1.0.0"
    w.path(HISTORY).rmdir()
    w.releasemgr("recover", check=True)
    w.check(("1.0.0",))


@pytest.mark.parametrize("also", [[], [JOURNAL]])
def test_nothing_knows_what_proved_itself(lived, also):
    """What is here is named, and what is named is gone back to."""
    w = lived
    lose(w, LEDGER, HISTORY, *also)
    says(w.releasemgr("rollback"), REFUSED, "rollback VERSION", "here are 1.0.0, 3.0.0")
    says(w.releasemgr("rollback", "1.0.0"), 0, "1.0.0 is active")
    assert w.current() == w.running() == "1.0.0"


# The history

def test_history(lived):
    """Lines that are none, at the end, in the middle and without an end."""
    w = lived
    lines = w.path(HISTORY).read_bytes().splitlines(keepends=True)
    w.path(HISTORY).write_bytes(lines[0] + b"\0\xff\x00{\n" + lines[1] + lines[2][:40])
    offset = sum(map(len, lines[:2])) + 5
    said = f"{HISTORY}: 2 lines are damaged and passed over, the last at offset {offset}"
    says(w.releasemgr("history"), 0, said, "1.0.0", "2.0.0")
    says(w.releasemgr("status"), 0, f"{HISTORY}: 1 line is damaged", "2.0.0")
    says(w.releasemgr("show"), 0, f"{HISTORY}: 1 line is damaged", "2.0.0")
    assert all(json.loads(line) for line in w.releasemgr("history", "--json").stdout.splitlines())
    w.releasemgr("activate", "1.0.0", check=True)
    w.settle()
    entries = [json.loads(line) for line in w.releasemgr("history", "--json").stdout.splitlines()]
    assert [e["version"] for e in entries if "id" in e] == ["1.0.0", "2.0.0", "1.0.0"]
    assert w.current() == w.running() == "1.0.0"


# The journal

def test_journal(struck):
    """Of a deployment that was killed: it is kept, the place is named, and the host runs a sealed release."""
    w = struck
    w.come_back()
    w.releasemgr("activate", "--foreground", "2.0.0", fault=faults.Fault(60))
    text = w.path(JOURNAL).read_bytes()
    assert b'"end"' not in text and text.count(b"\n") > 2
    lines = text.splitlines(keepends=True)
    w.path(JOURNAL).write_bytes(lines[0] + b"#" + text[len(lines[0]) + 1:])
    w.host.run("systemctl", "stop", "app.service")
    says(w.releasemgr("recover"), 0, f"damaged at offset {len(lines[0])}", f"{JOURNAL}.damaged-")
    w.check(("1.0.0",))
    assert [p.read_bytes()[:len(lines[0])] for p in kept(w, JOURNAL)] == [lines[0]]
    w.releasemgr("activate", "2.0.0", check=True)
    w.check(("2.0.0",))


def test_journal_and_the_service_is_not_well(lived):
    """What `current` names is not healthy: recovery does not say that all is well, whatever else it mended."""
    w = lived
    w.path(JOURNAL).write_bytes(bytes(64) * 8)
    status = w.path("/opt/app/releases/2.0.0/bin/status")
    status.write_text("dead\n")
    w.host.run("systemctl", "stop", "app.service")
    text = says(w.releasemgr("recover"), UNHEALTHY, "damaged at offset 0", f"{JOURNAL}.damaged-", "2.0.0", "not healthy", "releasemgr rollback")
    assert w.current() == "2.0.0" and len(kept(w, JOURNAL)) == 1, text
    says(w.releasemgr("rollback"), 0, "1.0.0 is active and healthy")
    w.check(("1.0.0",))


def test_all_of_it_at_boot(struck):
    """The power goes while an ill release is active, and nothing that was written down can be read."""
    w = struck
    w.come_back()
    w.survive_boot()
    w.plan.set(faults.Fault(2, "hold", word="run", mark='"intent","step":"prove"'))
    w.host.spawn("releasemgr", "activate", "3.0.0")
    w.host.until(w.plan.struck, what="the proof")
    noise(w.path(JOURNAL))
    noise(w.path(LEDGER))
    w.host.power_off()
    w.host.start()
    w.plan = faults.Plan(w.path("/run/fault"))
    w.check(("1.0.0",))
    assert len(kept(w, JOURNAL)) == len(kept(w, LEDGER)) == 1
    w.releasemgr("activate", "2.0.0", check=True)
    w.check(("2.0.0",))


# current

def dangling(w):
    shutil.rmtree(w.path("/opt/app/releases/2.0.0"))


def foreign(w):
    w.host.run("ln", "-sfn", "/srv", CURRENT)


def missing(w):
    w.path(CURRENT).unlink()


@pytest.mark.parametrize("spoil,words", [
    (dangling, [CURRENT, "names release 2.0.0, which is not on this host", "releasemgr rollback"]),
    (foreign, [CURRENT, "points to /srv, which is no release", "releasemgr rollback"]),
    (missing, ["no release is active"])])
@pytest.mark.parametrize("command,version", [
    (["rollback"], None), (["activate", "1.0.0"], "1.0.0"), (["activate", "3.0.0"], None), (["recover"], None),
    (["recover", "--boot"], None)])
def test_current(lived, spoil, words, command, version):
    w = lived
    if command[-1] == "3.0.0":
        w.releasemgr("quarantine", "lift", "3.0.0", check=True)
    spoil(w)
    proven = "1.0.0" if spoil is dangling else "2.0.0"
    says(w.releasemgr("status"), 0, *words)
    says(w.releasemgr("list"), 0, *[word for word in words if spoil is not missing])
    says(w.releasemgr("check"), 0 if spoil is missing else FAILED, *[word for word in words if spoil is not missing])
    if spoil is not missing:
        says(w.releasemgr("verify"), FAILED, *words)
    done = w.releasemgr(*command)
    # An activation that fails goes back to the last that proved itself.
    text = says(done, 3 if command[-1] == "3.0.0" else 0)
    if spoil is not missing:
        assert words[1] in text, text
    w.settle()
    assert w.current() == (version or proven), text
    if "--boot" in command:  # which is for what systemd starts afterwards
        w.host.run("systemctl", "restart", "app.service")
    w.check((version or proven,))
    w.releasemgr("activate", "2.0.0", check=True)
    w.check(("2.0.0",))


def test_current_is_a_directory(lived):
    """Somebody else's: nothing is done about it, and what to do is said."""
    w = lived
    w.path(CURRENT).unlink()
    w.path(CURRENT).mkdir()
    said = [CURRENT, "is not a symlink", "move it away"]
    for command in (["status"], ["list"]):
        says(w.releasemgr(*command), 0, *said)
    for command in (["check"], ["verify"], ["activate", "1.0.0"], ["rollback"], ["recover"]):
        says(w.releasemgr(*command), FAILED, *said)
    w.path(CURRENT).rmdir()
    w.releasemgr("rollback", check=True)
    w.check(("1.0.0", "2.0.0"))


def test_current_by_hand(lived):
    """With the whole path, as somebody in a hurry makes it."""
    w = lived
    w.host.run("ln", "-sfn", "/opt/app/releases/1.0.0/", CURRENT)
    w.host.run("systemctl", "restart", "app.service")
    says(w.releasemgr("status"), 0, "app: 1.0.0\n")
    says(w.releasemgr("activate", "1.0.0"), 0, "active already")
    w.releasemgr("activate", "2.0.0", check=True)
    w.check(("2.0.0",))


# What a rollback does not need

@pytest.fixture
def configure(struck):
    """Writes a file of the app's configuration, or of its unit's, for the time of a test."""
    before = {}

    def write(path, text):
        inside = struck.path(path)
        before.setdefault(inside, inside.read_text() if inside.exists() else None)
        struck.host.write(path, text)
        struck.host.run("systemctl", "daemon-reload")

    yield write
    for path, text in before.items():
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    struck.host.run("systemctl", "daemon-reload")


def test_rollback_without_a_configuration_that_can_be_read(lived, configure):
    w = lived
    configure("/etc/releasemgr/app.conf.d/50-odd.conf", "[Repository\nUrl=nonsense\n[Health]\nDeadline=soon\n[Soak]\n\0\n")
    root = w.path("/etc/releasemgr/app.root.json")
    kept, text = root.read_bytes(), root.unlink()
    try:
        says(w.releasemgr("activate", "1.0.0"), 2, "50-odd.conf")
        says(w.releasemgr("rollback"), 0, "warning", "50-odd.conf", "1.0.0 is active and healthy")
    finally:
        root.write_bytes(kept)
    w.settle()
    w.check(("1.0.0",))


@contextlib.contextmanager
def without_configuration(w):
    conf = w.path("/etc/releasemgr/app.conf")
    kept = conf.read_bytes()
    conf.write_bytes(bytes(64))
    try:
        yield
        w.settle()
    finally:
        conf.write_bytes(kept)


@pytest.mark.parametrize("runs", [True, False])
def test_rollback_in_a_handover_without_a_configuration(handing_over, runs):
    """That releases hand over to each other is seen by the plain unit, in which none can run: it is not taken for the service."""
    w = handing_over
    w.come_back(w.start_of("rollback"))
    if not runs:
        w.host.run("systemctl", "stop", "app@2.0.0.service")
    with without_configuration(w):
        says(w.releasemgr("rollback"), 0, "app.conf", "app.service (oneshot)", "Strategy=handover", "1.0.0 is active and healthy")
    w.check(("1.0.0",))


def test_start_in_a_handover_without_a_configuration(handing_over):
    """As at boot: nothing runs yet, and the plain unit is what starts it."""
    w = handing_over
    w.come_back()
    w.host.run("systemctl", "stop", "app@1.0.0.service")
    with without_configuration(w):
        w.host.run("systemctl", "start", "app.service")
    w.check(("1.0.0",))


def test_rollback_beside_a_foreign_instance_without_a_configuration(lived, configure):
    """Of a template that has the app's name, and nothing to do with its releases."""
    w = lived
    configure("/etc/systemd/system/app@.service", "[Service]\nExecStart=/bin/sleep infinity\n")
    w.host.run("systemctl", "start", "app@worker.service")
    with without_configuration(w):
        text = says(w.releasemgr("rollback"), 0, "app.conf", "1.0.0 is active")
    w.check(("1.0.0",))
    assert "handover" not in text
    assert w.host.unit("app@worker.service")["ActiveState"] == "active"
    w.host.run("systemctl", "stop", "app@worker.service")


def test_rollback_to_what_was_changed(lived):
    """Found before anything moves, where it was asked for."""
    w = lived
    path = w.path("/opt/app/releases/1.0.0/bin/status")
    path.write_text(path.read_text() + "#")
    says(w.releasemgr("rollback", "--verify"), 7, "bin/status", "releasemgr verify 1.0.0")
    w.settle()
    w.check(("2.0.0",))
    says(w.releasemgr("verify", "1.0.0"), 7, "bin/status")


def test_process_of_another_release(lived, configure):
    """A unit that does not go through `current` runs what it ran before, however healthy that is."""
    w = lived
    configure("/etc/systemd/system/app.service.d/fixed.conf",
              "[Service]\nExecStart=\nExecStart=/opt/app/releases/2.0.0/bin/app\nWorkingDirectory=/\n")
    configure("/etc/releasemgr/app.conf.d/crash.conf", world.CONFIG.replace("ExpectVersion=version\n", ""))
    said = ["does not run from /opt/app/releases/1.0.0", "2.0.0 serves again"]
    says(w.releasemgr("activate", "1.0.0"), 3, *said)
    w.settle()
    w.check(("2.0.0",))
    configure("/etc/releasemgr/app.conf.d/prove.conf", "[Service]\nProveProcess=off\n")
    says(w.releasemgr("activate", "1.0.0"), 2, "prove.conf", "off and why")
    configure("/etc/releasemgr/app.conf.d/prove.conf", "[Service]\nProveProcess=off it is started by a script\n")
    w.releasemgr("quarantine", "lift", "1.0.0", check=True)
    says(w.releasemgr("activate", "1.0.0"), 0, "1.0.0 is active")
    w.settle()
    configure("/etc/systemd/system/app.service.d/fixed.conf", "")
    says(w.releasemgr("check"), 0, "not proved: it is started by a script")


def test_rollback_without_the_proof_of_the_process(lived, configure):
    """That it is switched off without a reason is wrong, but plain: a rollback does not fail because it proved it all the same."""
    w = lived
    configure("/etc/systemd/system/app.service.d/fixed.conf",
              "[Service]\nExecStart=\nExecStart=/opt/app/releases/2.0.0/bin/app\nWorkingDirectory=/\n")
    configure("/etc/releasemgr/app.conf.d/crash.conf", world.CONFIG.replace("ExpectVersion=version\n", ""))
    says(w.releasemgr("rollback"), 3, "does not run from /opt/app/releases/1.0.0")
    configure("/etc/releasemgr/app.conf.d/prove.conf", "[Service]\nProveProcess=off\n")
    says(w.releasemgr("rollback"), 0, "prove.conf", "off and why", "1.0.0 is active")
    assert w.current() == "1.0.0"


# Standard output

TELLS = [["status"], ["list"], ["history"], ["show"], ["logs"], ["plan", "1.0.0"], ["verify"], ["quarantine", "list"],
         ["check"], ["status", "--json"], ["history", "--json"], ["--help"], ["list", "--help"], ["--version"]]


def test_output_that_nobody_takes(lived):
    """As of every other program: said in vain is failed, and a closed pipe ends it without a word. What does something is
    not undone by it."""
    w = lived

    def shell(command):
        done = w.host.shell(f"set +e +o pipefail; {command}; echo ${{PIPESTATUS[0]}} >&2")
        *said, code = done.stderr.splitlines()
        return int(code), "\n".join(said)

    for words in TELLS:
        command = " ".join(["releasemgr", *words])
        assert w.host.run(*command.split()).returncode == 0
        for how, why in ((">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")):
            code, said = shell(f"{command} {how}")
            assert code == 1 and said.startswith(f"releasemgr: cannot write to standard output: {why}"), (command, said)
        assert shell(f"{command} | (exec <&-; sleep 0.2)") in ((141, ""), (0, "")), command
        assert shell(f"{command} | head -1 >/dev/null")[0] in (0, 141), command
    # longer than any pipe: it cannot be over before its reader is
    line = w.path(HISTORY).read_text().splitlines()[0] + "\n"
    w.path(HISTORY).write_text(line * 2000)
    assert shell("releasemgr history --json --lines 2000 | head -1 >/dev/null") == (141, "")
    for how in (">/dev/full", ">&-", "| true"):
        code, said = shell(f"releasemgr activate {'1.0.0' if w.current() == '2.0.0' else '2.0.0'} {how}")
        assert code == 0 and "Traceback" not in said, said
        w.settle()
        assert w.running() == w.current()
