"""The program is killed at every call that changes something, in every verb that does.

After each: recovery runs, and the host is old or new, never between (World.check), and takes a following activate.
"""

import itertools
import json

import pytest

import faults
import world

# In CI, every how manieth point of the longer ones; all of them with --full.
STRIDE = 4


def stride_of(name):
    return STRIDE * (3 if "ill" in name or "patches" in name else 1)  # which differ from the others in one step


def strike(w, base, fault, command, allowed):
    """One point. False where the command came to its end before it."""
    w.come_back(base)
    done = w.releasemgr(*command, fault=fault)
    hit = w.plan.struck()
    w.settle()
    recovered = w.releasemgr("recover", "--wait=2min")
    try:
        if recovered.returncode not in (0, 4):
            raise world.Wrong(f"recover ended with {recovered.returncode}: {recovered.stderr}")
        w.check(allowed)
        after = w.releasemgr("activate", "2.0.0", check=True)
        w.check(("2.0.0",))
    except world.Wrong as e:
        raise world.Wrong(f"{' '.join(command)}, {fault}: {hit}\n{e}\n--- it ended with {done.returncode}\n{done.stdout}"
                          f"{done.stderr}--- recover\n{recovered.stdout}{recovered.stderr}") from None
    assert after.returncode == 0
    return hit


def every_point(w, name, make_fault, stride):
    base, (_, command, allowed) = w.start_of(name), world.COMMANDS[name]
    tried = 0
    for n in itertools.count(1, stride):
        if not strike(w, base, make_fault(n), command, allowed):
            return tried
        tried += 1


def killed_at_every_call(w, name, stride):
    """The process that does the work, whichever that is: `run` in its unit, or the command itself."""
    word = "-" if name in world.IN_THE_CLIENT else "run"
    tried = every_point(w, name, lambda n: faults.Fault(n, word=word), stride)
    print(f"{type(w).__name__}: {name}: killed at {tried} points")
    assert tried > 5


def test_two_patches_are_the_way(struck):
    w = struck
    w.come_back()
    fetch = json.loads(w.releasemgr("plan", "4.0.0", "--json", check=True).stdout)["fetch"]
    assert (fetch["how"], fetch["from"]) == ("chain", "1.0.0"), fetch


@pytest.mark.parametrize("name", world.COMMANDS)
def test_killed_at_every_call(struck, name, full):
    killed_at_every_call(struck, name, 1 if full or name in world.IN_THE_CLIENT else stride_of(name))


@pytest.mark.parametrize("name", ["activate", "activate what is ill", "rollback", "first activate"])
def test_killed_in_a_handover(handing_over, name, full):
    """Exactly one instance runs afterwards, the one that `current` names."""
    killed_at_every_call(handing_over, name, 1 if full else 2 * stride_of(name))


def test_killed_in_a_handover_with_a_closed_socket(closed, full):
    """What runs is stopped so that it can be opened: whichever runs afterwards has it. Also behind each message, which is before
    systemd is done with what that asked for."""
    stride = 1 if full else 2 * STRIDE
    killed_at_every_call(closed, "rollback", stride)
    tried = every_point(closed, "rollback", lambda n: faults.Fault(n, classes=faults.BUS, after=True, word="run"), stride)
    print(f"{type(closed).__name__}: rollback: killed behind {tried} messages")


@pytest.mark.parametrize("step", ["prove", "drain"])
def test_journal_lost_in_a_handover(handing_over, step):
    """Nobody knows that two instances were meant to run: the one that proved itself is left."""
    w = handing_over
    w.come_back()
    w.releasemgr("activate", "--foreground", "2.0.0", fault=faults.Fault(2, mark=f'"intent","step":"{step}"'))
    assert w.plan.struck()
    w.path("/var/lib/releasemgr/app/journal").write_bytes(bytes(64) * 8)
    w.releasemgr("recover", check=True)
    w.check(("1.0.0",))
    w.releasemgr("activate", "2.0.0", check=True)
    w.check(("2.0.0",))


def test_killed_with_a_database(served, full):
    """And each statement of the migrations took effect once."""
    killed_at_every_call(served, "activate", 1 if full else 2 * STRIDE)


def test_client_killed_at_every_call(struck, full):
    """What submits the work and follows it: with it gone, the work goes on or never began."""
    tried = every_point(struck, "activate", lambda n: faults.Fault(n, word="!run"), 1 if full else STRIDE)
    print(f"activate: its client killed at {tried} points")
    assert tried > 3


def test_killed_in_recovery(struck, full):
    """Killed in an activate, and killed again in the recovery from that: at every call of both, or some of them."""
    w, tried = struck, 0
    for n in itertools.count(30, 7 if full else 25):
        for m in itertools.count(1, 1 if full else 6):
            w.come_back()
            # --foreground: no unit, whose own recovery would be before us
            w.releasemgr("activate", "--foreground", "2.0.0", fault=faults.Fault(n))
            first = w.plan.struck()
            w.releasemgr("recover", fault=faults.Fault(m))
            second = w.plan.struck()
            w.releasemgr("recover", check=True)
            try:
                w.check()
            except world.Wrong as e:
                raise world.Wrong(f"killed at {first}, then in recovery at {second}\n{e}") from None
            tried += 1
            if not second:
                break
        if not first:
            break
    print(f"recover: killed at {tried} points")
    assert tried > 10
