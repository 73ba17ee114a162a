"""README's "On your server", run line by line as it stands there, on a throwaway host that has nothing yet.

What the section takes for granted is made true first: a clone of the repository, two releases of the app, a database
with its account, and a web server that serves /srv/releases as https://releases.example.com/."""

import pathlib
import re
import subprocess

import pytest

import build
import releases
import servers
from host import Host

TLS = """
        server {
                listen 127.0.0.1:443 ssl;
                server_name releases.example.com;
                ssl_certificate /srv/web/server.pem;
                ssl_certificate_key /srv/web/server.key;
                root /srv/releases;
        }
}
"""
CERTIFICATES = """
cd /srv/web
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj '/CN=test authority' \
        -keyout ca.key -out /usr/local/share/ca-certificates/test.crt 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj '/CN=releases.example.com' \
        -keyout server.key -out server.csr 2>/dev/null
openssl x509 -req -in server.csr -CA /usr/local/share/ca-certificates/test.crt -CAkey ca.key -CAcreateserial -days 30 \
        -extfile <(echo 'subjectAltName=DNS:releases.example.com') -out server.pem 2>/dev/null
update-ca-certificates >/dev/null
echo '127.0.0.1 releases.example.com' >>/etc/hosts
"""


def section(title):
    text = (build.SOURCE / "README.md").read_text()
    return re.search(rf"^## {title}\n(.*?)^## ", text, re.DOTALL | re.MULTILINE).group(1)


def blocks(text):
    return re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def newcomer(request):
    """A host without releasemgr, and what the section takes for granted."""
    cache = pathlib.Path(request.config.getoption("--cache"))
    with Host([servers.make_database_layer(cache / "database")]) as host:
        # There is no network: what is installed is not to be replaced by something newer that apt has heard of.
        host.write("/etc/apt/apt.conf.d/99-offline", 'APT::Get::Upgrade "false";\n')
        clone = host.path("/srv/clone")
        clone.mkdir()
        files = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard"],
                               cwd=build.SOURCE, check=True, capture_output=True).stdout
        packed = subprocess.run(["tar", "-c", "--null", "-T", "-"], cwd=build.SOURCE, input=files.replace(b"\n", b"\0"),
                                check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", str(clone)], input=packed, check=True)
        releases.make_release(host.path("/root/shop-1.0.0"), "1.0.0")
        releases.make_release(host.path("/root/shop-1.1.0"), "1.1.0", schema=releases.PRICED)
        servers.Database(host).start()
        host.run("install", "-d", "/run/mysqld")
        host.run("ln", "-s", servers.SOCKET, "/run/mysqld/mysqld.sock")
        host.run("mkdir", "-p", "/srv/web", "/srv/releases", "/run/web", "/usr/local/share/ca-certificates")
        host.shell(CERTIFICATES)
        host.write("/srv/web/nginx.conf", (servers.NGINX % {"root": "/srv/releases"}).rstrip()[:-1] + TLS)
        host.service("web", "nginx", "-c", "/srv/web/nginx.conf")
        yield host


def test_on_your_server(newcomer):
    steps = blocks(section("On your server"))
    assert len(steps) >= 10
    said = ""
    for step in steps:
        done = newcomer.shell(step, directory="/srv/clone", check=False, timeout=1800)
        assert done.returncode == 0, f"{step}\n{done.stdout}{done.stderr}"
        said += done.stdout
    page = newcomer.run("curl", "-s", "http://127.0.0.1:8000/").stdout
    assert '"version": "1.0.0"' in page, page  # the section ends with a rollback
    assert newcomer.unit("releasemgr-pull@shop.timer")["ActiveState"] == "active"
    assert newcomer.run("systemctl", "is-enabled", "shop.service").stdout.strip() == "enabled"
    # and it is still so after the machine was restarted
    newcomer.reboot()
    assert newcomer.unit("releasemgr-recover.service")["Result"] == "success"
