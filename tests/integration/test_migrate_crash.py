"""Migrations are cut off at every packet that the program sends: the program killed, the server killed, the connection
cut. `migrate apply` alone must then reach what an undisturbed run reaches."""

import random
import threading
import time

import pytest

from mariadb import DATABASE, MariaDB, Migrator, find_program, home, mariadb, mariadb_template  # noqa: F401
from wire import Wire

# All ids are written out: those that AUTO_INCREMENT gives are not given again after a rollback, by nobody.
FILES = {
    "0001_tables.sql": """
        CREATE TABLE user (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40) NOT NULL, note TEXT);
        CREATE TABLE log (what VARCHAR(80) PRIMARY KEY);
        INSERT INTO user (id, name) VALUES (1, 'a'), (2, 'b'), (LAST_INSERT_ID(41), 'c');
        SET @last = LAST_INSERT_ID();
        INSERT INTO log (what) VALUES (CONCAT('first was ', @last));
        CREATE TRIGGER added AFTER INSERT ON user FOR EACH ROW BEGIN
                INSERT INTO log (what) VALUES (CONCAT('added ', NEW.name));
        END;
        INSERT INTO log (what) VALUES (CONCAT('still ', @last));
    """,
    "0002_rows.sql": """
        SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES');
        INSERT INTO user (id, name, note) SELECT 100 + seq, CONCAT('row ', seq), 'back\\slash' FROM seq_1_to_3000;
        UPDATE user SET note = CONCAT(note, ' twice') WHERE id % 2;
        BEGIN;
        INSERT INTO user (id, name) VALUES (9000, 'inside');
        DELETE FROM user WHERE name = 'b';
        COMMIT;
        START TRANSACTION; DELETE FROM log; ROLLBACK;
        CREATE TEMPORARY TABLE scratch (a INT);
        INSERT INTO scratch VALUES (1), (2);
        INSERT INTO log (what) SELECT CONCAT('scratch ', a) FROM scratch;
        SET autocommit = 0;
        INSERT INTO log (what) VALUES ('one'); INSERT INTO log (what) VALUES ('two');
        COMMIT;
    """,
    "0003_alter.sql": """
        ALTER TABLE user ADD COLUMN age INT NOT NULL DEFAULT 7, ADD INDEX by_name (name);
        ALTER TABLE user MODIFY name VARCHAR(300) NOT NULL FIRST, ENGINE=InnoDB;
        ALTER TABLE user ADD FULLTEXT INDEX words (note);
        CREATE TABLE copy AS SELECT * FROM user;
        RENAME TABLE copy TO copied, log TO logged;
        LOCK TABLES logged WRITE;
        INSERT INTO logged (what) VALUES ('locked');
        UNLOCK TABLES;
        DROP TRIGGER added;
        DROP TABLE copied;
        CREATE VIEW names AS SELECT name FROM user;
        CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END;
        ALTER TABLE user DROP COLUMN note;
    """,
    "0004_tables.sql": """
        CREATE TABLE a (id INT PRIMARY KEY, what VARCHAR(40));
        CREATE TABLE b LIKE a;
        CREATE TABLE c AS SELECT 1 AS id, 'made' AS what;
        INSERT INTO a VALUES (1, 'one'); INSERT INTO b SELECT * FROM a; UPDATE c SET what = 'new';
        CREATE TABLE d (id INT PRIMARY KEY) ENGINE=InnoDB;
        INSERT INTO d SELECT id FROM c;
    """,
    "0005_more.sql": "CREATE TABLE e (id INT PRIMARY KEY); INSERT INTO e VALUES (1); UPDATE a SET what = 'two';",
    "0006_last.sql": "CREATE TABLE f (id INT PRIMARY KEY); INSERT INTO e SELECT id + 1 FROM e;",
}


class Trial:
    """One database, one Wire, one cut."""

    def __init__(self, program, server, folder):
        server.create(DATABASE)
        self.server = server
        self.wire = Wire(server.port)
        self.migrator = Migrator(program, server, folder)
        for name, text in FILES.items():
            self.migrator.write(name, text)
        self.migrator.configure(Host="127.0.0.1", Port=self.wire.port, Tls="off", TlsCaFile=None, Deadline="300s")
        self.process = None
        self.timer = None
        self.happened = threading.Event()

    def kill_client(self):
        self.process.kill()
        self.wire.cut()
        self.happened.set()

    def kill_server(self):
        self.server.kill()
        self.happened.set()

    def cut(self):
        self.wire.cut()
        self.happened.set()

    def run(self, how, when, n, pause):
        """Cuts off at packet @n, @when ("before" it reached the server, @pause "after" that, or once the server
        "answered"), and lets the program finish."""
        act = getattr(self, how)

        def at(k):
            if k == n and not self.happened.is_set():
                act()

        def later(k):
            if k == n:
                self.timer = threading.Timer(pause, act)
                self.timer.start()

        self.started = threading.Event()
        hook = {"before": at, "after": later, "answered": at}[when]

        def ready(k):
            self.started.wait()
            hook(k)

        setattr(self.wire, "after" if when == "answered" else "before", ready)
        self.process = self.migrator.spawn("apply")
        self.started.set()
        if how == "kill_server":
            while not self.happened.wait(0.05) and self.process.poll() is None:
                pass
            self.bring_server_back()
        out, err = self.process.communicate(timeout=300)
        self.settle()
        return self.process.returncode, out + err

    def bring_server_back(self):
        if self.server.process.poll() is not None:
            self.server.start()

    def settle(self):
        """What its last packet sets off may come after the program's end, and shall not hit the next trial."""
        self.wire.join()
        if self.timer:
            self.timer.join()
        self.bring_server_back()

    def close(self):
        self.wire.close()


@pytest.fixture(scope="module")
def expected(request, mariadb, tmp_path_factory):
    """The dump of an undisturbed run, and how many packets it takes."""
    trial = Trial(find_program(request), mariadb, tmp_path_factory.mktemp("undisturbed"))
    code, said = trial.run("cut", "before", 0, 0)
    assert code == 0, said
    assert f"{len(FILES)} applied" in said
    packets = trial.wire.packets
    trial.close()
    return mariadb.dump(), packets


CUTS = [(how, when) for how in ("kill_client", "kill_server", "cut") for when in ("before", "after", "answered")]


def test_cut_off_anywhere_it_goes_on(request, mariadb, expected, full, tmp_path):
    dump, packets = expected
    seed = random.randrange(1 << 32)
    print(f"seed {seed}, {packets} packets")
    rng = random.Random(seed)
    cuts = [(how, when, n) for how, when in CUTS for n in range(1, packets + 1)]
    if not full:
        cuts = rng.sample(cuts, 60)
    for i, (how, when, n) in enumerate(cuts):
        pause = rng.choice([0.0005, 0.002, 0.01, 0.03])
        where = f"seed {seed}: {how} {when} packet {n} of {packets}, pause {pause}"
        trial = Trial(find_program(request), mariadb, tmp_path / str(i))
        code, said = trial.run(how, when, n, pause)
        if how == "kill_client":
            trial.migrator.run("apply")
        else:
            assert code == 0, f"{where}: {said}"
        trial.close()
        assert mariadb.dump() == dump, where
