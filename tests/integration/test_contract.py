"""Contract migrations: what the release before no longer needs is taken away, by hand or at the next activation, and never
where somebody might still go back behind it."""

import json

import releases

ALL = {**releases.PRICED, "counts_visits": False}
CONTRACT = "migrations/contract/0004_drop_visits.sql"
DROP = {CONTRACT: "DROP TABLE visits;\n"}
SLOW = {CONTRACT: "ALTER TABLE products ADD COLUMN begun INT;\nDO SLEEP(300);\nDROP TABLE visits;\n"}
AT_ACTIVATION = "[Database]\nContract=activation\n"
AWAY = "[Database]\nPasswordFile=/etc/missing\n"


def activate_both(shop, contract=DROP):
    """1.1.0 counts visits, 1.2.0 does not, and would drop the table."""
    shop.configure(AT_ACTIVATION, "contract.conf")
    for version, options in (("1.1.0", {"schema": releases.PRICED}), ("1.2.0", {"schema": ALL, "extra": contract})):
        shop.publish(version, **options)
        shop.releasemgr("activate", version)


def tables(shop):
    return {row[0] for row in shop.database.query("SHOW TABLES") if not row[0].startswith("releasemgr")}


def refused(shop, code, *arguments):
    """Nothing has moved. Returns what was said."""
    before = shop.snapshot()
    done = shop.releasemgr(*arguments, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert shop.snapshot() == before
    return done.stdout + done.stderr


def stages(entry):
    return [stage["stage"] for stage in entry["stages"]]


def under_way(shop):
    """The units of deployments that systemd is not done with."""
    return shop.host.run("systemctl", "list-units", "--plain", "--no-legend", "--state=active,activating,deactivating",
                         "releasemgr-shop-*.service").stdout.split()[:1]


def test_at_the_next_activation(shop):
    activate_both(shop)
    assert tables(shop) == {"products", "visits"}  # the release that would drop it has only just come
    shop.publish("1.3.0", schema=ALL, extra=DROP)
    said = shop.releasemgr("plan", "1.3.0").stdout
    assert "2 contract\n      contract/0004_drop_visits.sql:1  schema" in said, said
    assert "destructive: DROP TABLE visits" in said
    assert "there is no way back afterwards to 1.0.0, 1.1.0" in said
    plan = json.loads(shop.releasemgr("plan", "1.3.0", "--json").stdout)
    assert plan["steps"][:3] == ["fetch", "contract", "migrate"]
    assert (plan["contract"]["to"], plan["contract"]["lost"]) == ("4", ["1.0.0", "1.1.0"])
    assert [s["text"] for s in plan["contract"]["statements"]] == ["DROP TABLE visits"]

    done = shop.releasemgr("activate", "1.3.0")
    assert "from here on there is no way back to 1.0.0, 1.1.0" in done.stdout
    assert tables(shop) == {"products"}
    assert stages(shop.history()[0])[:4] == ["plan", "fetch", "contract", "migrate"]
    for verb in (["rollback", "1.1.0"], ["activate", "1.0.0"]):
        assert "contract migration 4 ran on it" in refused(shop, 6, *verb)
    shop.releasemgr("rollback")
    assert shop.current() == "releases/1.2.0"


def test_the_next_release_fails(shop):
    """The one before it serves on, without what it does not need."""
    activate_both(shop)
    shop.publish("1.3.0", schema=ALL, extra=DROP, behaviour="unhealthy")
    shop.configure("[Health]\nDeadline=2s\n")
    done = shop.releasemgr("activate", "1.3.0", check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "what was contracted stays" in done.stdout
    assert shop.current() == "releases/1.2.0" and tables(shop) == {"products"}


def test_an_older_release_is_not_shut_out(shop):
    activate_both(shop)
    assert "contract migration 4 waits" in shop.releasemgr("activate", "1.1.0").stdout
    assert shop.current() == "releases/1.1.0" and tables(shop) == {"products", "visits"}
    assert "contract" not in stages(shop.history()[0])


def test_it_fails(shop):
    """Before anything is switched; and it is not the new release's fault."""
    torn = {CONTRACT: "DROP TABLE visits;\nDROP TABLE nothing;\n"}
    activate_both(shop, torn)
    shop.publish("1.3.0", schema=ALL, extra=torn)
    done = shop.releasemgr("activate", "1.3.0", check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "contract: contract/0004_drop_visits.sql:2: statement 2" in done.stdout
    assert shop.current() == "releases/1.2.0" and tables(shop) == {"products"}
    assert shop.releasemgr("quarantine", "list").stdout.strip().count("1.3.0") == 0
    assert "contract migration 4 ran on it" in refused(shop, 6, "rollback", "1.1.0")


def test_killed_in_the_middle(shop):
    """What it began is taken as done by whoever would go back; and the next activation goes on with it."""
    activate_both(shop, SLOW)
    shop.publish("1.3.0", schema=ALL, extra=SLOW)
    client = shop.host.spawn("releasemgr", "activate", "1.3.0")
    asleep = "SELECT id FROM information_schema.PROCESSLIST WHERE info LIKE 'DO SLEEP%'"
    shop.host.until(lambda: shop.database.query(asleep), what="the statement to hang in")
    shop.host.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", *under_way(shop))
    client.communicate()
    shop.host.until(lambda: not under_way(shop), what="the end of the deployment's unit")
    for row in shop.database.query(asleep):
        shop.database.query(f"KILL {row[0]}")
    assert shop.current() == "releases/1.2.0" and tables(shop) == {"products", "visits"}
    assert shop.front_page()["version"] == "1.2.0"
    shop.configure(AWAY)
    assert "what it last said counts" in refused(shop, 6, "rollback", "1.1.0")
    shop.configure(None)
    assert "contract migration 4 ran on it" in refused(shop, 6, "rollback", "1.1.0")

    client = shop.host.spawn("releasemgr", "activate", "1.3.0")
    shop.host.until(lambda: shop.database.query(asleep) or client.poll() is not None, what="the statement again")
    for row in shop.database.query(asleep):
        shop.database.query(f"KILL QUERY {row[0]}")
    said = client.communicate()
    assert shop.current() == "releases/1.3.0", said
    assert tables(shop) == {"products"}
    assert [row[0] for row in shop.database.query("SHOW COLUMNS FROM products LIKE 'begun'")] == ["begun"]


def test_by_hand(shop):
    shop.publish("1.1.0", schema=releases.PRICED)
    shop.releasemgr("activate", "1.1.0")
    shop.publish("1.2.0", schema=ALL, extra=DROP)
    shop.configure("[Health]\nSoak=300s\n", "soak.conf")
    client = shop.host.spawn("releasemgr", "activate", "1.2.0")
    shop.host.until(lambda: 'soak' in shop.releasemgr("status", "--json").stdout, what="the soak")
    assert "activate" in refused(shop, 5, "migrate", "contract")  # it may still be taken back
    shop.host.run("systemctl", "stop", *under_way(shop))
    client.communicate()
    shop.host.until(lambda: not under_way(shop), what="the end of the deployment's unit")
    shop.configure(None, "soak.conf")
    assert shop.current() == "releases/1.1.0"
    said = refused(shop, 6, "migrate", "contract", "--release=1.2.0")
    assert "release 1.1.0 runs, and does not know contract migration 4" in said
    shop.releasemgr("activate", "1.2.0")
    assert "1 applied" in shop.releasemgr("migrate", "contract").stdout
    assert tables(shop) == {"products"}


def test_unproven(shop):
    shop.publish("1.1.0", schema=releases.PRICED)
    shop.releasemgr("activate", "1.1.0")
    shop.publish("1.2.0", schema=ALL, extra=DROP)
    shop.releasemgr("activate", "1.2.0")
    ledger = shop.host.path("/var/lib/releasemgr/shop/ledger.json")
    known = json.loads(ledger.read_text())
    known["proven"] = [entry for entry in known["proven"] if entry["version"] != "1.2.0"]
    ledger.write_text(json.dumps(known))
    assert "release 1.2.0 has not proved itself here" in refused(shop, 6, "migrate", "contract")


def test_a_wrong_value_is_an_error(shop):
    shop.configure("[Database]\nContract=always\n")
    done = shop.releasemgr("plan", check=False)
    assert done.returncode == 2
    assert "Contract=always: expected manual or activation" in done.stderr
