"""Whoever asked for a deployment goes away, or twenty ask at once, or anything happens in any order."""

import concurrent.futures
import errno
import itertools
import json
import os
import pty
import random
import select
import signal
import subprocess
import time

import pytest

import faults
import world


def wait_until_free(w):
    """Until no deployment is under way: whoever waits for the lock gets it."""
    w.releasemgr("recover", "--wait=2min", check=True)


def check_that_it_went_on(w):
    """The deployment of the ill release comes to its own end."""
    w.path(PATIENCE).unlink()
    wait_until_free(w)
    w.check(("1.0.0",))
    e = w.history()[-1]
    assert (e["version"], e["verdict"]) == ("3.0.0", "taken-back") and "interrupted" not in e["text"], e


PATIENCE = "/run/patience"


@pytest.fixture
def patient(struck):
    """A host where an ill release is watched for long, and does not end by itself: there is time to do something meanwhile."""
    path = "/etc/releasemgr/app.conf.d/patient.conf"
    struck.host.write(path, "[Health]\nDeadline=5min\n")
    struck.host.write(PATIENCE, "")
    yield struck
    struck.path(path).unlink()
    struck.path(PATIENCE).unlink(missing_ok=True)
    struck.settle()  # what a failed test left under way would wait for the patience of the next one


def stage(w):
    """Of the deployment under way; None where there is none."""
    return (json.loads(w.releasemgr("status", "--json").stdout).get("under_way") or {}).get("stage")


def begin_ill(w, **options):
    """Starts an activate that needs a while to find out that the release is ill; returns when it is about that."""
    client = w.host.spawn("releasemgr", "activate", "3.0.0", **options)
    w.host.until(lambda: stage(w) == "prove" or client.poll() is not None, what="the look at the ill release")
    return client


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_client_goes_away(patient, number):
    w = patient
    w.come_back()
    client = begin_ill(w)
    client.signal(number)
    client.wait()
    check_that_it_went_on(w)


class Terminal:
    """One of the client's own, so that its keys are signals."""

    def __init__(self, w, *command, env=None):
        self.host, self.text = w.host, b""
        self.ours, theirs = pty.openpty()
        self.client = w.host.spawn("setsid", "--ctty", "--wait", *command, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
        os.close(theirs)

    def type(self, keys):
        os.write(self.ours, keys)

    def read_until(self, condition, what):
        """What was shown until then."""
        def look():
            while select.select([self.ours], [], [], 0)[0]:
                try:
                    self.text += os.read(self.ours, 4096)
                except OSError:  # the other end was closed
                    break
            return condition()
        self.host.until(look, what=what)
        return self.text.decode()

    def close(self):
        os.close(self.ours)

    def end(self):
        """The exit code, and all that was shown."""
        text = self.read_until(lambda: self.client.poll() is not None, "the end of the client")
        return self.client.wait(), self.read_until(lambda: True, "") or text


def test_terminal_is_closed(patient):
    w = patient
    w.come_back()
    terminal = Terminal(w, "releasemgr", "activate", "3.0.0")
    w.host.until(lambda: w.current() == "3.0.0", what="the switch")
    terminal.close()
    terminal.client.wait()
    check_that_it_went_on(w)


CTRL_C = b"\x03"
WAITS = "/usr/local/bin/wait-for-it"


def test_ctrl_c_once(patient):
    """Before COMMIT: a clean stop, which says nothing about the release."""
    w = patient
    w.come_back()
    terminal = Terminal(w, "releasemgr", "activate", "3.0.0")
    terminal.read_until(lambda: b"switch" in terminal.text, "the switch")  # until then the client may still be about to follow
    terminal.type(CTRL_C)
    code, text = terminal.end()
    assert code == 3 and "asked it to stop" in text and "stopped on request" in text and "1.0.0 serves again" in text, text
    w.settle()
    w.check(("1.0.0",))
    assert "3.0.0" not in w.releasemgr("quarantine", "list").stdout


def test_ctrl_c_twice(patient):
    """The second lets it go on, to the end that the first asked for."""
    w = patient
    w.come_back()
    hook, go_on = "/etc/releasemgr/app.conf.d/slow.conf", "/run/go-on"
    w.host.write(WAITS, f"#!/bin/sh\nuntil [ -e {go_on} ]; do sleep 0.1; done\n", 0o755)
    w.host.write(hook, f"[Hooks]\nAfterFailure={WAITS}\nTimeout=5min\n")
    try:
        terminal = Terminal(w, "releasemgr", "activate", "3.0.0")
        terminal.read_until(lambda: b"switch" in terminal.text, "the switch")
        terminal.type(CTRL_C)
        terminal.read_until(lambda: b"asked it to stop" in terminal.text, "the first answer")
        terminal.type(CTRL_C)
        code, text = terminal.end()
        assert code == 1 and "goes on without this terminal" in text and "releasemgr status follows it" in text, text
        assert w.under_way()
        w.host.write(go_on, "")
        w.settle()
        w.check(("1.0.0",))
    finally:
        w.path(hook).unlink()


def test_ctrl_c_behind_the_point_of_no_return(struck):
    w = struck
    w.come_back()
    w.plan.set(faults.Fault(2, "hold", word="run", mark='"intent","step":"finish"'))
    terminal = Terminal(w, "releasemgr", "activate", "2.0.0")
    terminal.read_until(lambda: b"prove" in terminal.text and w.plan.struck(), "the step behind COMMIT")
    terminal.type(CTRL_C)
    code, text = terminal.end()
    assert code == 0 and "2.0.0 is active and healthy" in text, text
    assert "past the point of no return when it was asked to stop" in text, text
    w.settle()
    w.check(("2.0.0",))


def test_others_while_one_is_under_way(patient):
    """Who asks for the same follows the one that is under way; who asks for another is told of it, or waits."""
    w = patient
    w.come_back()
    first = begin_ill(w)
    same = w.host.spawn("releasemgr", "activate", "3.0.0")
    follows = w.host.spawn("releasemgr", "status", "--follow")
    told = w.releasemgr("activate", "2.0.0")
    holder = json.loads(w.releasemgr("status", "--json").stdout)["under_way"]
    assert told.returncode == 5, told.stdout + told.stderr
    for word in (f"deployment {holder['id']}", "activate 3.0.0", "by root", f"since {holder['since']}", "at stage prove", "--wait"):
        assert word in told.stderr, (word, told.stderr)
    waits = w.host.spawn("releasemgr", "activate", "2.0.0", "--wait=2min")
    for client in (same, follows):
        w.host.until(lambda: select.select([client.stdout], [], [], 0)[0], what="a first word")
    w.host.run("systemctl", "kill", "--signal=SIGINT", "--kill-whom=main", unit_of(w, holder["id"]))
    for client in (first, same, follows):
        done = client.communicate()
        assert done.returncode == 3 and "1.0.0 serves again" in done.stdout, done.stdout + done.stderr
    done = waits.communicate()
    assert done.returncode == 0, done.stdout + done.stderr
    w.settle()
    w.check(("2.0.0",))


def unit_of(w, id=""):
    """The unit of the deployment under way, or of that one."""
    out = w.host.run("systemctl", "list-units", "--plain", "--no-legend", f"releasemgr-app-{id}*.service").stdout
    return next((line.split()[0] for line in out.splitlines() if "running" in line), None)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_unit_is_ended(patient, how):
    w = patient
    w.come_back()
    client = begin_ill(w)
    w.host.run("systemctl", *(["stop"] if how == "stop" else ["kill", "--signal=SIGKILL"]), unit_of(w))
    assert client.wait() != 0
    wait_until_free(w)
    w.check(("1.0.0",))


def test_worker_cannot_say_a_word(struck):
    """Each write of the process that does the work fails: it ends, and whoever follows it is shown why. systemd may know its
    end before it counts as started."""
    w = struck
    w.come_back()
    done = w.releasemgr("activate", "2.0.0", fault=faults.Fault(1, faults.error(errno.ENOSPC, True), word="run"))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "No space left on device" in done.stdout, done.stdout + done.stderr
    assert "ended without a word" in done.stderr or "the job ended as 'failed'" in done.stderr, done.stderr
    wait_until_free(w)
    w.check(("1.0.0",))


def test_end_that_only_the_history_knows(struck):
    """What cannot be told in /run came about all the same, and whoever follows it is told so."""
    w = struck
    w.come_back()
    w.host.shell("mount -t tmpfs -o size=4k,mode=755 tmpfs /run/releasemgr && mkdir /run/releasemgr/app && "
                 "head -c 4096 /dev/zero >/run/releasemgr/full")
    try:
        done = w.releasemgr("activate", "2.0.0")
        assert done.returncode == 0 and "2.0.0 is active and healthy" in done.stdout, done.stdout + done.stderr
        w.settle()
        w.check(("2.0.0",))
    finally:
        w.settle()
        w.host.run("umount", "/run/releasemgr")


@pytest.mark.parametrize("action,code,words", [
    (faults.error(errno.EIO), 0, ["2.0.0 is active and healthy"]),
    (faults.error(errno.EIO, True), 1, ["ended, and how cannot be seen", "Input/output error", "releasemgr status"])])
def test_progress_cannot_be_read(struck, action, code, words):
    """Who followed a deployment waits for its end, and the history says what came of it, if it can be read."""
    w = struck
    w.come_back()
    w.releasemgr("activate", "2.0.0", fault=faults.Fault(0, classes="read", word="!run"), check=True)
    w.settle()
    first = next(line for line in w.plan.log() if ".progress" in line).split()[0]
    w.come_back()
    done = w.releasemgr("activate", "2.0.0", fault=faults.Fault(int(first), action, "read", word="!run"))
    text = done.stdout + done.stderr
    assert ".progress" in w.plan.struck() and done.returncode == code, text
    for word in ["its progress cannot be read any more: Input/output error", *words]:
        assert word in text, (word, text)
    w.settle()
    w.check(("2.0.0",))


@pytest.mark.parametrize("word", ["run", "!run"])
def test_systemd_cannot_be_asked(struck, word):
    """From a call on, nothing reaches systemd: nobody waits for it, and nobody says what he does not know."""
    w = struck
    for n in itertools.count(1):
        w.come_back()
        done = w.releasemgr("activate", "2.0.0",
                            fault=faults.Fault(n, faults.error(errno.ENOSPC, True), faults.BUS, word=word))
        if not w.plan.struck():
            break
        assert done.returncode in ((1, 3, 4) if word == "run" else (0, 1)), done.stdout + done.stderr
        assert "ended without a word" not in done.stderr, done.stderr
        w.settle()
        wait_until_free(w)
        w.check(("2.0.0",) if done.returncode == 0 else ("1.0.0", "2.0.0"))
    assert n > 5


def test_power_goes_in_the_middle(patient):
    """The host goes off while a deployment proves its release, and comes up on the one before."""
    w = patient
    w.come_back()
    w.survive_boot()
    begin_ill(w)
    w.host.power_off()
    w.host.start()
    w.plan = faults.Plan(w.path("/run/fault"))
    w.check(("1.0.0",))
    assert "clients: may have been affected: nobody measured it" in w.releasemgr("show").stdout


@pytest.mark.parametrize("step,said", [
    ("anchor", "clients: were not affected"), ("prove", "clients: may have been affected: nobody measured it"),
    ("finish", "outage: nobody measured it")])
def test_clients_of_what_was_interrupted(struck, step, said):
    """It is said of them what can be known: before the switch they met nothing, and nobody measured what they met behind it."""
    w = struck
    w.come_back()
    w.releasemgr("activate", "--foreground", "2.0.0", fault=faults.Fault(2, mark=f'"intent","step":"{step}"'))
    assert w.plan.struck()
    w.releasemgr("recover", check=True)
    shown = w.releasemgr("show", check=True).stdout
    assert said in shown, shown
    assert ("?" in w.releasemgr("history").stdout.splitlines()[1]) == (step != "anchor")


ASKED = [["activate", "1.0.0"], ["activate", "2.0.0"], ["rollback"], ["pull"], ["prune"], ["status"], ["unhold"],
         ["activate", "3.0.0"]]
# done, taken back, locked, refused
TRUE = {0, 3, 5, 6}


def test_twenty_callers(struck, full, seed):
    """Never two deployments, never a wrong current, and everybody is told the truth."""
    w, seconds = struck, 60 if full else 12
    w.come_back()
    end = time.monotonic() + seconds
    codes = {}

    def caller(n):
        choose = random.Random(seed + n)
        while time.monotonic() < end:
            command = choose.choice(ASKED)
            done = w.releasemgr(*command)
            codes[done.returncode] = codes.get(done.returncode, 0) + 1
            if done.returncode not in TRUE:
                raise world.Wrong(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
            if done.returncode == 5 and "under way" not in done.stderr and "just beginning" not in done.stderr:
                raise world.Wrong(f"{command}: {done.stderr}")

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        for future in [pool.submit(caller, n) for n in range(20)]:
            future.result()
    wait_until_free(w)
    w.check()
    # One after the other: each deployment begins where the one before it ended.
    at = "1.0.0"
    for entry in w.history()[1:]:
        assert entry["from"] == at, entry
        at = entry["version"] if entry["verdict"] == "succeeded" else at
    print(f"twenty callers, {seconds} s, seed {seed}: exit codes {dict(sorted(codes.items()))}, "
          f"{len(w.history()) - 1} deployments")


def test_trust_is_read_and_written_by_many(struck, full):
    """Who asks the repository is not under the lock: recovery sweeps what was left, and nothing that is being written."""
    w, seconds = struck, 30 if full else 4
    w.come_back()
    trust = w.path("/var/lib/releasemgr/app/trust")
    for name in (".#team.json.0123456789abcdef", ".#root.json.0123456789abcdef"):
        (trust / name).write_text("{")
    w.host.service("writer", "flock", "--shared", "/var/lib/releasemgr/app/trust/.lock", "sleep", "infinity")
    w.host.until(lambda: w.host.run("flock", "-n", "/var/lib/releasemgr/app/trust/.lock", "true", check=False).returncode != 0,
                 what="a writer")
    w.releasemgr("recover", check=True)
    assert len(w.left_over()) == 2
    w.host.run("systemctl", "stop", "writer.service")
    w.releasemgr("recover", check=True)
    assert not w.left_over()

    end, count = time.monotonic() + seconds, 0

    def again_and_again(*command):
        nonlocal count
        while time.monotonic() < end:
            w.releasemgr(*command, check=True)
            count += 1

    publish = ["repo", "refresh", "--repo", world.REPOSITORY, "--keys", world.KEYS]
    asked = [publish, ["list", "--refresh"], ["list", "--refresh"], ["status"], ["recover", "--wait=2min"],
             ["activate", "2.0.0", "--wait=2min"]]
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        for future in [pool.submit(again_and_again, *command) for command in asked]:
            future.result()
    w.settle()
    w.check(("2.0.0",))
    w.releasemgr("list", "--refresh", check=True)
    print(f"trust: {count} commands in {seconds} s")


def test_random_walk(struck, full, seed):
    """Commands and faults in any order; after each the host is whole."""
    w, choose, steps = struck, random.Random(seed), 1000 if full else 60
    print(f"random walk: seed {seed}")
    w.come_back()
    told = []
    for _ in range(steps):
        command = choose.choice([c for c in ASKED if c != ["status"]] + [["recover"]])
        fault = faults.Fault(choose.randrange(1, 150), choose.choice(["kill", "kill", "5", "28", "28+", "4"]),
                             word=choose.choice(["-", "run", "!run"]))
        done = w.releasemgr(*command, fault=fault)
        told.append(f"{' '.join(command)}: {fault}: {w.plan.struck()}: {done.returncode}")
        try:
            w.releasemgr("recover", "--wait=2min", check=True)
            w.check()
        except world.Wrong as e:
            raise world.Wrong("\n".join([f"seed {seed}", *told[-5:], str(e), done.stdout, done.stderr])) from None
    print(f"random walk: {steps} steps")
