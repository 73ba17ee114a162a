"""A private MariaDB beside the test: own data directory, own port, TLS from an authority made on the spot. It can be
killed and started again, which the one inside a throwaway host (servers.py) cannot."""

import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

USER, PASSWORD, DATABASE = "shop", "correct horse", "shop"

OPTIONS = """
    --skip-log-bin --innodb-buffer-pool-size=16M --innodb-log-file-size=8M --innodb-use-native-aio=0
    --character-set-server=utf8mb4 --skip-name-resolve --bind-address=127.0.0.1 --event-scheduler=OFF
    --table-definition-cache=2000
""".split()

ACCOUNTS = f"""
    USE mysql; FLUSH PRIVILEGES;
    CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4;
    CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}';
    GRANT ALL ON *.* TO {USER}@'%' WITH GRANT OPTION;
    CREATE USER limited@'%' IDENTIFIED BY '{PASSWORD}';
    GRANT ALL ON {DATABASE}.* TO limited@'%';
    FLUSH PRIVILEGES;
"""


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_authority(folder, name="localhost"):
    """ca.pem, and key.pem and cert.pem of a server of that name."""
    subject = ["-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    openssl("req", "-x509", *subject, "-subj", "/CN=test authority", "-keyout", folder / "ca.key", "-out",
            folder / "ca.pem")
    openssl("req", *subject, "-subj", f"/CN={name[:64]}", "-keyout", folder / "key.pem", "-out", folder / "request")
    (folder / "names").write_text(f"subjectAltName=DNS:{name}\n")
    openssl("x509", "-req", "-in", folder / "request", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", folder / "names", "-out", folder / "cert.pem")


class MariaDB:
    """@home is removed by close(). @options are added to those above."""

    def __init__(self, template, home=None, options=()):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="releasemgr-mariadb-", dir=home))
        self.options = [*OPTIONS, *options]
        self.process = None
        self.port = free_port()
        self.socket = self.home / "sock"
        self.ca = self.home / "ca.pem"
        shutil.copytree(template, self.home, dirs_exist_ok=True)

    def start(self):
        log = (self.home / "log").open("ab")
        self.process = subprocess.Popen(
            ["mariadbd", "--no-defaults", f"--datadir={self.home}/data", f"--tmpdir={self.home}/tmp",
             f"--socket={self.socket}", f"--port={self.port}", f"--pid-file={self.home}/pid", "--user=root", f"--ssl-ca={self.ca}",
             f"--ssl-cert={self.home}/cert.pem", f"--ssl-key={self.home}/key.pem", *self.options],
            stdout=log, stderr=log, cwd=self.home)
        deadline = time.monotonic() + 180
        while not self.answers():
            assert self.process.poll() is None, (self.home / "log").read_text()
            assert time.monotonic() < deadline, "MariaDB does not start"
            time.sleep(0.05)
        return self

    def answers(self):
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(str(self.socket))
                return bool(s.recv(1))
            except OSError:
                return False

    def kill(self):
        """As a power cut ends it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.home)

    def client(self, *arguments, **options):
        return ["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root",
                "--default-character-set=utf8mb4", *arguments]

    def feed(self, sql, database=DATABASE, check=True):
        """Runs SQL as the client does."""
        sql = sql if isinstance(sql, bytes) else sql.encode()
        done = subprocess.run(self.client(database), input=sql, capture_output=True)
        assert not check or done.returncode == 0, done.stderr.decode()
        return done

    def query(self, sql, database=DATABASE):
        """The rows of an answer, as lists of text."""
        out = subprocess.run(self.client("--batch", "--skip-column-names", database), input=sql.encode(), check=True,
                             capture_output=True).stdout.decode()
        return [line.split("\t") for line in out.splitlines()]

    def value(self, sql, database=DATABASE):
        return self.query(sql, database)[0][0]

    def create(self, database):
        self.feed(f"DROP DATABASE IF EXISTS {database}; CREATE DATABASE {database} CHARACTER SET utf8mb4;", "mysql")

    def dump(self, database=DATABASE):
        """The database as text but for releasemgr's own tables for who made it and for counters; two equal dumps are two equal databases."""
        tables = [row[0] for row in self.query("SHOW TABLES", database) if row[0].startswith("releasemgr_")]
        text = subprocess.run(
            ["mariadb-dump", "--no-defaults", f"--socket={self.socket}", "--user=root", "--skip-dump-date",
             "--skip-comments", "--order-by-primary", "--routines", "--events", "--triggers", "--hex-blob",
             *[f"--ignore-table={database}.{table}" for table in tables], database],
            check=True, capture_output=True).stdout.decode()
        text = re.sub(r"DEFINER=`[^`]*`@`[^`]*`", "DEFINER=someone", text)
        return re.sub(r" AUTO_INCREMENT=\d+", "", text)


def free_port():
    """One that no other socket is given by chance while its server is down: the kernel gives those from 32768 on."""
    while True:
        port = random.randrange(10000, 32768)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


def make_template(folder):
    """A data directory with the accounts above, made once: copying it is faster than making it. Each server has temporary
    files of its own: one that starts removes all that it finds beside them."""
    (folder / "tmp").mkdir(parents=True)
    subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={folder}/data", "--user=root",
                    "--skip-test-db", "--force", "--auth-root-authentication-method=normal", "--innodb-log-file-size=8M",
                    "--innodb-use-native-aio=0", f"--tmpdir={folder}/tmp"], check=True, capture_output=True)
    subprocess.run(["mariadbd", "--no-defaults", f"--datadir={folder}/data", "--user=root", "--bootstrap",
                    "--skip-networking", "--innodb-log-file-size=8M", "--innodb-use-native-aio=0",
                    f"--tmpdir={folder}/tmp"],
                   input=ACCOUNTS.replace("\n", " ").replace(";", ";\n").encode(), check=True, capture_output=True)
    make_authority(folder)


def home():
    """Where data directories live: in memory where there is room."""
    return "/dev/shm" if os.path.isdir("/dev/shm") else None


@pytest.fixture(scope="session")
def mariadb_template():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="releasemgr-mariadb-template-", dir=home()))
    make_template(folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def mariadb(mariadb_template):
    """A server of this test file's own."""
    server = MariaDB(mariadb_template, home()).start()
    yield server
    server.close()


class Migrator:
    """The program, set up for one database of a server, and a folder of migrations. Nothing else of a host is
    needed for `migrate`."""

    def __init__(self, program, server, root, database=DATABASE):
        self.program = program
        self.server = server
        self.root = pathlib.Path(root)
        self.database = database
        self.folder = self.root / "migrations"
        self.folder.mkdir(parents=True)
        self.configure()

    def configure(self, **more):
        values = {"Name": self.database, "Host": "localhost", "Port": self.server.port, "User": USER,
                  "PasswordFile": self.root / "password", "TlsCaFile": self.server.ca, "Deadline": "120s", **more}
        password = self.root / "password"
        password.write_text(PASSWORD + "\n")
        password.chmod(0o600)
        config = self.root / "etc/releasemgr/shop.conf"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text("[Repository]\nUrl=http://127.0.0.1:1/\n[Service]\nUnit=shop.service\n[Database]\n"
                          + "".join(f"{key}={value}\n" for key, value in values.items() if value is not None))

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def command(self, *arguments):
        return [self.program, f"--root={self.root}", "migrate", *arguments]

    def run(self, *arguments, check=True, **options):
        """The result of `releasemgr migrate ARGUMENTS`."""
        folder = [] if arguments[0] == "resolve" else [f"--folder={self.folder}"]
        done = subprocess.run(self.command(*arguments, *folder), capture_output=True, text=True, timeout=600, **options)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def spawn(self, *arguments):
        return subprocess.Popen(self.command(*arguments, f"--folder={self.folder}"), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def refused(self, code, *arguments):
        """What it says when it fails with exit code @code."""
        done = self.run(*arguments, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr


def find_program(request):
    return next(pathlib.Path(request.config.getoption("--install-tree")).glob("usr/**/bin/releasemgr"))


@pytest.fixture
def migrator(request, mariadb, tmp_path):
    """A Migrator on an empty database."""
    mariadb.create(DATABASE)
    return Migrator(find_program(request), mariadb, tmp_path)
