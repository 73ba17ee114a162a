"""The host goes off, at once or in good order, in the middle of each step of a deployment. It boots, and by itself comes up on
the old release or the new one."""

import pathlib
import re

import pytest

import faults
import servers
import world

PLAN = pathlib.Path(__file__).resolve().parents[2] / "releasemgr" / "deploy" / "plan.c"
# As the program calls them, in the order in which they are done; those from "finish" on are behind COMMIT.
STEPS = re.findall(r'^ +\[STEP_\w+\] = "([\w-]+)",', PLAN.read_text(), re.MULTILINE)
# With a reload the host boots as with a restart: the process that was spared is gone.
NOT_HERE = {"reload"}

CONFIG = """\
[Health]
Soak=300ms
[Hooks]
BeforeSwitch=/bin/true
AfterSwitch=/bin/true
AfterSuccess=/bin/true
AfterFailure=/bin/true
"""


class RestartWorld(world.ServedWorld):
    """Whatever a deployment may have to do: migrations, too, and those that the release before does not survive."""

    STEPS = {"after-failure", "fetch", "contract", "migrate", "anchor", "before-switch", "switch", "restart", "prove",
             "after-switch", "soak", "finish", "after-success"}
    CONFIG = CONFIG + "[Database]\nContract=activation\n"
    MIGRATIONS = {
        "1.0.0": {"0001_create.sql": "CREATE TABLE product (id INT PRIMARY KEY) ENGINE=InnoDB;\n"
                                     "CREATE TABLE early (id INT PRIMARY KEY) ENGINE=InnoDB;\n",
                  "contract/0002_early.sql": "DROP TABLE early;\n"},
        "2.0.0": {"0003_price.sql": "ALTER TABLE product ADD COLUMN price INT NULL;\n"},
    }

    def check_rows(self):
        states = self.database.query("SELECT state FROM releasemgr_migration")
        if states != [["applied"]] * 3 or self.database.query("SELECT id, price FROM product"):
            raise world.Wrong(f"2.0.0 is active, and its migrations are {states}")


class HandoverWorld(world.HandoverWorld):
    CONFIG = CONFIG
    STEPS = {"after-failure", "fetch", "anchor", "before-switch", "switch", "start", "prove", "drain", "after-switch", "soak",
             "finish", "after-success"}

    def start_servers(self):
        pass


WORLDS = [RestartWorld, HandoverWorld]


def test_no_step_is_left_out():
    assert set(STEPS) == {*NOT_HERE, *RestartWorld.STEPS, *HandoverWorld.STEPS}


@pytest.fixture(scope="module", params=WORLDS)
def booting(request, install_tree, tmp_path_factory):
    layers = [servers.make_database_layer(tmp_path_factory.mktemp("database"))] if request.param is RestartWorld else []
    w = world.open_world([install_tree, *layers], tmp_path_factory.mktemp("world"), request.param)
    try:
        w.host.write("/etc/releasemgr/app.conf.d/steps.conf", w.CONFIG)
        w.survive_boot()
        yield w
    finally:
        w.host.close()


def hold_in(w, step, call):
    """An activate, whose worker stands still at its @call-th call in @step."""
    w.come_back()
    w.plan.set(faults.Fault(call, "hold", word="run", mark=f'"intent","step":"{step}"'))
    w.host.shell("releasemgr activate 2.0.0 >/dev/null 2>&1 &")  # a child of PID 1, which reaps it when all is to end
    return w.host.until(w.plan.struck, what=f"a call in step {step}")


def reboot(w, step, call, in_order):
    said = hold_in(w, step, call)
    if in_order:
        w.host.shut_down()
    else:
        w.host.power_off()
    w.host.start()
    w.plan = faults.Plan(w.path("/run/fault"))
    w.start_servers()
    try:
        w.check(("2.0.0",) if STEPS.index(step) >= STEPS.index("finish") else ("1.0.0",))
        w.releasemgr("activate", "2.0.0", check=True)
        w.settle()  # it is watched for a while
        w.check(("2.0.0",))
    except world.Wrong as e:
        raise world.Wrong(f"{step}, {'shut down' if in_order else 'off'} at {said}\n{e}\n"
                          f"{w.host.journal('-b')[-3000:]}") from None


def test_reboot_in_the_middle_of_each_step(booting, full):
    """Behind its INTENT, at once or in good order by turns; with --full both, and further into it."""
    w, count = booting, 0
    for n, step in enumerate(step for step in STEPS if step in w.STEPS):
        ways = [(call, in_order) for call in (2, 5) for in_order in (False, True)] if full else [(2, n % 2 == 1)]
        for call, in_order in ways:
            reboot(w, step, call, in_order)
            count += 1
    print(f"{type(w).__name__}: rebooted {count} times, in {len(w.STEPS)} steps")
