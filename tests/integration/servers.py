"""The real servers that a test host runs: MariaDB and nginx, with data and configuration of their own."""

import pathlib
import shutil
import subprocess
import tempfile

SOCKET = "/run/database/mariadb.sock"
PASSWORD = "correct horse"

MARIADB_OPTIONS = """
    --no-defaults --datadir=/srv/database --socket=/run/database/mariadb.sock --pid-file=/run/database/pid
    --skip-networking --skip-log-bin --innodb-buffer-pool-size=16M --innodb-log-file-size=8M
    --innodb-flush-method=fsync --innodb-use-native-aio=0 --character-set-server=utf8mb4
    --plugin-maturity=unknown --skip-name-resolve
""".split()

ACCOUNTS = f"""
    CREATE DATABASE shop CHARACTER SET utf8mb4;
    CREATE USER shop@localhost IDENTIFIED BY '{PASSWORD}';
    GRANT ALL ON shop.* TO shop@localhost;
    FLUSH PRIVILEGES;
"""


def make_database_layer(layer):
    """A layer for a Host with an initialised data directory at /srv/database: made once, copied by nobody, since
    the host's overlay copies only what is written."""
    data = pathlib.Path(layer) / "srv" / "database"
    if data.exists():
        return layer
    data.parent.mkdir(parents=True, exist_ok=True)
    # Made below /tmp: the server's own user may not be able to look into the build directory.
    with tempfile.TemporaryDirectory(prefix="releasemgr-database-") as private:
        options = ["--no-defaults", f"--datadir={private}/data", "--innodb-log-file-size=8M", "--user=root",
                   "--innodb-flush-method=nosync", "--innodb-use-native-aio=0", f"--tmpdir={private}"]
        # --force: also where this machine cannot look up its own name
        subprocess.run(["mariadb-install-db", *options, "--skip-test-db", "--force",
                        "--auth-root-authentication-method=socket"], check=True, capture_output=True)
        accounts = "USE mysql;\n" + "FLUSH PRIVILEGES;\n" + ACCOUNTS
        subprocess.run(["mariadbd", *options, "--bootstrap", "--skip-networking"], check=True,
                       input=accounts.encode(), capture_output=True)
        # From one file system to another only bytes come along, no owner.
        new = data.with_name("new")
        shutil.rmtree(new, ignore_errors=True)
        shutil.move(f"{private}/data", new)
        subprocess.run(["chown", "-R", "mysql:mysql", str(new)], check=True)
        new.rename(data)
    return layer


class Database:
    """A private MariaDB inside a host, on a unix socket. Who runs as root in the host is its administrator."""

    def __init__(self, host):
        self.host = host

    def start(self):
        self.host.run("install", "-d", "-o", "mysql", "-g", "mysql", "/run/database")
        self.host.service("database", "mariadbd", *MARIADB_OPTIONS, user="mysql",
                          properties=["Type=notify", "LimitNOFILE=16384", "KillSignal=SIGTERM"])
        return self

    def stop(self):
        self.host.run("systemctl", "stop", "database.service")

    def query(self, sql, database="shop"):
        """The rows of an answer, as lists of text."""
        answer = self.host.run("mariadb", "--no-defaults", f"--socket={SOCKET}", "--batch",
                               "--skip-column-names", database, input=sql).stdout
        return [line.split("\t") for line in answer.splitlines()]

    def dump(self):
        """All of the database as text; two equal dumps are two equal databases."""
        return self.host.run("mariadb-dump", "--no-defaults", f"--socket={SOCKET}", "--skip-dump-date",
                             "--skip-comments", "--order-by-primary", "--routines", "shop").stdout


NGINX = """
daemon off;
user www-data;
worker_processes 1;
pid /run/web/nginx.pid;
error_log stderr warn;
events { worker_connections 512; }
http {
        access_log /run/web/access.log;
        client_body_temp_path /run/web/body;
        proxy_temp_path /run/web/proxy;
        fastcgi_temp_path /run/web/fastcgi;
        uwsgi_temp_path /run/web/uwsgi;
        scgi_temp_path /run/web/scgi;
        sendfile on;
        server {
                listen 127.0.0.1:8080;
                root %(root)s;
                location / { }
        }
}
"""


class WebServer:
    """nginx inside a host, which serves a directory as any static host does."""

    url = "http://127.0.0.1:8080/"

    def __init__(self, host, root="/srv/repository"):
        self.host = host
        self.root = root

    def start(self):
        self.host.write("/srv/web/nginx.conf", NGINX % {"root": self.root})
        self.host.run("mkdir", "-p", "/run/web", self.root)
        self.host.service("web", "nginx", "-c", "/srv/web/nginx.conf")
        self.host.until(lambda: self.host.run("curl", "-so", "/dev/null", self.url, check=False).returncode == 0,
                        what="the start of nginx")
        return self

    def stop(self):
        self.host.run("systemctl", "stop", "web.service")

    def requests(self):
        """The lines of the access log."""
        return self.host.read("/run/web/access.log").splitlines()
