"""File systems that are really full: small ext4s, of the releases and of the state, without blocks or without inodes."""

import contextlib
import dataclasses
import errno
import os

import pytest

import truth
import world

RELEASES, STATE = "/opt", "/var/lib/releasemgr"
DISKS = [RELEASES, STATE]


@pytest.fixture(scope="module")
def small(install_tree, tmp_path_factory):
    w = world.open_world([install_tree], tmp_path_factory.mktemp("world"), disks=DISKS)
    try:
        yield w
    finally:
        w.host.close()


def take_blocks(filler, left):
    """Fills the file system of @filler but for @left blocks of 1 KiB."""
    with open(filler, "wb") as f:
        for size in (1 << 20, 1024):
            with contextlib.suppress(OSError):
                while os.write(f.fileno(), bytes(size)):
                    pass
        os.fsync(f.fileno())
        os.truncate(filler, max(0, f.tell() - left * 1024))
        os.fsync(f.fileno())


def take_inodes(filler, left):
    """The same for inodes: many names in one directory, so that hardly a block goes with them."""
    filler.mkdir()
    with contextlib.suppress(OSError):
        for n in range(1 << 20):
            (filler / str(n)).touch()
    for name in sorted(os.listdir(filler), key=int)[:left]:
        (filler / name).unlink()


@contextlib.contextmanager
def filled(w, disk, take, left=0):
    filler = w.path(f"{disk}/filler")
    try:
        take(filler, left)
        yield
    finally:
        w.host.run("rm", "-rf", f"{disk}/filler")


def attempt(w, name):
    """A command that runs into a full disk: it tells the truth. Returns it with what it said last."""
    before = truth.Seen.on(w)
    done = w.releasemgr(*world.COMMANDS[name][1], "--json")
    w.settle()
    after, word = truth.Seen.on(w), truth.last_word(done)
    expected = dataclasses.replace(before, current=world.COMMANDS[name][2][-1], running=world.COMMANDS[name][2][-1],
                                   hold=name == "hold", quarantine=frozenset())
    truth.check_outcome(done.returncode, before, after, expected, unfinished=True)
    if done.returncode != truth.DONE:
        truth.check_sentence(word, word["text"], [os.strerror(errno.ENOSPC), "The disk is full", "can be had"])
    return done, word


def finish(w, name):
    """There is room again: the next run succeeds, and leaves nothing behind."""
    w.releasemgr("recover", check=True)
    w.releasemgr(*world.COMMANDS[name][1], check=True)
    w.settle()
    w.check(world.COMMANDS[name][2][-1:])


@pytest.mark.parametrize("take, left", [(take_blocks, 12000), (take_inodes, 60)])
def test_refused_before_anything_is_fetched(small, take, left):
    """The sizes in the signed metadata say that the release does not fit."""
    w = small
    w.come_back()
    with filled(w, RELEASES, take, left):
        there = sorted(os.listdir(w.path("/opt/app/releases")))
        done, word = attempt(w, "activate")
        assert done.returncode == truth.REFUSED and "release 2.0.0 needs" in word["text"], done.stdout
        assert '"stage":"fetch"' not in done.stdout and sorted(os.listdir(w.path("/opt/app/releases"))) == there
        w.check(("1.0.0",))
    finish(w, "activate")


@pytest.mark.parametrize("take", [take_blocks, take_inodes])
@pytest.mark.parametrize("name", ["activate", "hold", "quarantine lift"])
def test_no_room_for_the_state(small, take, name, full):
    """The sizes say nothing of the file system on which the journal, the metadata and the history stand: a little is left."""
    w = small
    for left in range(9) if full else (0, 1):
        w.come_back(w.start_of(name))
        with filled(w, STATE, take, left):
            done, word = attempt(w, name)
        print(f"{name}: {take.__name__} but {left}: exit code {done.returncode} {word.get('verdict', '')}")
        if done.returncode != truth.DONE or word.get("verdict") == "unfinished":
            finish(w, name)


@pytest.mark.parametrize("take", [take_blocks, take_inodes])
def test_rollback_on_full_disks(small, take):
    """A release may have filled the disk: that must not keep it from being rolled back."""
    w = small
    w.come_back(w.start_of("rollback"))
    with filled(w, RELEASES, take), filled(w, STATE, take):
        done = w.releasemgr("rollback", "--json")
        w.settle()
        assert done.returncode == truth.DONE, done.stdout
        assert (w.current(), w.running()) == ("1.0.0", "1.0.0")
    w.releasemgr("recover", check=True)
    w.check(("1.0.0",))
    assert truth.Seen.on(w).hold
