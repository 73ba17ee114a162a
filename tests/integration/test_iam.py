"""`Auth=iam`: the instance's role makes a token for each connection, and a real server checks it as RDS does."""

import pathlib
import re
import tempfile
import urllib.parse

import pytest

import iam
import servers
from mariadb import make_authority
from releases import PRICED

PORT = 33306
FOLDER = "/srv/iam"
VERIFY = f"""\
auth required pam_exec.so quiet expose_authtok /usr/bin/python3 {FOLDER}/iam.py verify {FOLDER}
account required pam_permit.so
"""
CONFIG = f"""\
[Database]
Auth=iam
Host={iam.ENDPOINT}
Port={PORT}
User=migrator
TlsCaFile={FOLDER}/tls/ca.pem
"""
BEFORE = "[Database]\nName=shop\n"
SLOW = {"migrations/0009_slow.sql": "CREATE TABLE slow (a INT);\nINSERT INTO slow VALUES (1);\n"
                                    "UPDATE slow SET a = a + 1 WHERE SLEEP(600) = 0;\n"}
ASLEEP = "SELECT id FROM information_schema.PROCESSLIST WHERE info LIKE 'UPDATE slow%'"


def start_instance(host):
    """The metadata service, at its real address."""
    host.run("mkdir", "-p", FOLDER)
    host.run("chown", "mysql", FOLDER)
    host.run("ip", "address", "add", f"{iam.ADDRESS}/32", "dev", "lo")
    host.write(f"{FOLDER}/iam.py", pathlib.Path(iam.__file__).read_text())
    host.service("metadata", "/usr/bin/python3", "-u", f"{FOLDER}/iam.py", "serve", FOLDER)
    host.until(lambda: host.path(f"{FOLDER}/keys").exists(), what="the start of the metadata service")


def start_server(shop):
    """A MariaDB with TLS that lets `migrator` in by a token, beside the one of the socket."""
    host = shop.host
    host.write("/etc/pam.d/releasemgr-iam", VERIFY)
    host.write("/etc/hosts", f"127.0.0.1 localhost {iam.ENDPOINT}\n")
    with tempfile.TemporaryDirectory() as made:
        make_authority(pathlib.Path(made), iam.ENDPOINT)
        for file in ("ca.pem", "cert.pem", "key.pem"):
            host.write(f"{FOLDER}/tls/{file}", (pathlib.Path(made) / file).read_text())
    options = [o for o in servers.MARIADB_OPTIONS if o != "--skip-networking"]
    host.run("systemctl", "stop", "database.service")
    host.service("database", "mariadbd", *options, f"--port={PORT}", "--bind-address=127.0.0.1",
                 "--plugin-load-add=auth_pam_v1", "--pam-use-cleartext-plugin=ON", f"--ssl-ca={FOLDER}/tls/ca.pem",
                 f"--ssl-cert={FOLDER}/tls/cert.pem", f"--ssl-key={FOLDER}/tls/key.pem", user="mysql",
                 properties=["Type=notify", "LimitNOFILE=16384", "KillSignal=SIGTERM"])
    shop.database.query("CREATE USER migrator@'%' IDENTIFIED VIA pam USING 'releasemgr-iam' REQUIRE SSL;"
                        "GRANT ALL ON shop.* TO migrator@'%'; GRANT PROCESS ON *.* TO migrator@'%'")


@pytest.fixture
def instance(bare_shop):
    shop = bare_shop
    start_instance(shop.host)
    start_server(shop)
    shop.make_repository()
    shop.set_up()
    config = shop.host.path("/etc/releasemgr/shop.conf.d/10-shop.conf")
    config.write_text(re.sub(r"\[Database\].*", "", config.read_text(), flags=re.DOTALL) + BEFORE + CONFIG)
    return shop


def tokens(shop):
    """What reached the server: (verdict, {parameter: value}), the oldest first."""
    path = shop.host.path(f"{FOLDER}/tokens")
    lines = path.read_text().splitlines() if path.exists() else []
    return [(line.split(" ", 1)[0], dict(urllib.parse.parse_qsl(line.partition("/?")[2]))) for line in lines]


def test_a_token_lets_us_in(instance):
    instance.publish("1.0.0")
    instance.releasemgr("activate", "1.0.0")
    assert instance.front_page()["version"] == "1.0.0"
    instance.publish("1.1.0", schema=PRICED)
    instance.releasemgr("activate", "1.1.0")
    seen = tokens(instance)
    assert seen and {verdict for verdict, _ in seen} == {"good"}
    assert {values["X-Amz-Expires"] for _, values in seen} == {"900"}
    assert f"/{iam.REGION}/rds-db/" in seen[0][1]["X-Amz-Credential"]
    assert "ok   database" in instance.releasemgr("check").stdout
    instance.releasemgr("rollback")
    assert instance.current() == "releases/1.0.0"


def test_each_connection_has_a_token_of_its_own(instance):
    """A connection that is lost in the middle of a file is made again with a token of that moment."""
    instance.publish("1.0.0", extra=SLOW)
    client = instance.host.spawn("releasemgr", "activate", "1.0.0")
    instance.host.until(lambda: instance.database.query(ASLEEP), what="the slow statement")
    before = tokens(instance)
    instance.host.run("sleep", "1.1")  # a token's time is in seconds
    instance.database.query(f"KILL {instance.database.query(ASLEEP)[0][0]}")
    instance.host.until(lambda: len(tokens(instance)) > len(before) and instance.database.query(ASLEEP),
                        what="the slow statement again")
    instance.database.query(f"KILL QUERY {instance.database.query(ASLEEP)[0][0]}")
    said = client.communicate()
    seen = tokens(instance)
    assert {verdict for verdict, _ in seen} == {"good"}, said
    assert seen[-1][1]["X-Amz-Date"] > before[-1][1]["X-Amz-Date"]


def test_no_role(instance):
    instance.publish("1.0.0")
    instance.host.write(f"{FOLDER}/no-role", "")
    done = instance.releasemgr("activate", "1.0.0", check=False)
    assert done.returncode == 1
    assert "no token for the database: There are no AWS credentials" in done.stdout + done.stderr
    assert "Give the instance a role" in done.stdout + done.stderr
    assert tokens(instance) == []


def test_no_token_for_who_cannot_be_trusted(instance):
    """Neither for a server with another's certificate, nor for one without TLS."""
    instance.publish("1.0.0")
    instance.configure("[Database]\nTlsCaFile=/etc/ssl/certs/ca-certificates.crt\n", "90-ca.conf")
    done = instance.releasemgr("activate", "1.0.0", check=False)
    assert done.returncode == 7 and "cannot be trusted" in done.stdout + done.stderr, done.stdout + done.stderr
    assert tokens(instance) == []


def test_a_refusal_says_what_to_check(instance):
    instance.publish("1.0.0")
    instance.configure("[Database]\nRegion=us-east-1\n", "90-region.conf")
    done = instance.releasemgr("activate", "1.0.0", check=False)
    assert done.returncode == 1
    assert "does not let us in" in done.stdout + done.stderr and "rds-db:connect" in done.stdout + done.stderr
    assert [verdict for verdict, _ in tokens(instance)] == ["another"]
    token = instance.host.path(f"{FOLDER}/tokens").read_text().split()[2]
    assert token not in done.stdout + done.stderr + instance.host.journal()


def test_a_rollback_does_not_wait_for_the_instance(instance):
    instance.publish("1.0.0")
    instance.releasemgr("activate", "1.0.0")
    instance.publish("1.1.0", schema=PRICED)
    instance.releasemgr("activate", "1.1.0")
    instance.host.run("systemctl", "stop", "metadata.service")
    done = instance.releasemgr("rollback")
    assert instance.current() == "releases/1.0.0"
    assert "what it last said counts" in done.stdout
