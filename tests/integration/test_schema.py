"""The gate between releases and the schema: the database is asked before anything moves; where it cannot be, what it last
said counts."""

import json

import releases
import servers
from shop import KEYS, REPOSITORY, describe_tree

CONTRACT = {"migrations/contract/0004_drop_visits.sql": "DROP TABLE visits;\n"}
ALL = {**releases.PRICED, "counts_visits": False}
AWAY = "[Database]\nPasswordFile=/etc/missing\n"
ALIAS = "/run/shop-database.sock"
SILENT = """
import socket, time
s = socket.socket(socket.AF_UNIX)
s.bind("/run/silent")
s.listen(9)
print("up", flush=True)
time.sleep(3600)
"""


def activate_both(shop):
    """1.0.0, then 1.1.0, which reads what 1.2.0 takes away."""
    for version, options in (("1.1.0", {"schema": releases.PRICED}), ("1.2.0", {"schema": ALL, "extra": CONTRACT})):
        shop.publish(version, **options)
        shop.releasemgr("activate", version)


def refused(shop, *arguments):
    """Exit 6, and nothing has moved. Returns what was said."""
    before = shop.snapshot()
    done = shop.releasemgr(*arguments, check=False)
    assert done.returncode == 6, done.stdout + done.stderr
    assert shop.snapshot() == before
    return done.stdout + done.stderr


def test_contract_raises_the_floor(shop):
    activate_both(shop)
    shop.releasemgr("rollback")  # not contracted yet
    assert shop.current() == "releases/1.1.0"
    shop.releasemgr("activate", "1.2.0")
    shop.releasemgr("migrate", "contract")
    for verb in (["rollback"], ["rollback", "1.0.0"], ["activate", "1.0.0"]):
        said = refused(shop, *verb)
        assert "contract migration 4 ran on it" in said
        assert "The nearest release that may run on it is 1.2.0" in said


def test_database_away(shop):
    activate_both(shop)
    assert "1 applied" in shop.releasemgr("migrate", "contract").stdout
    shop.configure(AWAY)
    said = refused(shop, "rollback", "1.0.0")
    assert "the database cannot be asked" in said and "what it last said counts" in said
    assert "The nearest release that may run on it is 1.2.0" in said
    shop.configure(None)
    shop.publish("1.3.0", schema=ALL, extra=CONTRACT)
    shop.releasemgr("activate", "1.3.0")
    shop.configure(AWAY)
    done = shop.releasemgr("rollback")
    assert shop.current() == "releases/1.2.0"
    assert "what it last said counts" in done.stdout


def test_another_database(shop):
    """What one database said does not count for another."""
    shop.publish("1.1.0", schema=releases.PRICED)
    shop.releasemgr("activate", "1.1.0")
    shop.configure("[Database]\nSocket=/run/other\n")
    assert "and never was from here" in shop.releasemgr("rollback").stdout
    assert shop.current() == "releases/1.0.0"


def test_answers_by_hand_are_kept(shop):
    """`migrate adopt` and `migrate resolve` write down what the database says, as `migrate apply` does."""
    known = shop.host.path("/var/lib/releasemgr/shop/ledger.json")
    drop = "; ".join(f"DROP TABLE IF EXISTS {row[0]}" for row in shop.database.query("SHOW TABLES LIKE 'releasemgr%'"))
    shop.database.query(drop + "; CREATE TABLE schema_migrations (version BIGINT PRIMARY KEY, dirty BOOLEAN NOT NULL);"
                        "INSERT INTO schema_migrations VALUES (1, 0)")
    for verb, level in ((["migrate", "adopt"], "1"), (["migrate", "resolve", "1", "--applied"], "0")):
        ledger = json.loads(known.read_text())
        ledger["schema"]["level"] = "99"
        known.write_text(json.dumps(ledger))
        if verb[1] == "resolve":
            shop.database.query("UPDATE releasemgr_migration SET state = 'running';"
                                "INSERT INTO releasemgr_statement (version, number, digest, class, state, recorded_at) "
                                "VALUES ('1', 1, '', 'opaque', 'started', UTC_TIMESTAMP())")
        shop.releasemgr(*verb)
        schema = json.loads(known.read_text())["schema"]
        assert schema.get("level", "0") == level and schema["database"] == f"shop at {servers.SOCKET}", schema


def test_database_that_hangs(shop):
    """It takes connections and says nothing."""
    shop.host.run("ln", "-s", servers.SOCKET, ALIAS)
    shop.configure(f"[Database]\nSocket={ALIAS}\nConnectTimeout=5min\n")
    shop.publish("1.1.0", schema=releases.PRICED)
    shop.releasemgr("activate", "1.1.0")
    listener = shop.host.spawn("/usr/bin/python3", "-u", "-c", SILENT)
    assert listener.stdout.readline() == "up\n"
    shop.host.run("ln", "-sfn", "/run/silent", ALIAS)
    done = shop.releasemgr("rollback", "--json")
    listener.signal(15)
    assert shop.current() == "releases/1.0.0"
    assert "what it last said counts" in done.stdout
    entry = shop.history()[0]
    plan = next(stage for stage in entry["stages"] if stage["stage"] == "plan")
    assert plan["took"] < 60_000_000, entry  # and not ConnectTimeout=


def test_publish_reviews_migrations(bare_shop):
    bare_shop.make_repository()
    torn = bare_shop.make_release("1.0.0", extra={"migrations/0002_torn.sql": "SELECT 'a;\n"})
    arguments = ["--version", "1.0.0", "--app", "shop", "--repo", REPOSITORY, "--keys", KEYS]
    done = bare_shop.releasemgr("repo", "publish", torn, *arguments, check=False)
    assert done.returncode == 1 and "migrations/0002_torn.sql:1" in done.stderr, done.stdout + done.stderr
    before = describe_tree(bare_shop.host.path(REPOSITORY))
    for name in ("0002.sql", "drop.sql", "V2__drop.txt", "contract/drop.sql", "0002_drop/down.sql"):
        odd = bare_shop.make_release(f"0.{name}", extra={f"migrations/{name}": "SELECT 1;\n"})
        done = bare_shop.releasemgr("repo", "publish", odd, *arguments, check=False)
        assert done.returncode == 1 and "looks like a migration and fits no convention" in done.stderr, done.stderr
        assert describe_tree(bare_shop.host.path(REPOSITORY)) == before
    done = bare_shop.publish("1.1.0", schema=ALL, extra={"migrations/0004_drop.sql": "DROP TABLE visits;\n"})
    assert "migrations/0004_drop.sql:1: DROP TABLE visits" in done.stdout + done.stderr
    done = bare_shop.publish("1.2.0", schema=ALL, extra=CONTRACT)
    assert "DROP TABLE" not in done.stdout + done.stderr


def test_plan_of_a_release_that_is_not_here(shop):
    """Its migrations are in the bundle: --fetch brings that, and nothing else happens."""
    shop.publish("1.1.0", schema=releases.PRICED)
    before = shop.snapshot()
    assert "plan --fetch" in shop.releasemgr("plan", "1.1.0").stdout
    assert shop.snapshot() == before
    said = shop.releasemgr("plan", "1.1.0", "--fetch").stdout
    assert "0002_add_price.sql:" in said and "schema INSTANT, NOCOPY or INPLACE, 3 rows: ALTER TABLE products" in said, said
    after = shop.snapshot()
    assert (after["unit"], after["database"]) == (before["unit"], before["database"])
    assert shop.current() == "releases/1.0.0" and not shop.staging()
    assert {k: v for k, v in after["files"].items() if k in before["files"] and k != "releases"} == {
        k: v for k, v in before["files"].items() if k != "releases"}
    assert [entry["version"] for entry in shop.history()] == ["1.0.0"]
    shop.web.stop()
    assert shop.releasemgr("plan", "1.1.0", "--fetch").stdout == shop.releasemgr("plan", "1.1.0").stdout
    shop.releasemgr("activate", "1.1.0")
    assert shop.current() == "releases/1.1.0"


def test_plan_fetches_nothing_that_is_refused(shop):
    shop.publish("1.1.0", "--channel", "other", schema=releases.PRICED)
    shop.releasemgr("repo", "promote", "1.0.0", "--channel", "other", "--repo", REPOSITORY, "--keys", KEYS)
    shop.releasemgr("repo", "yank", "1.1.0", "--repo", REPOSITORY, "--keys", KEYS, "--reason", "wrong")
    assert "taken back by its publisher" in refused(shop, "plan", "1.1.0", "--fetch")


def test_plan_shows_pending_statements(shop):
    """Of a release that stands here; after a failed first try, say."""
    shop.publish("1.1.0", schema=releases.PRICED)
    shop.releasemgr("activate", "1.1.0")
    shop.releasemgr("rollback")
    assert "ALTER TABLE" not in shop.releasemgr("plan", "1.1.0").stdout  # nothing is pending
    shop.database.query("DROP TABLE visits; ALTER TABLE products DROP COLUMN price;"
                        "DELETE FROM releasemgr_statement WHERE version > 1; DELETE FROM releasemgr_migration WHERE version > 1")
    said = shop.releasemgr("plan", "1.1.0").stdout
    assert "0002_add_price.sql:" in said and "ALTER TABLE products" in said and "3 rows" in said
    assert "0003_create_visits.sql:" in said
