"""Releases from nginx as people set it up for the world: TLS of a private authority, HTTP/2, client certificates, redirects,
an overload."""

import os
import random

import mariadb
import pytest
from shop import REPOSITORY

SERVER = """
        server {
                listen 127.0.0.1:%(port)d ssl http2;
                ssl_certificate /srv/tls/cert.pem;
                ssl_certificate_key /srv/tls/key.pem;
                ssl_client_certificate /srv/tls/ca.pem;
                root /srv/repository;
                %(more)s
        }
"""
PORTS = {
    8443: "ssl_verify_client on;",
    8444: "return 302 https://localhost:8445$request_uri;",
    8445: "",
    8446: "return 302 http://127.0.0.1:8080$request_uri;",
    8448: "location /metadata/ { return 403; }",
    8449: "location ~ tar.zst$ { limit_rate 3m; }",
    8447: "location / { add_header Retry-After 600 always; return 503; }",
}


@pytest.fixture
def world(shop):
    """The shop's nginx, which listens at PORTS, too."""
    host = shop.host
    host.path("/srv/tls").mkdir()
    mariadb.make_authority(host.path("/srv/tls"))
    shop.web.stop()
    conf = host.path("/srv/web/nginx.conf")
    servers = "".join(SERVER % {"port": port, "more": more} for port, more in PORTS.items())
    conf.write_text(conf.read_text().rstrip().removesuffix("}") + servers + "}\n")
    host.service("web", "nginx", "-c", "/srv/web/nginx.conf")
    host.until(lambda: host.run("curl", "-so", "/dev/null", shop.web.url, check=False).returncode == 0,
               what="the start of nginx")
    return shop


def use(shop, port, *more):
    lines = [f"Url=https://localhost:{port}/", "CaFile=/srv/tls/ca.pem", *more]
    shop.configure("\n".join(["[Repository]", *lines, ""]))


def test_tls_http2_and_certificates(world):
    data = random.Random(1).randbytes(9 << 20)
    world.publish("1.1.0", "--patches=0", extra={"data.bin": data})
    own = ["ClientCertificate=/srv/tls/cert.pem", "ClientKey=/srv/tls/key.pem"]
    world.configure("[Repository]\nUrl=https://localhost:8443/\n")
    done = world.releasemgr("plan", check=False)
    assert done.returncode == 1 and "certificate of https://localhost:8443" in done.stderr
    use(world, 8443)
    done = world.releasemgr("plan", check=False)
    assert done.returncode == 1 and "status 400" in done.stderr, done.stderr
    use(world, 8443, *own)
    world.releasemgr("activate", "1.1.0")
    world.releasemgr("verify", "1.1.0")
    asked = [line.split('"')[1:3] for line in world.web.requests() if "shop-1.1.0.tar.zst HTTP" in line]
    assert {(request.split()[2], answer.split()[0]) for request, answer in asked} == {("HTTP/2.0", "206")}
    bundle, = world.host.path(f"{REPOSITORY}/targets/shop/1.1.0").glob("*.tar.zst")
    sent = sum(int(answer.split()[1]) for _, answer in asked)
    assert os.path.getsize(bundle) <= sent <= os.path.getsize(bundle) * 1.1


def test_refusals_redirects_and_an_overload(world):
    """Only where they are allowed, and never to another scheme."""
    world.publish("1.1.0")
    world.configure(f"[Repository]\nUrl={world.web.url}elsewhere/\n")
    done = world.releasemgr("plan", check=False)
    assert done.returncode == 1 and f"is {world.web.url}elsewhere/ the repository's address?" in done.stderr, done.stderr
    use(world, 8448)
    done = world.releasemgr("plan", check=False)
    assert done.returncode == 1 and "status 403" in done.stderr and "credentials" in done.stderr, done.stderr
    use(world, 8444)
    done = world.releasemgr("plan", check=False)
    assert done.returncode == 1 and "redirects" in done.stderr and "allow redirects" in done.stderr
    use(world, 8446, "Redirects=yes")
    done = world.releasemgr("plan", check=False)
    assert done.returncode == 1 and "another protocol" in done.stderr
    use(world, 8444, "Redirects=yes")
    world.releasemgr("activate", "1.1.0")
    assert world.current() == "releases/1.1.0"
    # and one that wants to be asked again after the deadline is not waited for
    use(world, 8447, "Deadline=5min")
    done = world.releasemgr("plan", check=False, timeout=200)
    assert done.returncode == 1 and "503" in done.stderr, done.stderr


def test_a_connection_that_breaks_under_http2(world):
    """The server's worker dies in mid-transfer, twice."""
    world.publish("1.1.0", "--patches=0", extra={"data.bin": random.Random(1).randbytes(24 << 20)})
    use(world, 8449)
    partial = lambda: sum(p.stat().st_blocks for p in world.host.path("/opt/shop/releases").glob(".partial-*"))  # noqa: E731
    activate = world.host.spawn("releasemgr", "--json", "activate", "1.1.0")
    for blocks in (2000, 8000):
        world.host.until(lambda: partial() > blocks, what="the transfer")
        assert activate.poll() is None
        world.host.run("pkill", "-KILL", "-f", "nginx: worker")
    done = activate.communicate()
    assert done.returncode == 0, done.stdout + done.stderr
    world.releasemgr("verify", "1.1.0")
    assert world.current() == "releases/1.1.0"


# What stands between a company's hosts and the world: it forwards for who knows the password, and writes down what for.
FORWARDER = """
import base64, socket, sys, threading
WORD = b"Basic " + base64.b64encode(b"hosts:very secret")
def pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass
def head(client):
    data = b""
    while not data.endswith(b"\\r\\n\\r\\n") and (byte := client.recv(1)):
        data += byte
    return data
def serve(client):
    while request := head(client):
        method, where = request.split()[:2]
        allowed = WORD in request
        print(method.decode(), where.decode(), allowed, flush=True)
        if not allowed:
            client.sendall(b"HTTP/1.1 407 Who are you\\r\\nProxy-Authenticate: Basic realm=x\\r\\nContent-Length: 0\\r\\n\\r\\n")
            continue
        host, port = (where if method == b"CONNECT" else where.split(b"/")[2]).split(b":")
        server = socket.create_connection((host.decode(), int(port)))
        if method == b"CONNECT":
            client.sendall(b"HTTP/1.1 200 Go\\r\\n\\r\\n")
        else:
            lines = [line for line in request.split(b"\\r\\n") if not line.lower().startswith((b"proxy-", b"connection"))]
            lines[0] = lines[0].replace(b"http://" + where.split(b"/")[2], b"")
            server.sendall(b"\\r\\n".join([lines[0], b"Connection: close", *lines[1:]]))
        threading.Thread(target=pump, args=(client, server), daemon=True).start()
        pump(server, client)
        client.close()
        return
listener = socket.create_server(("127.0.0.1", 3128))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


def test_a_proxy_with_a_password(world):
    """By Proxy= and by the environment, for http and https; the password is told to the proxy and to nobody else."""
    world.host.write("/srv/forwarder.py", FORWARDER)
    world.host.service("forwarder", "sh", "-c", "exec /usr/bin/python3 /srv/forwarder.py >/srv/forwarded")
    asked = lambda: world.host.read("/srv/forwarded").splitlines()  # noqa: E731
    world.host.until(lambda: world.host.run("curl", "-so", "/dev/null", "http://127.0.0.1:3128/", check=False).returncode == 0,
                     what="the proxy")
    address = "http://hosts:very%20secret@127.0.0.1:3128"
    world.publish("1.1.0")
    use(world, 8445, f"Proxy={address}")
    done = world.releasemgr("activate", "1.1.0")
    said = done.stdout + done.stderr
    assert world.current() == "releases/1.1.0"
    world.publish("1.2.0")
    world.configure("")
    done = world.releasemgr("activate", "1.2.0", env={"http_proxy": address})
    said += done.stdout + done.stderr
    assert world.current() == "releases/1.2.0"
    assert any(line == "CONNECT localhost:8445 True" for line in asked())
    assert any(line.startswith(f"GET {world.web.url}metadata/timestamp.json") and line.endswith("True") for line in asked())
    world.publish("1.3.0")
    use(world, 8445, "Proxy=http://hosts:wrong%20secret@127.0.0.1:3128")
    done = world.releasemgr("plan", check=False)
    assert done.returncode == 1 and "407" in done.stderr, done.stderr
    said += done.stdout + done.stderr + world.host.run("journalctl", "--no-pager", "-o", "cat").stdout
    assert "secret" not in said
