"""The power is cut: a real ext4 is shut down without writing its log, in the middle of a deployment, and the host goes off
at once. It boots, and must come up by itself on the old release or the new one."""

import collections
import random
import subprocess

import pytest

import faults
import world

DISKS = ["/opt", "/var/lib/releasemgr"]


@pytest.fixture(scope="module", params=[world.World, world.HandoverWorld])
def powered(request, install_tree, tmp_path_factory):
    w = world.open_world([install_tree], tmp_path_factory.mktemp("world"), request.param, DISKS)
    try:
        w.survive_boot()
        yield w
    finally:
        w.host.close()


def boot_again(w):
    """Off, with what was not synced lost; and on again."""
    w.host.power_off()
    for disk in DISKS:
        w.host.detach_disk(disk)
        w.host.attach_disk(disk)
    w.host.start()
    w.plan = faults.Plan(w.path("/run/fault"))


def one_cut(w, name, choose, calls):
    """Cuts the power in the middle of a command, at one of the calls that it makes; the host boots and is looked at.
    @calls: what each command did when it was last seen to its end. Returns the call."""
    base, (_, command, allowed) = w.start_of(name), world.COMMANDS[name]
    word = "-" if name in world.IN_THE_CLIENT else "run"
    for _ in range(20):
        # The directories that it makes where they are missing are there: nothing began yet.
        first = next((i for i, line in enumerate(calls.get(name, []), 1) if " mkdir " not in line), 0)
        n = choose.randint(first, len(calls[name])) if first else 0  # 0: the first time it is only watched
        w.come_back(base)
        for disk in DISKS:
            subprocess.run(["sync", "-f", w.path(disk)], check=True)
        w.releasemgr(*command, fault=faults.Fault(n, f"cut:{':'.join(DISKS)}", word=word))
        struck = w.plan.struck()
        if struck:
            break
        calls[name] = w.plan.log()
    assert struck, f"{name}: 20 times it came to its end before the cut"
    boot_again(w)
    try:
        w.check(allowed)
        w.releasemgr("activate", "2.0.0", check=True)
        w.check(("2.0.0",))
    except world.Wrong as e:
        raise world.Wrong(f"{name}, power cut at {struck}\n{e}\n{w.host.journal('-b')[-3000:]}") from None
    return struck


def test_power_cuts(powered, full, seed):
    cuts = 200 if full else 15
    print(f"power cuts: seed {seed}")
    choose, calls, where = random.Random(seed), {}, collections.Counter()
    for _ in range(cuts):
        where[one_cut(powered, choose.choice(list(world.COMMANDS)), choose, calls).split()[1]] += 1
    print(f"power cut {cuts} times, at {dict(where)}")
