"""The programs of inside/, which need a real PID 1 and are root: each in a throwaway host of its own."""

import os
import pathlib

import pytest

import host

BUILD = pathlib.Path(os.environ.get("RELEASEMGR_BUILD", pathlib.Path(__file__).parents[2] / "build")).resolve()
PROGRAMS = sorted(source.stem for source in (pathlib.Path(__file__).parent / "inside").glob("test-*.c"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_inside(name):
    program = BUILD / "tests/integration/inside" / name.replace("test-", "test-inside-")
    with host.Host(binds=[BUILD]) as throwaway:
        done = throwaway.run(program, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
