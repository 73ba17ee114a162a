"""Every fault at every call of a deployment in small: the engine, the journal, the ledger, the history."""

import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent


def test_every_fault_at_every_call(tmp_path, build_directory, full):
    """In a mount namespace of its own, because it mounts disks and cuts their power."""
    done = subprocess.run(["unshare", "-m", "--propagation=private", "/usr/bin/python3", "-B", HERE / "engine.py",
                           tmp_path, build_directory / "tests/crash/crash-driver", *(["--full"] if full else [])],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1800)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
