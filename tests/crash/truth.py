"""What a command said, held against what happened on the host."""

import dataclasses
import json

from world import Wrong

# As the README has them.
DONE, FAILED, USAGE, TAKEN_BACK, UNHEALTHY, LOCKED, REFUSED, UNTRUSTED = range(8)


@dataclasses.dataclass(frozen=True)
class Seen:
    """The host, as far as a command may change it."""
    current: str
    running: str
    process: str
    releases: frozenset
    hold: bool
    quarantine: frozenset
    proven: frozenset

    @classmethod
    def on(cls, w):
        ledger = w.path("/var/lib/releasemgr/app/ledger.json")
        known = json.loads(ledger.read_text()) if ledger.exists() else {}
        unit = w.main_unit() if w.running() else None
        return cls(w.current(), w.running(), w.host.unit(unit, "InvocationID")["InvocationID"] if unit else None,
                   frozenset(name for name in w.releases() if not name.startswith(".")), "hold" in known,
                   frozenset(e["version"] for e in known.get("quarantine", {}).values()),
                   frozenset(e["version"] for e in known.get("proven", [])))

    def __str__(self):
        return ", ".join(f"{field.name} {getattr(self, field.name)}" for field in dataclasses.fields(self))


def last_word(done):
    """What a command ended with, as an event: the last line of the screen's, or the error."""
    events = [json.loads(line) for line in (done.stdout + done.stderr).splitlines() if line.startswith("{")]
    # without a screen there is no JSON: the hint is the second line
    text, _, hint = done.stderr.partition("\n")
    return next((e for e in reversed(events) if e.get("event") in ("end", "error")), {"text": text, "hint": hint})


def same(what, expected, found, *fields):
    for field in fields:
        if getattr(expected, field) != getattr(found, field):
            raise Wrong(f"{what}: {field} should be {getattr(expected, field)}: {found}")


def check_outcome(code, before, after, clean, unfinished=False):
    """That the exit code tells what happened. @clean: how it looks when nothing fails."""
    if code == DONE:
        same("it said that it was done", clean, after, "current", "running", "hold", "quarantine")
        if not unfinished:
            same("it said that it was done", clean, after, "proven")
        if not clean.releases <= after.releases:  # one that could not be read is not pruned
            raise Wrong(f"it said that it was done: {clean.releases - after.releases} is gone: {after}")
    elif code in (FAILED, LOCKED, REFUSED):
        same("it said that nothing had changed", before, after, "current", "running", "process", "hold", "quarantine",
             "proven")
    elif code == TAKEN_BACK:
        same("it said that it was taken back", before, after, "current", "running", "hold", "proven")
    elif code != UNHEALTHY:
        raise Wrong(f"it ended with {code}")


def check_sentence(word, text, reasons):
    """That it says what failed, and what to do about it."""
    if not any(reason in text for reason in reasons):
        raise Wrong(f"it does not say \"{reasons[0]}\": {word}")
    if not word.get("hint"):
        raise Wrong(f"it does not say what to do: {word}")
