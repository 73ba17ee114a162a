"""tests/unit/trust/tuf-rules.md names only tests that exist and run, and leaves out no step of the workflow."""

import pathlib
import re

TESTS = pathlib.Path(__file__).resolve().parent.parent
RULES = TESTS / "unit" / "trust" / "tuf-rules.md"

# The numbered steps of section 5 in version 1.0.34.
STEPS = (["5.1", "5.2"] + [f"5.3.{i}" for i in range(1, 13)] + ["5.4.1", "5.4.2", "5.4.3.1", "5.4.3.2", "5.4.4", "5.4.5"]
         + [f"5.5.{i}" for i in range(1, 8)] + [f"5.6.{i}" for i in range(1, 8)]
         + ["5.6.7.1", "5.6.7.2", "5.6.7.2.1", "5.6.7.2.2", "5.7.1", "5.7.2", "5.7.3"])


def rows():
    for line in RULES.read_text().splitlines():
        if line.startswith("|") and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def exists(reference):
    file, _, function = reference.partition(":")
    if file == "tuf":
        return re.search(rf"^def {function}\(", (TESTS / "integration" / "test_tuf.py").read_text(), re.M)
    source = TESTS / "unit" / "trust" / f"test-{file}.c"
    return source.exists() and f"cmocka_unit_test({function})" in source.read_text()


def test_every_named_test_exists():
    references = [word for row in rows() for word in row[-1].split() if ":" in word]
    assert len(references) > 100
    assert [reference for reference in references if not exists(reference)] == []


def test_every_rule_has_a_test():
    assert [row for row in rows() if row[-1] != "shown by" and ":test_" not in row[-1]] == []


def test_every_step_is_there():
    assert set(STEPS) <= {row[0] for row in rows()}
