"""Hooks: the operator's and the release's own, around a switch. None can hang a deployment, and what they say is kept."""

import json

import pytest

import shop as shop_module
from host import Host

TELL = '#!/bin/sh\necho "$RELEASEMGR_HOOK $RELEASEMGR_FROM to $RELEASEMGR_VERSION $RELEASEMGR_REASON"\n'


@pytest.fixture(scope="module")
def world(layers):
    with Host(layers) as h:
        shop = shop_module.Shop(h).start_servers()
        shop.make_repository()
        shop.publish("1.0.0")
        shop.set_up()
        for name, text in (("tell", TELL), ("fail", TELL + "echo token=abc no; exit 3\n"), ("hang", TELL + "sleep 1000\n"),
                           ("write", "#!/bin/sh\ntouch /etc/written && exit 0; touch /opt/shop/shared/written\n")):
            h.write(f"/usr/local/bin/{name}", text, 0o755)
        shop.releasemgr("activate", "1.0.0")
        yield shop


@pytest.fixture
def shop(world):
    yield world
    if world.host.path("/etc/releasemgr/shop.conf.d/test.conf").exists():
        world.configure(None)
    if world.current() != "releases/1.0.0":
        world.releasemgr("rollback", "1.0.0")


def publish(shop, version, hooks=(), **options):
    tree = shop.make_release(version, extra={f"hooks/{name}": text for name, text in hooks}, **options)
    for name, _ in hooks:
        shop.host.path(f"{tree}/hooks/{name}").chmod(0o755)
    shop.publish(version, tree=tree)


def activate(shop, version, code):
    done = shop.releasemgr("activate", version, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def hooks_of_last(shop):
    return [(h["hook"], h["program"], h["ok"], h["output"]) for h in shop.history()[0].get("hooks", [])]


def test_all_of_them_in_order(shop):
    names = ["before-switch", "after-switch", "after-success", "after-failure"]
    publish(shop, "2.0.0", [(name, TELL) for name in names])
    shop.configure("[Hooks]\nBeforeSwitch=/usr/local/bin/tell\n")
    plan = json.loads(shop.releasemgr("plan", "2.0.0", "--json").stdout)["steps"]
    assert [step for step in plan if step in names] == ["after-failure", "before-switch", "after-switch", "after-success"]
    activate(shop, "2.0.0", 0)
    own = "/opt/shop/releases/2.0.0/hooks"
    assert hooks_of_last(shop) == [
        ("before-switch", "/usr/local/bin/tell", True, ["before-switch 1.0.0 to 2.0.0"]),
        ("before-switch", f"{own}/before-switch", True, ["before-switch 1.0.0 to 2.0.0"]),
        ("after-switch", f"{own}/after-switch", True, ["after-switch 1.0.0 to 2.0.0"]),
        *([("after-success", f"{own}/after-success", True, ["after-success 1.0.0 to 2.0.0"])]),
    ]
    assert "after-switch 1.0.0 to 2.0.0" in shop.host.journal()
    assert "after-switch 1.0.0 to 2.0.0" in shop.releasemgr("show", shop.history()[0]["id"]).stdout


@pytest.mark.parametrize("program, sentence", [("fail", "exited with status 3"), ("hang", "was killed after 3.0s")])
def test_before_switch_stops(shop, program, sentence):
    version = f"2.1.0-{program}"
    publish(shop, version)
    shop.configure(f"[Hooks]\nBeforeSwitch=/usr/local/bin/{program}\nAfterFailure=/usr/local/bin/tell\nTimeout=3s\n")
    before = shop.host.unit("shop.service", "InvocationID")
    said = activate(shop, version, 1)
    assert f"before-switch: /usr/local/bin/{program} {sentence}; nothing was switched" in said
    assert shop.host.unit("shop.service", "InvocationID") == before
    assert shop.current() == "releases/1.0.0"
    failed, told = hooks_of_last(shop)
    assert failed[2] is False and told[3][0].startswith(f"after-failure 1.0.0 to {version} /usr/local/bin/{program}")
    assert "token=abc" not in json.dumps(shop.history())
    assert not shop.host.run("systemctl", "list-units", "--plain", "--no-legend", "--all", "releasemgr-hook-*").stdout
    shop.configure("[Hooks]\nTimeout=3s\n")
    activate(shop, version, 0)  # it was not the release's fault


def test_after_switch_takes_back(shop):
    publish(shop, "2.2.0", [("after-switch", TELL + "exit 4\n")])
    said = activate(shop, "2.2.0", 3)
    assert "hooks/after-switch exited with status 4; 1.0.0 serves again" in said
    assert shop.front_page()["version"] == "1.0.0"
    assert "quarantine" in activate(shop, "2.2.0", 6)


def test_later_ones_are_only_reported(shop):
    publish(shop, "2.3.0")
    shop.configure("[Hooks]\nAfterSuccess=/usr/local/bin/fail\n")
    assert "after-success: /usr/local/bin/fail exited with status 3" in activate(shop, "2.3.0", 0)
    publish(shop, "2.3.1", behaviour="exits")
    shop.configure("[Hooks]\nAfterFailure=/usr/local/bin/hang\nTimeout=3s\n")
    assert "after-failure: /usr/local/bin/hang was killed after 3.0s" in activate(shop, "2.3.1", 3)
    assert shop.front_page()["version"] == "2.3.0"


def test_rollback_obeys_none(shop):
    publish(shop, "2.4.0")
    activate(shop, "2.4.0", 0)
    shop.configure("[Hooks]\nBeforeSwitch=/usr/local/bin/fail\nAfterSwitch=/usr/local/bin/hang\nTimeout=3s\n")
    done = shop.releasemgr("rollback", "1.0.0")
    assert "before-switch: /usr/local/bin/fail exited with status 3" in done.stdout + done.stderr
    assert shop.front_page()["version"] == "1.0.0"


def test_sandbox(shop):
    shop.host.path("/opt/shop/shared").mkdir(exist_ok=True)
    publish(shop, "2.5.0")
    shop.configure("[Hooks]\nBeforeSwitch=/usr/local/bin/write\n")
    activate(shop, "2.5.0", 0)
    assert shop.host.path("/opt/shop/shared/written").exists() and not shop.host.path("/etc/written").exists()


def test_hook_that_is_no_program(shop):
    tree = shop.make_release("2.6.0", extra={"hooks/before-switch": TELL})
    done = shop.releasemgr("repo", "publish", tree, "--version", "2.6.0", "--app", "shop", "--repo",
                           shop_module.REPOSITORY, "--keys", shop_module.KEYS, check=False)
    assert done.returncode == 2 and "hooks/before-switch is a hook, and no executable file" in done.stderr
