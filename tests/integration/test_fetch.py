"""How releases come to the host: copies, patches, bundles, and the falls from one to the next."""

import json
import os
import pathlib
import random
import shutil
import time

import releases
from servers import SOCKET
from shop import KEYS, REPOSITORY

AWS = pathlib.Path(__file__).resolve().parents[1] / "unit/fetch/aws.py"


def plan(shop, version="latest"):
    return json.loads(shop.releasemgr("plan", version, "--json").stdout.splitlines()[-1])["fetch"]


def fetched(shop, version):
    done = shop.releasemgr("activate", version)
    assert shop.current() == f"releases/{version}"
    shop.releasemgr("verify", version)
    return done.stdout + done.stderr


def repository_files(shop, suffix):
    for directory, _, files in os.walk(shop.host.path(REPOSITORY)):
        yield from (os.path.join(directory, name) for name in files if name.endswith(suffix))


def test_a_patch_is_chosen_and_planned(shop):
    out = shop.publish("1.1.0").stdout
    assert "patch from 1.0.0" in out
    chosen = plan(shop)
    assert (chosen["how"], chosen["from"]) == ("patch", "1.0.0")
    bundle = next(repository_files(shop, "shop-1.1.0.tar.zst"))
    assert chosen["bytes"] < os.path.getsize(bundle) / 10
    assert "a patch from 1.0.0" in shop.releasemgr("plan").stdout
    assert "a patch from 1.0.0" in fetched(shop, "1.1.0")


def test_what_is_here_is_copied(shop):
    tree = shop.make_release("1.0.0-again")
    shop.host.path(f"{tree}/release.json").write_text(shop.host.path("/opt/shop/current/release.json").read_text())
    shop.publish("1.0.1", tree=tree)
    chosen = plan(shop, "1.0.1")
    assert chosen == {"how": "copy", "from": "1.0.0", "bytes": 0}
    # Nothing is fetched: not even with the targets gone.
    os.rename(shop.host.path(f"{REPOSITORY}/targets/shop/1.0.1"), shop.host.path(f"{REPOSITORY}/gone"))
    shop.configure("[Health]\nDeadline=2s\nRevertDeadline=60s\n")  # it will not say that it is 1.0.1
    done = shop.releasemgr("activate", "1.0.1", check=False)
    assert "a copy of 1.0.0" in done.stdout + done.stderr
    shop.releasemgr("verify", "1.0.1")


def test_a_damaged_old_tree_falls_back_to_the_bundle(shop):
    shop.publish("1.1.0")
    image = shop.host.path("/opt/shop/releases/1.0.0/assets/image-3.bin")
    data = bytearray(image.read_bytes())
    data[1000] ^= 1
    os.chmod(image, 0o644)
    image.write_bytes(data)
    assert "no patch from 1.0.0" in fetched(shop, "1.1.0")


def test_a_missing_or_wrong_patch_falls_back_to_the_bundle(shop):
    shop.publish("1.1.0")
    for patch in list(repository_files(shop, ".patch")):
        os.unlink(patch)
    assert "no patch from 1.0.0" in fetched(shop, "1.1.0")
    shop.publish("1.2.0")
    for patch in list(repository_files(shop, ".patch")):
        with open(patch, "r+b") as f:
            f.seek(30)
            byte = f.read(1)[0]
            f.seek(30)
            f.write(bytes([byte ^ 1]))
    out = fetched(shop, "1.2.0")
    assert "no patch from 1.1.0" in out


def test_two_patches_in_a_chain(shop):
    """By way of a release that is not here, which is never more than a file without a name."""
    image = random.Random(99).randbytes(1 << 20)
    shop.publish("1.1.0", "--patches=1", extra={"more.bin": image})
    shop.publish("1.2.0", "--patches=1", extra={"more.bin": image[:-9] + b"different"})
    assert len(list(repository_files(shop, ".patch"))) == 2
    chosen = plan(shop)
    assert (chosen["how"], chosen["from"], chosen["through"]) == ("chain", "1.0.0", "1.1.0")
    sizes = [sum(map(os.path.getsize, repository_files(shop, suffix))) for suffix in (".patch", ".patch.blocks")]
    assert chosen["bytes"] == sum(sizes)
    assert "a chain from 1.0.0 by way of 1.1.0" in shop.releasemgr("plan").stdout
    assert "a chain of patches from 1.0.0 by way of 1.1.0" in fetched(shop, "1.2.0")
    assert not shop.staging() and not shop.host.path("/opt/shop/releases/1.1.0").exists()


def test_a_broken_chain_falls_back_to_the_bundle(shop):
    shop.publish("1.1.0", "--patches=1", extra={"a": "1"})
    shop.publish("1.2.0", "--patches=1", extra={"a": "2"})
    for patch in repository_files(shop, "1.1.0..1.2.0.patch"):
        os.unlink(patch)
    assert "no chain from 1.0.0" in fetched(shop, "1.2.0")
    shop.publish("1.3.0", "--patches=1", extra={"a": "3"})
    shop.publish("1.4.0", "--patches=1", extra={"a": "4"})
    image = shop.host.path("/opt/shop/releases/1.2.0/assets/image-3.bin")
    os.chmod(image, 0o644)
    image.write_bytes(image.read_bytes()[:-1] + b"?")
    assert "no chain from 1.2.0" in fetched(shop, "1.4.0")
    assert not shop.staging()


def test_old_patches_are_pruned(shop):
    for version in ("1.1.0", "1.2.0"):
        shop.publish(version)
    assert len(list(repository_files(shop, ".patch"))) == 3
    shop.releasemgr("repo", "prune", "--keep=1", "--app", "shop", "--repo", REPOSITORY, "--keys", "/srv/keys")
    assert len(list(repository_files(shop, ".patch"))) == 2
    assert "a patch from 1.0.0" in fetched(shop, "1.2.0")
    # There is no patch to 1.1.0 any more.
    assert plan(shop, "1.1.0")["how"] == "bundle"


def test_the_configuration_of_the_repository_is_heeded(shop):
    shop.publish("1.1.0", "--patches=0")
    shop.configure("[Repository]\nProxy=http://127.0.0.1:1\n")
    done = shop.releasemgr("plan", check=False)
    assert done.returncode == 1 and "127.0.0.1" in done.stderr
    shop.configure("[Repository]\nProxy=none\nMaxRate=300K\n")
    started = time.monotonic()
    fetched(shop, "1.1.0")
    assert time.monotonic() - started > 1024 / 300 - 1  # a MiB of assets, but for what may come at once


def test_push_to_a_bucket_and_fetch_from_it(shop):
    shop.host.path("/srv/bucket").mkdir()
    shutil.copy(AWS, shop.host.path("/srv/aws.py"))
    shop.host.service("aws", "sh", "-c", "tail -f /dev/null | python3 -B /srv/aws.py /srv/bucket >/srv/aws.port")
    port = shop.host.path("/srv/aws.port")
    shop.host.until(lambda: port.exists() and port.read_text().endswith("\n"), what="the start of aws.py")
    endpoint = f"http://127.0.0.1:{port.read_text().strip()}"
    keys = {"AWS_ACCESS_KEY_ID": "STATIC", "AWS_SECRET_ACCESS_KEY": "secret-static"}

    def push(**options):
        return shop.releasemgr("repo", "push", "s3://plain/releases", "--repo", REPOSITORY, "--s3-endpoint", endpoint,
                               "--s3-path-style", "--json", **options)

    first = json.loads(push(env=keys).stdout.splitlines()[-1])
    assert first["there"] == 0 and first["sent"] > 5
    # In the order in which no client meets a name of what is not there yet.
    bucket = shop.host.path("/srv/bucket/releases")
    sent = sorted((p for p in bucket.rglob("*") if p.is_file()), key=lambda p: p.stat().st_mtime_ns)
    kinds = [p.name.split(".")[-2] if p.parent.name == "metadata" else "" for p in sent]
    assert kinds == sorted(kinds, key=["", "targets", "snapshot", "timestamp", "root"].index)
    again = json.loads(push(env=keys).stdout.splitlines()[-1])
    assert (again["sent"], again["there"]) == (0, first["sent"])
    shop.publish("1.1.0")
    more = json.loads(push(env=keys).stdout.splitlines()[-1])
    assert more["there"] >= first["sent"] - 1 and more["sent"] > 3
    local = {p.relative_to(shop.host.path(REPOSITORY)) for kind in ("targets", "metadata")
             for p in shop.host.path(REPOSITORY).joinpath(kind).rglob("*") if p.is_file()}
    assert local == {p.relative_to(bucket) for p in bucket.rglob("*") if p.is_file()}
    shop.configure(f"[Repository]\nUrl=s3://plain/releases\nS3Endpoint={endpoint}\nS3PathStyle=yes\n")
    shop.releasemgr("activate", "1.1.0", "--foreground", env=keys)
    assert shop.current() == "releases/1.1.0"

    wrong = push(env={**keys, "AWS_SECRET_ACCESS_KEY": "wrong"}, check=False)
    assert wrong.returncode == 1


# A web server that sends a block and a half of a bundle, notes how much, and then waits until the client is gone.
HALTING = """
import http.server, os, re, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        path = sys.argv[1] + self.path
        if not os.path.isfile(path):
            return self.send_error(404)
        size = os.path.getsize(path)
        asked = re.fullmatch("bytes=([0-9]+)-([0-9]*)", self.headers.get("Range", ""))
        first, last = (int(asked[1]), int(asked[2] or size - 1)) if asked else (0, size - 1)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(last + 1 - first))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        with open(path, "rb") as f:
            f.seek(first)
            data = f.read(last + 1 - first)
        if path.endswith(".tar.zst"):
            data = data[:393216]
            with open("/run/sent", "a") as f:
                f.write(f"{first} {len(data)}\\n")
        self.wfile.write(data)
        if first + len(data) <= last:
            self.rfile.read(1)
            self.close_connection = True
http.server.ThreadingHTTPServer(("127.0.0.1", 8090), Handler).serve_forever()
"""


def test_killed_at_every_block(shop):
    """Nothing that was verified is sent again: all in all the bundle, and less than a block for each kill."""
    block = 256 << 10
    shop.publish("1.1.0", "--patches=0", extra={"data.bin": random.Random(1).randbytes(1 << 20)})
    length = os.path.getsize(next(repository_files(shop, "shop-1.1.0.tar.zst")))
    shop.host.service("halting", "/usr/bin/python3", "-u", "-c", HALTING, REPOSITORY)
    shop.host.until(lambda: shop.host.run("curl", "-so", "/dev/null", "http://127.0.0.1:8090/", check=False).returncode == 0,
                    what="the start of the web server")
    shop.configure("[Repository]\nUrl=http://127.0.0.1:8090/\n")
    releases_here = shop.host.path("/opt/shop/releases")
    sent = lambda: [int(n) for n in shop.host.read("/run/sent").split()]  # noqa: E731
    kills = -((block * 3 // 2 - length) // block)  # the last time, all that is left comes at once
    for n in range(1, kills + 2):
        activate = shop.host.spawn("releasemgr", "activate", "1.1.0", "--foreground")
        if n <= kills:
            # with the n-th block verified, and half of the next one here
            shop.host.until(lambda: sum(p.stat().st_blocks for p in releases_here.glob(".partial-*")) * 512 >= n * block,
                            what=f"block {n}")
            activate.signal(9)
        done = activate.communicate()
        assert (done.returncode == 0) == (n > kills), done.stdout + done.stderr
    assert "(resumed)" in done.stdout
    assert sent()[::2] == [n * block for n in range(kills + 1)]
    assert length <= sum(sent()[1::2]) <= length + kills * block


def test_the_disk_holds_what_the_plan_says(shop):
    """Which is no room for the blocks beside the tree: they are not kept then."""
    here = "/opt/shop/releases"
    noise = random.Random(1)
    data = b"".join(noise.randbytes(128 << 10) + bytes(128 << 10) for _ in range(200))
    shop.publish("1.1.0", "--patches=0", extra={"data.bin": data})
    room = int(shop.host.shell(f"du -sm {here}").stdout.split()[0]) + (len(data) >> 20) + 20
    shop.host.shell(f"cp -a {here} /srv/kept && mount -t tmpfs -o size={room}m tmpfs {here} && cp -a /srv/kept/. {here}/")
    fetched(shop, "1.1.0")
    assert not shop.staging()
    shop.host.write(f"{here}/.partial-{'0' * 64}", "of a release that nobody wants any more")
    shop.releasemgr("prune")
    assert not shop.staging()


# Stands between the app and its database, and lets nobody through before the file /run/gate is there.
GATEKEEPER = """
import os, socket, threading, time
def pump(a, b):
    while data := a.recv(65536):
        b.sendall(data)
    b.shutdown(socket.SHUT_WR)
def serve(client):
    while not os.path.exists("/run/gate"):
        time.sleep(0.05)
    server = socket.socket(socket.AF_UNIX)
    server.connect("/run/database/mariadb.sock")
    threading.Thread(target=pump, args=(server, client), daemon=True).start()
    pump(client, server)
s = socket.socket(socket.AF_UNIX)
s.bind("/run/gatekeeper.new")
s.listen(9)
os.rename("/run/gatekeeper.new", "/run/gatekeeper")
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"""


def behind_gatekeeper(shop, rate):
    """The database answers only once /run/gate is there, and the web server sends slowly."""
    shop.host.service("gatekeeper", "/usr/bin/python3", "-u", "-c", GATEKEEPER)
    shop.host.until(shop.host.path("/run/gatekeeper").exists, what="the gatekeeper")
    shop.configure("[Database]\nSocket=/run/gatekeeper\n")
    shop.web.stop()
    conf = shop.host.path("/srv/web/nginx.conf")
    conf.write_text(conf.read_text().replace("http {", f"http {{\n    limit_rate {rate};", 1))
    shop.host.service("web", "nginx", "-c", "/srv/web/nginx.conf")
    shop.host.until(lambda: shop.host.run("curl", "-so", "/dev/null", shop.web.url, check=False).returncode == 0,
                    what="the start of nginx")


def test_a_slow_database_is_asked_while_bytes_arrive(shop):
    """What it says in the end counts: a refusal ends the download, and a yes comes after it."""
    extra = {"migrations/contract/0004_drop_visits.sql": "DROP TABLE visits;\n"}
    shop.publish("1.1.0", schema={**releases.PRICED, "counts_visits": False}, extra=extra)
    shop.releasemgr("activate", "1.1.0")
    shop.releasemgr("migrate", "contract")
    # Two releases that are too large to arrive meanwhile: one does not know the contract migration.
    noise = {"data.bin": random.Random(1).randbytes(12 << 20)}
    shop.publish("1.2.0", "--patches=0", schema=releases.PRICED, extra=noise)
    length = os.path.getsize(next(repository_files(shop, "shop-1.2.0.tar.zst")))
    behind_gatekeeper(shop, "30k")

    activate = shop.host.spawn("releasemgr", "activate", "1.2.0")
    shop.host.until(shop.staging, what="the begin of the download")
    shop.host.write("/run/gate", "")
    done = activate.communicate()
    said = done.stdout + done.stderr
    assert done.returncode == 6, said
    assert "contract migration 4 ran on it" in said and "nothing was switched" in said
    assert shop.current() == "releases/1.1.0"
    shop.host.until(lambda: not any(name.startswith(".staging") for name in shop.staging()), what="the undoing")
    shop.web.stop()
    sent = [int(line.split('"')[2].split()[1]) for line in shop.web.requests() if "shop-1.2.0.tar.zst HTTP" in line]
    assert sum(sent) < length / 2

    shop.host.path("/run/gate").unlink()
    shop.web.start()
    shop.publish("1.3.0", schema={**releases.PRICED, "counts_visits": False}, extra=extra)
    activate = shop.host.spawn("releasemgr", "activate", "1.3.0")
    shop.host.until(shop.staging, what="the begin of the download")
    shop.host.write("/run/gate", "")
    done = activate.communicate()
    assert done.returncode == 0, done.stdout
    assert shop.current() == "releases/1.3.0"


def test_who_keeps_migrations_waiting_is_told_before_the_download(shop):
    def holder():
        (found,), = shop.database.query("SELECT IS_USED_LOCK('releasemgr:shop')")
        return None if found == "NULL" else found

    shop.publish("1.1.0", schema=releases.PRICED)
    shop.host.spawn("mariadb", "--no-defaults", f"--socket={SOCKET}", "-e",
                    "SELECT GET_LOCK('releasemgr:shop', 0); SELECT SLEEP(300)")
    shop.host.until(holder, what="the lock")
    activate = shop.host.spawn("releasemgr", "--json", "activate", "1.1.0")
    told = []
    for event in map(json.loads, activate.stdout):
        told.append(event)
        if event["event"] == "done" and event["stage"] == "fetch":
            break
    notes = [event["text"] for event in told if event["event"] == "note"]
    assert "another session holds the lock of the database: migrations will wait for it" in notes
    shop.database.query(f"KILL CONNECTION {holder()}")
    rest = activate.communicate()
    assert activate.popen.returncode == 0, rest
    assert shop.current() == "releases/1.1.0"


def test_promotion_makes_the_patches(shop):
    shop.publish("1.1.0", "--channel=", "--patches=0")
    assert not list(repository_files(shop, ".patch"))
    done = shop.releasemgr("repo", "promote", "1.1.0", "--channel=stable", "--app", "shop", "--repo", REPOSITORY,
                           "--keys", "/srv/keys")
    assert "patch from 1.0.0" in done.stdout
    assert "a patch from 1.0.0" in fetched(shop, "1.1.0")


def test_pull_with_nothing_new_asks_almost_nothing(shop):
    """One look for the next root, and whether the timestamp is another; the database and the unit are left alone."""
    time.sleep(2.5)  # what was written just now may be written again under the same ETag, and is asked for whole
    shop.releasemgr("pull")
    shop.configure("[Database]\nSocket=/run/missing\n")
    before, unit = len(shop.web.requests()), shop.host.unit("shop.service", "InvocationID", "MainPID")
    done = shop.releasemgr("pull")
    asked = [line.split('"')[1:3] for line in shop.web.requests()[before:]]
    assert sorted((request.split()[1], answer.split()[0]) for request, answer in asked) == [
        ("/metadata/2.root.json", "404"), ("/metadata/timestamp.json", "304")], (asked, done.stdout)
    assert shop.host.unit("shop.service", "InvocationID", "MainPID") == unit
    assert len(shop.history()) == 1
    # and a fleet does not do so all at a time
    assert shop.host.unit("releasemgr-pull@shop.timer", "RandomizedDelayUSec", "AccuracyUSec") == {
        "RandomizedDelayUSec": "1min", "AccuracyUSec": "10s"}


def test_a_damaged_timestamp_is_fetched_anew(shop):
    """The server would say that it is the one that we have."""
    time.sleep(2.5)
    shop.releasemgr("pull")
    stored = shop.host.path("/var/lib/releasemgr/shop/trust/timestamp.json")
    kept = stored.read_bytes()
    assert shop.host.path("/var/lib/releasemgr/shop/trust/timestamp.etag").exists()
    stored.write_text("{")
    shop.releasemgr("pull")
    assert stored.read_bytes() == kept


def test_nobody_else_can_hold_up_a_refresh(shop):
    trust = "/var/lib/releasemgr/shop/trust"
    shop.releasemgr("pull")
    done = shop.host.run("flock", "--nonblock", f"{trust}/.lock", "true", user="nobody", check=False)
    assert "Permission denied" in done.stderr
    shop.host.service("holder", "flock", trust, "sleep", "infinity", user="nobody")
    shop.host.until(lambda: shop.host.run("flock", "--nonblock", trust, "true", check=False).returncode != 0, what="the holder")
    shop.releasemgr("pull", timeout=60)


# Says nothing of a root before it was asked for the timestamp, for a while; and writes down whether it was.
TOGETHER = """
import http.server, sys, threading
asked = threading.Event()
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path.endswith("timestamp.json"):
            asked.set()
        if self.path.endswith("root.json"):
            with open("/run/together", "a") as log:
                print(self.path, asked.wait(20), file=log)
        super().do_GET()
http.server.ThreadingHTTPServer(("127.0.0.1", 8090), Handler).serve_forever()
"""


def test_root_and_timestamp_are_asked_for_at_a_time(shop):
    """And a root that is new puts off the timestamp that came along: it may be signed by another key."""
    shop.host.service("together", "/usr/bin/python3", "-u", "-c", TOGETHER, properties=[f"WorkingDirectory={REPOSITORY}"])
    shop.host.until(lambda: shop.host.run("curl", "-so", "/dev/null", "http://127.0.0.1:8090/", check=False).returncode == 0,
                    what="the server")
    shop.configure("[Repository]\nUrl=http://127.0.0.1:8090/\n")
    shop.releasemgr("pull")
    assert shop.host.read("/run/together") == "/metadata/2.root.json True\n"
    shop.releasemgr("repo", "rotate", "online", "--repo", REPOSITORY, "--keys", "/srv/keys")
    shop.releasemgr("pull")
    assert "/metadata/3.root.json" in shop.host.read("/run/together")


def test_the_http_library_is_loaded_by_who_asks_over_http(shop):
    """Loading it takes longer than most verbs do for all else."""
    def loads(*arguments):
        done = shop.releasemgr(*arguments, env={"LD_DEBUG": "files"})
        return "libcurl.so" in done.stderr

    for arguments in (["--version"], ["status"], ["list"], ["history"], ["show"], ["verify"], ["hold"], ["unhold"],
                      ["prune"], ["recover"], ["migrate", "status"], ["migrate", "apply"],
                      ["repo", "refresh", "--repo", REPOSITORY, "--keys", KEYS]):
        assert not loads(*arguments), arguments
    assert loads("plan")
    hidden = "mount --bind /dev/null $(ldconfig -p | sed -n 's,.*libcurl.so.4 .*x86-64.*=> ,,p') && exec releasemgr plan"
    done = shop.host.run("unshare", "-m", "sh", "-c", hidden, check=False)
    assert done.returncode == 1
    assert "libcurl.so.4" in done.stderr and "Install the package" in done.stderr, done.stderr
