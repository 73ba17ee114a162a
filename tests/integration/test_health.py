"""What healthy means: every kind of question, all of them at once, and a release that fails any of them is taken back
with the sentence that says which."""

import pytest

import shop as shop_module
from host import Host

PORT = 2525
EVERYTHING = f"""\
[Health]
Deadline=60s
RevertDeadline=60s
[Health tls]
Url=https://localhost:8443/
CaFile=/run/tls.crt
[Health mail]
Tcp=127.0.0.1:{PORT}
[Health orders]
Command=/usr/bin/test -e /opt/shop/releases/%v/bin/shop
Timeout=10s
[Health worker]
Unit=shop-worker.service
"""
TLS = """
import http.server, ssl
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8443), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/run/tls.crt", "/run/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
WORKER = "[Service]\nExecStart=/usr/bin/sleep infinity\n"
LISTENER = f"""\
[Service]
Type=notify
NotifyAccess=all
ExecStart=/usr/bin/python3 -c 'import socket, subprocess, time; s = socket.create_server(("127.0.0.1", {PORT}), backlog=4000); \
subprocess.run(["systemd-notify", "--ready"]); time.sleep(1e9)'
"""


@pytest.fixture(scope="module")
def world(layers):
    """One Shop for all tests of the module: 1.0.0 is active, and each failed release leads back to it."""
    with Host(layers) as h:
        shop = shop_module.Shop(h).start_servers()
        shop.make_repository()
        shop.publish("1.0.0")
        shop.set_up()
        h.write("/run/systemd/system/shop-worker.service", WORKER)
        h.write("/run/systemd/system/mail.service", LISTENER)
        h.shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost "
                "-addext subjectAltName=DNS:localhost -keyout /run/tls.key -out /run/tls.crt")
        h.service("tls", "/usr/bin/python3", "-c", TLS)
        h.run("systemctl", "daemon-reload")
        shop.releasemgr("activate", "1.0.0")
        yield shop


@pytest.fixture
def shop(world, request):
    """The Shop of the module on 1.0.0, with the configuration as it was."""
    world.host.run("systemctl", "start", "shop-worker.service", "mail.service")
    yield world
    for name in ("test.conf", "z-more.conf"):
        if world.host.path(f"/etc/releasemgr/shop.conf.d/{name}").exists():
            world.configure(None, name)
    if world.current() != "releases/1.0.0":
        world.releasemgr("rollback", "1.0.0")


def assert_taken_back(shop, version, *words):
    done = shop.releasemgr("activate", version, check=False)
    text = done.stdout + done.stderr
    assert done.returncode == 3, text
    for word in words:
        assert word in text, f"{word!r} is not said in:\n{text}"
    assert shop.front_page()["version"] == "1.0.0"
    return text


def test_every_question_at_once(shop):
    shop.publish("2.0.0")
    shop.configure(EVERYTHING)
    shop.releasemgr("activate", "2.0.0")
    assert shop.front_page()["version"] == "2.0.0"


@pytest.mark.parametrize("version, text, sentence", [
    ("2.1.1", "[Health mail]\nTcp=127.0.0.1:2526\n", "mail: cannot connect to 127.0.0.1:2526: Connection refused"),
    ("2.1.2", "[Health orders]\nCommand=/usr/bin/test %v = 1.0.0\n", "orders: /usr/bin/test exited with status 1"),
    ("2.1.4", "[Health tls]\nCaFile=/etc/ssl/certs/ca-certificates.crt\n", "tls: "),
    ("2.1.3", "[Health orders]\nCommand=/usr/bin/sleep 1000\nTimeout=1s\n", "orders: /usr/bin/sleep was killed after 1.0s"),
])
def test_one_question_fails(shop, version, text, sentence):
    """... of those that are asked beside all the others. The release before answers it no better: exit 4, but where
    the question is about the version."""
    shop.publish(version)
    shop.configure(EVERYTHING)
    back = "60s" if "%v" in text else "4s"
    shop.configure(f"[Health]\nDeadline=6s\nRevertDeadline={back}\n" + text, "z-more.conf")
    done = shop.releasemgr("activate", version, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == (3 if "%v" in text else 4), said
    assert f"{version} failed: {sentence}" in said, said
    assert shop.front_page()["version"] == "1.0.0"


def test_another_unit_fails(shop):
    """A release whose worker does not stay up: the worker is part of the service."""
    shop.publish("2.2.0", extra={"worker-fails": "yes"})
    shop.host.write("/run/systemd/system/shop-worker.service",
                    "[Unit]\nPartOf=shop.service\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=100ms\n"
                    "ExecStart=/bin/sh -c 'test ! -e /opt/shop/current/worker-fails && exec sleep infinity'\n")
    shop.host.write("/run/systemd/system/shop.service.d/worker.conf", "[Unit]\nWants=shop-worker.service\n")
    shop.host.run("systemctl", "daemon-reload")
    shop.host.run("systemctl", "restart", "shop-worker.service")
    shop.configure("[Health]\nDeadline=10s\nRevertDeadline=60s\n"
                   "[Health worker]\nUnit=shop-worker.service\nSuccesses=2\nInterval=1s\n")
    assert_taken_back(shop, "2.2.0", "worker: shop-worker.service ")


def test_slow_answers(shop):
    shop.publish("2.3.0", behaviour="slow")
    shop.configure("[Health]\nMaxLatency=2s\nTimeout=10s\nDeadline=8s\n")
    assert_taken_back(shop, "2.3.0", ": it took ", "MaxLatency= is 2.0s")


def test_wrong_questions(shop):
    """What is wrong is named before anything moves, and does not keep an emergency's rollback from going on."""
    shop.publish("2.4.0")
    shop.releasemgr("activate", "2.4.0")
    for text, words in (("[Health mail]\nTcp=nowhere\n", "[Health mail]: 'nowhere' is no address to connect to"),
                        ("[Health x]\nUnit=worker\n", "[Health x]: 'worker' is no name of a unit"),
                        ("[Health x]\nUrl=smtp://x\n", "[Health x]: 'smtp://x' is no address of a health page"),
                        ("[Health x]\nTcp=[::1]:1\nUnit=a.service\n", "[Health x] asks more than one thing")):
        shop.configure(text)
        before = shop.snapshot()
        done = shop.releasemgr("activate", "1.0.0", check=False)
        assert done.returncode == 2 and words in done.stderr, done.stdout + done.stderr
        assert shop.snapshot() == before
    shop.configure("[Health mail]\nTcp=nowhere\n")
    done = shop.releasemgr("rollback", "1.0.0")
    assert "'nowhere' is no address to connect to; it is not asked" in done.stdout + done.stderr
    assert shop.front_page()["version"] == "1.0.0"
