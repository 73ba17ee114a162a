"""The host's clock is wrong: by years, or it jumps in the middle of a deployment. Nothing that keeps the service up asks it."""

import json

import pytest

import faults

YEAR = 365 * 86400
JUMP = "/usr/local/bin/jump"


@pytest.fixture
def clock(struck):
    """Sets the clock, by so many seconds from the right time."""
    path = struck.path("/run/fault/clock")

    def set_to(seconds):
        path.write_text(str(seconds))

    yield set_to
    path.unlink(missing_ok=True)


def entries(w):
    return [json.loads(line) for line in w.releasemgr("history", "--json", check=True).stdout.splitlines()]


def check_history(w, versions):
    """All of it can be read and found, in the order in which it happened, whatever time each says."""
    w.settle()
    found = entries(w)
    assert [e["version"] for e in reversed(found)] == versions
    assert len({e["id"] for e in found}) == len(found)
    for e in found:
        # what was interrupted took as long as the clock says
        assert 0 <= e["took"] and (e["took"] < 86400e6 or "interrupted" in e["text"])
        assert e["id"] in w.releasemgr("show", e["id"], check=True).stdout, e
    assert w.releasemgr("history", check=True).stdout.count("\n") == len(found) + 1
    w.releasemgr("status", check=True)


@pytest.mark.parametrize("years", [-56, -5, 5, 60])
def test_wrong_by_years(struck, clock, years):
    w = struck
    w.come_back()
    w.releasemgr("activate", "2.0.0", check=True)
    clock(years * YEAR)
    w.releasemgr("rollback", check=True)
    w.check(("1.0.0",))
    # What is here needs no repository; what is to be fetched is refused where its metadata seem to have expired.
    w.releasemgr("activate", "2.0.0", check=True)
    w.check(("2.0.0",))
    done = w.releasemgr("activate", "3.0.0")
    assert done.returncode == (6 if years > 0 else 3), done.stdout + done.stderr
    assert years < 0 or "expired" in done.stderr + done.stdout, done.stdout + done.stderr
    w.check(("2.0.0",))
    clock(0)
    w.releasemgr("rollback", check=True)
    w.check(("1.0.0",))
    check_history(w, ["1.0.0", "2.0.0", "1.0.0", "2.0.0", *([] if years > 0 else ["3.0.0"]), "1.0.0"])


@pytest.mark.parametrize("years", [-5, 5])
def test_jumps_during_a_deployment(struck, clock, years):
    """In the middle, and again in the middle of the recovery from it."""
    w = struck
    w.come_back()
    clock(0)
    w.host.write(JUMP, f"#!/bin/sh\necho {years * YEAR} >/run/fault/clock\n", 0o755)
    hook = "/etc/releasemgr/app.conf.d/jump.conf"
    w.host.write(hook, f"[Hooks]\nBeforeSwitch={JUMP}\n")
    try:
        assert w.releasemgr("activate", "3.0.0").returncode == 3
        w.check(("1.0.0",))
        clock(0)
        w.releasemgr("activate", "2.0.0", check=True)
        w.check(("2.0.0",))
        clock(-years * YEAR)
        w.releasemgr("activate", "1.0.0", "--foreground", fault=faults.Fault(2, mark='"intent","step":"restart"'))
        assert not w.journal_is_closed()
        clock(0)
        w.releasemgr("recover", check=True)
        w.check(("2.0.0",))
    finally:
        w.path(hook).unlink()
    w.releasemgr("rollback", check=True)
    w.check(("1.0.0",))
    check_history(w, ["1.0.0", "3.0.0", "2.0.0", "1.0.0", "1.0.0"])
    assert "interrupted" in entries(w)[1]["text"]


def test_last_proven_is_no_matter_of_time(struck, clock):
    """What proved itself while the clock was behind is not the oldest: a rollback goes there, and prune leaves it."""
    w = struck
    w.come_back()
    keep = "/etc/releasemgr/app.conf.d/keep.conf"
    w.host.write(keep, "[Retention]\nKeep=1\n")
    try:
        clock(-56 * YEAR)
        w.releasemgr("activate", "2.0.0", check=True)
        clock(0)
        w.releasemgr("activate", "1.0.0", check=True)
        w.settle()
        assert w.releases() == ["1.0.0", "2.0.0"]
        w.releasemgr("rollback", check=True)
        w.check(("2.0.0",))
    finally:
        w.path(keep).unlink()
