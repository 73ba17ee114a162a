"""Disks that are full or dying, processes without descriptors, calls that are interrupted: at every call that can fail so, in
every verb that changes something, once or from that call on.

After each: the exit code tells what happened, the sentence what failed and what to do next; nothing is left behind, and no
descriptor was left open; and with the fault gone the next run succeeds.
"""

import collections
import dataclasses
import errno
import os
import random

import pytest

import faults
import truth
import world

CHANGES = "sync,rename,symlink,unlink,mkdir,truncate,write,create"
# What a call may fail with, and which calls.
ERRORS = {
    errno.EIO: CHANGES + ",fd,read",
    errno.ENOSPC: "sync,rename,symlink,mkdir,truncate,write,create",
    errno.EDQUOT: "symlink,mkdir,truncate,write,create",
    errno.EMFILE: "fd",
    errno.EINTR: "sync,truncate,write,fd,read,net",
}
ANY = CHANGES + ",fd,read,net"
# What leads to where `recover` starts: killed when the new release runs, and nobody has proved it yet.
INTERRUPTION = faults.Fault(2, classes="rename")
COMMANDS = {**world.COMMANDS, "recover": (None, ["recover"], ("1.0.0", "2.0.0"))}
# How many points of each are tried in CI; every one of them with --full.
SAMPLE = {"activate": 24, "rollback": 14, "pull": 8, "recover": 8, "activate what is ill": 3, "hold": 4, "unhold": 3,
          "quarantine lift": 4}
OTHERS = 6


@dataclasses.dataclass(frozen=True)
class Clean:
    """A command as it ends when nothing fails."""
    code: int
    after: truth.Seen
    calls: list  # the classes of those it makes, in order


def word_of(name):
    """Whose calls fail: those of the process that does the work."""
    return "-" if name in [*world.IN_THE_CLIENT, "recover"] else "run"


def begin(w, name):
    if name != "recover":
        w.come_back(w.start_of(name))
        return
    if not w.path(f"{world.KEPT}/interrupted").exists():
        w.come_back()
        w.releasemgr("activate", "--foreground", "2.0.0", fault=INTERRUPTION)
        w.keep("interrupted")
    w.come_back("interrupted")


def run_clean(w, name, word):
    begin(w, name)
    done = w.releasemgr(*COMMANDS[name][1], "--json", fault=faults.Fault(0, classes=ANY, word=word))
    w.settle()
    return Clean(done.returncode, truth.Seen.on(w), w.plan.classes())


def points(clean, word):
    """Every fault that this command can meet."""
    found = []
    for number, classes in ERRORS.items():
        # a file that is made is a descriptor, too
        names = set(classes.split(",")) | ({"create"} if "fd" in classes else set())
        for n in range(1, 1 + sum(call in names for call in clean.calls)):
            found.append(faults.Fault(n, faults.error(number), classes, word=word))
            if number != errno.EINTR:  # nobody is interrupted for ever
                found.append(faults.Fault(n, faults.error(number, True), classes, word=word))
    return found


def reasons(fault):
    """What an answer to @fault may say. A worker that ended before it could say anything is told of by its unit, with the hint
    where to look; where nobody could write it down at all, recovery knows of an interruption only."""
    found = [os.strerror(int(fault.action.rstrip("+"))), "The disk is full", "Cannot run releasemgr-"]
    return found + ["interrupted"] if fault.action.endswith("+") else found


def check_point(w, name, fault, clean, before, done):
    command, code, word = COMMANDS[name][1], done.returncode, truth.last_word(done)
    if w.plan.left():
        raise world.Wrong(f"not closed: {w.plan.left()}")
    if "a new one made of the history" in done.stdout:  # it could not be read, and says that the app is held now
        before = dataclasses.replace(before, hold=True)
        clean = dataclasses.replace(clean, after=dataclasses.replace(clean.after, hold=True))
    if code == truth.UNHEALTHY and not fault.action.endswith("+"):
        raise world.Wrong("one fault was too much for it")
    if code != clean.code or code == truth.DONE:
        truth.check_outcome(code, before, truth.Seen.on(w), clean.after, word.get("verdict") == "unfinished")
    if code not in (truth.DONE, clean.code):
        # who could not write a word is quoted from the system's journal, also where he did not even count as started
        quoted = any(end in word["text"] for end in ("ended without a word", "the job ended as 'failed'"))
        text = done.stdout if quoted else word["text"]
        truth.check_sentence(word, text, reasons(fault))
    if fault.word == "run":  # recovery came behind it, and had no faults
        w.check(COMMANDS[name][2])
    again = w.releasemgr(*(["activate", "2.0.0"] if code == clean.code else command))
    w.settle()
    w.check(("1.0.0", "2.0.0", "4.0.0"))
    if again.returncode not in (truth.DONE, clean.code):
        raise world.Wrong(f"the next run ended with {again.returncode}: {again.stdout}{again.stderr}")
    if code != clean.code:
        truth.same("after the next run", clean.after, truth.Seen.on(w), "current", "running", "hold", "quarantine", "proven")


def strike(w, name, fault, clean):
    """One point. Returns the exit code."""
    begin(w, name)
    before = truth.Seen.on(w)
    done = w.releasemgr(*COMMANDS[name][1], "--json", fault=fault)
    hit = w.plan.struck()
    w.settle()
    try:
        check_point(w, name, fault, clean, before, done)
    except world.Wrong as e:
        raise world.Wrong(f"{name}, {fault}: {hit}\n{e}\n--- it ended with {done.returncode}\n{done.stdout}"
                          f"{done.stderr}") from None
    return done.returncode


def strike_everywhere(w, name, word, sample, seed):
    """At @sample points that chance chooses, or at all of them."""
    codes, clean = collections.Counter(), run_clean(w, name, word)
    all_points = points(clean, word)
    print(f"{type(w).__name__}: {name}: {len(all_points)} points, seed {seed}", flush=True)
    for fault in random.Random(seed).sample(all_points, min(sample or len(all_points), len(all_points))):
        codes[strike(w, name, fault, clean)] += 1
    print(f"{type(w).__name__}: {name}: {codes.total()} of them tried, exit codes {dict(sorted(codes.items()))}")


@pytest.mark.parametrize("name", COMMANDS)
def test_calls_fail(struck, name, full, seed):
    strike_everywhere(struck, name, word_of(name), None if full else SAMPLE.get(name, OTHERS), seed)


@pytest.mark.parametrize("name", ["activate", "rollback"])
def test_calls_fail_in_a_handover(handing_over, name, full, seed):
    strike_everywhere(handing_over, name, "run", None if full else OTHERS, seed)


def test_no_descriptor_for_the_configuration(handing_over):
    """It is not the configuration that is wrong: a rollback, which passes over what is, does not begin with half of it."""
    w = handing_over
    w.come_back(w.start_of("rollback"))
    w.releasemgr("rollback", fault=faults.Fault(0, classes="fd", word="run"), check=True)
    n = int(next(line for line in w.plan.log() if line.endswith("/app.conf")).split()[0])
    w.come_back(w.start_of("rollback"))
    done = w.releasemgr("rollback", fault=faults.Fault(n, faults.error(errno.EMFILE), "fd", word="run"))
    w.settle()
    assert w.plan.struck().endswith("/app.conf <- here")
    assert done.returncode == truth.FAILED and "Too many open files" in done.stdout + done.stderr, done.stdout + done.stderr
    w.check(("2.0.0",))


def test_systemd_does_not_take_a_message(handing_over, full):
    """Once, at each: that systemd could not be asked says nothing about the release, which is not put into quarantine."""
    w, codes = handing_over, collections.Counter()
    begin(w, "activate")
    w.releasemgr("activate", "2.0.0", fault=faults.Fault(0, classes=faults.BUS, word="run"), check=True)
    calls, clean = len(w.plan.classes()), truth.Seen.on(w)
    for n in range(1, calls + 1, 1 if full else 6):
        begin(w, "activate")
        before = truth.Seen.on(w)
        done = w.releasemgr("activate", "2.0.0", fault=faults.Fault(n, faults.error(errno.ECONNRESET), faults.BUS, word="run"))
        w.settle()
        after = truth.Seen.on(w)
        truth.check_outcome(done.returncode, before, after, clean)
        truth.same(f"at {n}: {done.stdout}{done.stderr}", before, after, "quarantine")
        w.releasemgr("activate", "2.0.0", check=True)
        codes[done.returncode] += 1
    print(f"activate: {codes.total()} of {calls} messages not taken, exit codes {dict(sorted(codes.items()))}")


def test_systemd_cannot_be_asked_for_the_sockets(struck):
    """It is told what was asked, and not only why there was no answer."""
    w, classes, mark = struck, f"write,{faults.BUS}", '"intent","step":"restart"'
    begin(w, "activate")
    w.releasemgr("activate", "2.0.0", fault=faults.Fault(0, classes=classes, word="run", mark=mark), check=True)
    n = [n for n, called in enumerate(w.plan.classes(), 1) if called == faults.BUS][1]
    begin(w, "activate")
    done = w.releasemgr("activate", "2.0.0", fault=faults.Fault(n, faults.error(errno.ENOBUFS), classes, word="run", mark=mark))
    w.settle()
    assert done.returncode == truth.TAKEN_BACK and "2.0.0 failed: Cannot read the state of app.service: " in done.stdout, done.stdout
    w.check(("1.0.0",))
