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
