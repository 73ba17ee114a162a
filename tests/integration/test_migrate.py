"""`releasemgr migrate` against a real MariaDB."""

import contextlib
import random
import signal
import threading
import time

import pytest

from mariadb import DATABASE, MariaDB, Migrator, find_program, free_port, home, mariadb, mariadb_template, migrator  # noqa: F401
from wire import Wire

EVERYTHING = """
-- every kind of statement that a migration may hold
SET NAMES utf8mb4; # and a comment
/*!40101 SET @saved_mode = @@sql_mode, sql_mode = 'NO_AUTO_VALUE_ON_ZERO,NO_BACKSLASH_ESCAPES' */;
CREATE TABLE user (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40), `end` INT, note TEXT COMMENT 'a;b');
INSERT INTO user (id, name) VALUES (0, 'zero'), (1, 'back\\slash'), (2, 'it''s; so'), (3, 'größe 名前');
SET sql_mode = @saved_mode;
INSERT INTO user (name) VALUES ('it\\'s');
SET @last = LAST_INSERT_ID();
INSERT INTO user (name, `end`) VALUES (CONCAT('after ', @last), @last);
CREATE TABLE log (id INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(80)) ENGINE=InnoDB;
CREATE TRIGGER user_added AFTER INSERT ON user FOR EACH ROW BEGIN
        -- a comment inside
        IF NEW.`end` IS NULL THEN INSERT INTO log (what) VALUES (CONCAT('added ', NEW.name));
        ELSE INSERT INTO log (what) VALUES (CASE WHEN NEW.end > 3 THEN 'many' ELSE 'few' END); END IF;
END;
DELIMITER //
CREATE PROCEDURE fill(IN n INT)
BEGIN
        DECLARE i INT DEFAULT 0;
        WHILE i < n DO INSERT INTO user (name) VALUES (CONCAT('row ', i)); SET i = i + 1; END WHILE;
        SELECT COUNT(*) FROM user;
        SELECT 'a second result';
END//
DELIMITER ;
CALL fill(5);
BEGIN;
UPDATE user SET note = 'x' WHERE id < 3;
SAVEPOINT here;
DELETE FROM user;
ROLLBACK TO SAVEPOINT here;
COMMIT;
START TRANSACTION; DELETE FROM log WHERE id = 1; ROLLBACK;
CREATE VIEW names AS SELECT /*! SQL_NO_CACHE */ name FROM user;
CREATE TEMPORARY TABLE scratch (a INT);
INSERT INTO scratch VALUES (1), (2);
INSERT INTO log (what) SELECT CONCAT('scratch ', a) FROM scratch;
LOCK TABLES log WRITE;
INSERT INTO log (what) VALUES ('locked');
UNLOCK TABLES;
PREPARE s FROM 'SELECT ?';
DEALLOCATE PREPARE s;
ALTER TABLE user ADD COLUMN age INT, ADD INDEX by_name (name);
CREATE OR REPLACE FUNCTION twice(a INT) RETURNS INT DETERMINISTIC RETURN CASE WHEN a IS NULL THEN 0 ELSE a * 2 END;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DO BEGIN DELETE FROM log; END;
CREATE TABLE copy AS SELECT id, name FROM user;
RENAME TABLE copy TO copied;
DROP TABLE IF EXISTS nothing;
SET autocommit = 0;
INSERT INTO log (what) VALUES ('a'), ('b');
COMMIT;
SET autocommit = 1;
"""


def for_the_client(text):
    """The trigger and the event are written without DELIMITER, which the client cannot do."""
    lines, body = [], False
    for line in text.splitlines():
        if line.startswith(("CREATE TRIGGER", "CREATE EVENT")):
            lines.append("DELIMITER //")
            body = True
        if body and line.rstrip().endswith("END;") and not line.startswith("        "):
            lines += [line.rstrip()[:-1] + "//", "DELIMITER ;"]
            body = False
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def dump_of_client(server, text):
    server.create("referee")
    server.feed(for_the_client(text), "referee")
    return server.dump("referee")


def test_everything_is_as_the_client_does_it(migrator):
    expected = dump_of_client(migrator.server, EVERYTHING)
    migrator.write("1_everything.sql", EVERYTHING)
    assert "1 applied, 0 already there" in migrator.run("apply").stdout
    assert migrator.server.dump() == expected
    assert "nothing to do: 1 already there" in migrator.run("apply").stdout
    assert migrator.server.dump() == expected


def test_conventions_and_order(migrator):
    def note(n):
        return f"INSERT INTO seen (what) VALUES ('{n}');"

    migrator.write("0001_first.up.sql", "CREATE TABLE seen (id INT PRIMARY KEY AUTO_INCREMENT, what TEXT);" + note("1"))
    migrator.write("0001_first.down.sql", "DROP TABLE seen;")
    migrator.write("V1_2_10__tenth.sql", note("1.2.10"))
    migrator.write("V1.2.2__second.sql", note("1.2.2"))
    migrator.write("20260102030405_dated.sql",
                   "-- migrate:up\n" + note("dbmate") + "\n-- migrate:down\nDROP TABLE seen;\n")
    migrator.write("2026-02-03-040506_diesel/up.sql", note("diesel"))
    migrator.write("2026-02-03-040506_diesel/down.sql", "DROP TABLE seen;")
    migrator.write("expand/3_three.sql", note("3"))
    migrator.write("contract/4_four.sql", note("4"))
    migrator.write("R__again.sql", note("R"))
    migrator.write("README.md", "not a migration")
    assert "7 applied" in migrator.run("apply").stdout
    rows = [row[0] for row in migrator.server.query("SELECT what FROM seen ORDER BY id")]
    assert rows == ["1", "1.2.2", "1.2.10", "3", "dbmate", "diesel", "R"]
    migrator.write("R__again.sql", note("R2"))
    assert "1 applied, 6 already there" in migrator.run("apply").stdout
    assert "1 applied" in migrator.run("contract").stdout
    assert migrator.server.value("SELECT GROUP_CONCAT(what ORDER BY id) FROM seen WHERE id > 7") == "R2,4"
    assert "contracted to 4" in migrator.run("status").stdout


@pytest.mark.parametrize("name", ["1-first.sql", "V1_first.sql", "first.sql", "12_.sql", "3_x/down.sql", "other/1_a.sql",
                                  "2_first.sql.bak", "2_first", "V2__first.txt", "R__first", "contract/first.sql", "beforeMigrate.sql",
                                  "B2__first.sql"])
def test_what_looks_like_a_migration_is_reported(migrator, name):
    migrator.write("1_good.sql", "CREATE TABLE t (a INT);")
    migrator.write(name, "SELECT 1;")
    assert name.split("/")[0] in migrator.refused(1, "apply")
    assert migrator.server.query("SHOW TABLES") == []


def test_the_same_version_twice_is_reported(migrator):
    migrator.write("1_a.sql", "SELECT 1;")
    migrator.write("V1_0__b.sql", "SELECT 1;")
    assert "1_a.sql and V1_0__b.sql have the same version" in migrator.refused(1, "apply")


def test_a_failure_says_where_and_may_be_mended(migrator):
    migrator.write("1_a.sql", "CREATE TABLE t (a INT);\n\nINSERT INTO t VALUES (1);\nINSERT INTO t VALUES (1, 2);\n")
    message = migrator.refused(1, "apply")
    assert "1_a.sql:4: statement 3: Column count doesn't match" in message
    assert "error 1136" in message
    migrator.write("1_a.sql", "CREATE TABLE t (a INT);\n\nINSERT INTO t VALUES (7);\nINSERT INTO t VALUES (2);\n")
    assert "1_a.sql:3: statement 2 was changed after it had run" in migrator.refused(6, "apply")
    migrator.write("1_a.sql", "CREATE TABLE t (a INT);\n\nINSERT INTO t VALUES (1);\nINSERT INTO t VALUES (2);\n")
    migrator.run("apply")
    assert migrator.server.query("SELECT a FROM t ORDER BY a") == [["1"], ["2"]]


def test_settings_for_one_statement_do_not_repeat_it(migrator):
    text = ("CREATE TABLE t (a INT); SET STATEMENT sort_buffer_size = 100000 FOR INSERT INTO t VALUES (1);"
            "SET STATEMENT sort_buffer_size = 100000 FOR ALTER TABLE t ADD COLUMN b INT DEFAULT 7;"
            "SET STATEMENT sort_buffer_size = 100000 FOR CREATE TABLE u (a INT); SET @n = 3;")
    migrator.write("1_a.sql", text + "INSERT INTO t VALUES (1);")
    assert "statement 6: Column count" in migrator.refused(1, "apply")
    migrator.write("1_a.sql", text + "INSERT INTO u SELECT COUNT(*) FROM t;")
    migrator.run("apply")
    assert migrator.server.query("SELECT t.a, t.b, u.a FROM t JOIN u") == [["1", "7", "1"]]


def test_what_was_announced_and_did_not_come_about_may_be_changed(migrator):
    migrator.write("1_a.sql", "CREATE TABLE a (a INT); INSERT INTO a VALUES (1);")
    migrator.write("2_b.sql", "CREATE TABLE b (a INT); CREATE TABLE bad (a NOTHING); CREATE TABLE never (a INT);")
    migrator.write("3_c.sql", "CREATE TABLE c (a INT); CREATE TABLE d (a INT); CREATE TABLE e (a INT);")
    assert "2_b.sql:1: statement 2" in migrator.refused(1, "apply")
    assert migrator.server.query("SELECT version, number, state FROM releasemgr_statement") == [
        ["1", "1", "done"], ["1", "2", "done"], ["2", "1", "done"]]
    assert [row[0] for row in migrator.server.query("SELECT version FROM releasemgr_migration")] == ["1", "2"]
    migrator.write("2_b.sql", "CREATE TABLE b (a INT);")
    migrator.write("3_c.sql", "CREATE TABLE c (a BIGINT);")
    assert "2 applied, 1 already there" in migrator.run("apply").stdout
    assert [row[0] for row in migrator.server.query("SHOW TABLES") if "releasemgr" not in row[0]] == ["a", "b", "c"]


def test_what_is_there_already_is_looked_at(migrator):
    migrator.write("1_a.sql", "CREATE TABLE a (a INT); INSERT INTO a VALUES (1); CREATE TABLE IF NOT EXISTS a (a INT);"
                              "CREATE TABLE IF NOT EXISTS b (a INT); INSERT INTO b VALUES (2);"
                              "CREATE TABLE IF NOT EXISTS b (b INT); CREATE TABLE IF NOT EXISTS c (a INT);"
                              "ALTER TABLE a ADD COLUMN b INT; CREATE TABLE a (a INT);")
    assert "1_a.sql:1: statement 9: Table 'a' already exists" in migrator.refused(1, "apply")
    assert migrator.server.query("SELECT number, state FROM releasemgr_statement ORDER BY number") == [
        [str(n), "done"] for n in range(1, 9)]
    assert migrator.server.query("SELECT a.a, a.b, b.a FROM a JOIN b") == [["1", "NULL", "2"]]


def test_a_statement_and_its_record_are_one_question(migrator):
    def trips():
        migrator.server.create(DATABASE)
        wire = Wire(migrator.server.port)
        migrator.configure(Host="127.0.0.1", Port=wire.port, Tls="off", TlsCaFile=None)
        migrator.run("apply")
        wire.close()
        return wire.packets

    migrator.write("1_a.sql", "SELECT 1;")
    without = trips()
    for n in range(2, 12):
        migrator.write(f"{n}_more.sql", f"CREATE TABLE t{n} (a INT); INSERT INTO t{n} VALUES (1);"
                                        f"ALTER TABLE t{n} ADD COLUMN b INT;")
    # 30 statements, and a few to look and to commit; those of data may be committed one by one where that takes longer
    assert trips() <= without + 48


def logged(server, run):
    """The statements that reached the server during @run."""
    server.feed("SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = 1")
    try:
        run()
    finally:
        server.feed("SET GLOBAL general_log = 0")
    return [row[0] for row in server.query("SELECT argument FROM mysql.general_log WHERE command_type = 'Query'")]


def test_that_a_migration_runs_is_written_once(migrator):
    for n in range(1, 11):
        migrator.write(f"{n}_table.sql", f"CREATE TABLE t{n} (a INT); INSERT INTO t{n} VALUES (1);")
    sent = "".join(logged(migrator.server, lambda: migrator.run("apply")))
    assert sent.count("'running', NULL, 1") == 10
    assert set(map(tuple, migrator.server.query("SELECT state FROM releasemgr_migration"))) == {("applied",)}


def test_migrations_whose_end_was_not_written_are_not_run_again(migrator):
    for n in range(1, 6):
        migrator.write(f"{n}_table.sql", f"CREATE TABLE t{n} (a INT); INSERT INTO t{n} VALUES ({n});"
                                         + ("UPDATE t1 SET a = a + 1 WHERE SLEEP(20) = 0;" if n == 4 else ""))
    runner = migrator.spawn("apply")
    question = "SELECT id FROM information_schema.PROCESSLIST WHERE info LIKE 'UPDATE t1%'"
    wait_for(migrator.server, question.replace("SELECT id", "SELECT COUNT(*)"), "1")
    runner.kill()
    runner.communicate()
    migrator.server.feed(f"KILL {migrator.server.value(question)}")
    migrator.server.feed("UPDATE releasemgr_migration SET state = 'running', finished_at = NULL")  # as at worst
    migrator.write("4_table.sql", "CREATE TABLE t4 (a INT); INSERT INTO t4 VALUES (4); UPDATE t1 SET a = a + 1;")
    assert "5 applied" in migrator.run("apply").stdout
    assert migrator.server.query("SELECT * FROM t1 JOIN t2 JOIN t3 JOIN t4 JOIN t5") == [["2", "2", "3", "4", "5"]]


def test_what_is_done_together_and_rolled_back_is_done_again(migrator):
    """The server ends a deadlock by rolling back all of a transaction: of the one that has changed less, ours."""
    import pymysql

    migrator.write("1_a.sql", "CREATE TABLE t (a INT PRIMARY KEY, b INT); CREATE TABLE u (a INT PRIMARY KEY, b INT);"
                              "CREATE TABLE much (a INT); INSERT INTO t VALUES (1, 0); INSERT INTO u VALUES (1, 0);")
    migrator.run("apply")
    migrator.write("2_b.sql", "UPDATE t SET b = b + 1;")
    migrator.write("3_c.sql", "REPLACE INTO u VALUES (1, 7);")
    # closed whatever happens: it would hold what the next test wants to drop
    with contextlib.closing(pymysql.connect(unix_socket=str(migrator.server.socket), user="root",
                                            database="shop")) as other, other.cursor() as cursor:
        cursor.execute("INSERT INTO much SELECT seq FROM seq_1_to_1000")
        cursor.execute("UPDATE u SET b = b + 10")
        runner = migrator.spawn("apply")
        wait_for(migrator.server, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE info LIKE 'REPLACE INTO u %'", "1")
        cursor.execute("UPDATE t SET b = b + 10")
        other.commit()
    out, err = runner.communicate(timeout=300)
    assert runner.returncode == 0, out + err
    assert "2 applied, 1 already there" in out
    assert migrator.server.query("SELECT t.b, u.b FROM t JOIN u") == [["11", "7"]]


def test_what_was_written_is_not_held_by_the_next_statement(migrator):
    import pymysql

    first_release(migrator, "CREATE TABLE t (a INT PRIMARY KEY, b INT); CREATE TABLE u (a INT PRIMARY KEY, b INT);"
                            "INSERT INTO t VALUES (1, 0); INSERT INTO u VALUES (1, 0);")
    migrator.write("2_b.sql", "UPDATE t SET b = b + 1; UPDATE u SET b = b + 1;")
    with contextlib.closing(pymysql.connect(unix_socket=str(migrator.server.socket), user="root",
                                            database="shop")) as other, other.cursor() as cursor:
        cursor.execute("UPDATE u SET b = b + 10")
        runner = migrator.spawn("apply")
        wait_for(migrator.server, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE info LIKE 'UPDATE u %'", "1")
        cursor.execute("SET innodb_lock_wait_timeout = 1")
        cursor.execute("UPDATE t SET b = b + 10")
        other.commit()
    out, err = runner.communicate(timeout=300)
    assert runner.returncode == 0, out + err
    assert migrator.server.query("SELECT t.b, u.b FROM t JOIN u") == [["11", "11"]]


def test_what_ran_may_not_be_changed(migrator):
    migrator.write("1_a.sql", "CREATE TABLE t (a INT);")
    migrator.run("apply")
    migrator.write("1_a.sql", "CREATE TABLE t (a BIGINT);")
    migrator.write("2_b.sql", "CREATE TABLE u (a INT);")
    assert "1_a.sql was changed after it had run" in migrator.refused(6, "apply")
    assert [row[0] for row in migrator.server.query("SHOW TABLES") if "releasemgr" not in row[0]] == ["t"]


def test_nothing_runs_where_the_end_is_malformed(migrator):
    migrator.write("1_a.sql", "CREATE TABLE t (a INT);\nSELECT 'never ends;\n")
    assert "1_a.sql:2:8: the quote" in migrator.refused(1, "apply")
    migrator.write("1_a.sql", "CREATE TABLE t (a INT);\n\\! touch /tmp/x\n")
    assert "command of the client" in migrator.refused(1, "apply")
    assert [row for row in migrator.server.query("SHOW TABLES") if row[0] == "t"] == []


def test_an_open_transaction_is_an_error(migrator):
    migrator.write("1_a.sql", "CREATE TABLE t (a INT); BEGIN; INSERT INTO t VALUES (1);")
    assert "leaves a transaction open" in migrator.refused(1, "apply")
    assert migrator.server.value("SELECT COUNT(*) FROM t") == "0"


def test_the_database_is_down(migrator, tmp_path):
    migrator.write("1_a.sql", "SELECT 1;")
    migrator.configure(Port=1, Deadline="1s")
    assert "cannot reach the database at localhost:1" in migrator.refused(1, "apply")


def test_the_password_is_wrong(migrator):
    migrator.write("1_a.sql", "SELECT 1;")
    (migrator.root / "password").write_text("wrong\n")
    message = migrator.refused(1, "apply")
    assert "does not let us in" in message and "wrong" not in message


def test_a_server_that_cannot_be_verified_is_refused(migrator, tmp_path_factory):
    from mariadb import make_authority

    migrator.write("1_a.sql", "SELECT 1;")
    other = tmp_path_factory.mktemp("authority")
    make_authority(other)
    migrator.configure(TlsCaFile=other / "ca.pem")
    assert "cannot be trusted" in migrator.refused(7, "apply")
    migrator.configure(TlsCaFile=None)
    assert "cannot be trusted" in migrator.refused(7, "apply")
    migrator.configure(Host="127.0.0.1")
    assert "cannot be trusted" in migrator.refused(7, "apply")
    migrator.configure(Host=None, Socket=migrator.server.socket, TlsCaFile=None)
    migrator.run("apply")


def test_drift_shows(migrator):
    migrator.write("1_a.sql", "CREATE TABLE t (a INT); CREATE TABLE u (a INT); CREATE VIEW v AS SELECT a FROM t;")
    migrator.run("apply")
    assert "behind our back" not in migrator.run("status").stdout
    migrator.server.feed("ALTER TABLE t ADD COLUMN b INT; DROP TABLE u; CREATE TABLE w (a INT); INSERT INTO t VALUES (1, 1)")
    status = migrator.run("status").stdout
    assert "table t: changed" in status and "table u: removed" in status and "table w: added" in status
    assert "table v" not in status


@pytest.mark.parametrize("tool, history, taken", [
    ("golang-migrate", "CREATE TABLE schema_migrations (version BIGINT PRIMARY KEY, dirty BOOLEAN NOT NULL);"
                       "INSERT INTO schema_migrations VALUES (2, 0);", 2),
    ("dbmate", "CREATE TABLE schema_migrations (version VARCHAR(128) PRIMARY KEY);"
               "INSERT INTO schema_migrations VALUES ('0001'), ('0002');", 2),
    ("Flyway", "CREATE TABLE flyway_schema_history (installed_rank INT PRIMARY KEY, version VARCHAR(50), description "
               "VARCHAR(200), type VARCHAR(20), script VARCHAR(1000), checksum INT, installed_by VARCHAR(100), "
               "installed_on TIMESTAMP, execution_time INT, success BOOL);"
               "INSERT INTO flyway_schema_history VALUES (1, '1', 'a', 'SQL', '', 1, '', NOW(), 1, 1), (2, '2', 'b', "
               "'SQL', '', 1, '', NOW(), 1, 1), (3, NULL, 'c d', 'SQL', '', 1, '', NOW(), 1, 1);", 3),
])
def test_other_tools_are_adopted(migrator, tool, history, taken):
    migrator.write("0001_a.sql", "CREATE TABLE a (a INT);")
    migrator.write("0002_b.sql", "CREATE TABLE b (a INT);")
    migrator.write("0003_c.sql", "CREATE TABLE c (a INT);")
    if taken == 3:
        migrator.write("R__c_d.sql", "SELECT 1;")
    migrator.server.feed("CREATE TABLE a (a INT); CREATE TABLE b (a INT);" + history)
    table = "flyway_schema_history" if tool == "Flyway" else "schema_migrations"
    before = migrator.server.query(f"SELECT * FROM {table}")
    assert f"{taken} migrations taken over from {tool}" in migrator.run("adopt").stdout
    assert f"1 applied, {taken} already there" in migrator.run("apply").stdout
    assert migrator.server.query(f"SELECT * FROM {table}") == before
    assert "already migrated by releasemgr" in migrator.refused(6, "adopt")


def test_a_dirty_history_is_not_adopted(migrator):
    migrator.write("0001_a.sql", "CREATE TABLE a (a INT);")
    migrator.server.feed("CREATE TABLE schema_migrations (version BIGINT PRIMARY KEY, dirty BOOLEAN NOT NULL);"
                         "INSERT INTO schema_migrations VALUES (1, 1);")
    assert "golang-migrate left the migration 1 unfinished" in migrator.refused(6, "adopt")


def first_release(migrator, text, rows=None):
    """A release before the one under test: from then on production must be spared."""
    migrator.write("1_before.sql", text)
    migrator.run("apply")
    if rows:
        migrator.server.feed(rows)


BIG = "CREATE TABLE big (id INT PRIMARY KEY, a INT, b VARCHAR(50));"
ROWS = "INSERT INTO big SELECT seq, seq, CONCAT('row ', seq) FROM seq_1_to_20000;"


@pytest.mark.parametrize("n", [2, 20])
def test_runners_at_once_run_each_statement_once(migrator, n):
    migrator.write("1_a.sql", "CREATE TABLE t (n INT); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2);")
    for i in range(2, 12):
        migrator.write(f"{i}_more.sql", f"INSERT INTO t VALUES ({i}0); CREATE TABLE t{i} (a INT); SET @a = 1;")
    runners = [migrator.spawn("apply") for _ in range(n)]
    said = [runner.communicate(timeout=300) for runner in runners]
    assert [runner.returncode for runner in runners] == [0] * n, said
    rows = [int(row[0]) for row in migrator.server.query("SELECT n FROM t ORDER BY n")]
    assert rows == [1, 2] + [10 * i for i in range(2, 12)]


def through(migrator, wire):
    migrator.configure(Host="127.0.0.1", Port=wire.port, Tls="off", TlsCaFile=None)
    return wire


def test_the_lock_is_waited_for_and_its_holder_named(migrator):
    import pymysql

    migrator.write("1_a.sql", "SELECT 1;")
    migrator.configure(Deadline="4s")
    with contextlib.closing(pymysql.connect(unix_socket=str(migrator.server.socket), user="root")) as other:
        with other.cursor() as cursor:
            cursor.execute("SELECT GET_LOCK('releasemgr:shop', 5)")
        message = migrator.refused(5, "apply")
    assert f"connection {other.thread_id()} (root from localhost) holds the lock" in message


def test_what_would_copy_is_refused(migrator):
    first_release(migrator, BIG, ROWS)
    migrator.write("2_copy.sql", "ALTER TABLE big MODIFY a BIGINT;")
    message = migrator.refused(6, "apply")
    assert "2_copy.sql:1: statement 1: it would copy the table or block its writers" in message
    assert "allow-copy" in message
    migrator.write("2_copy.sql", "-- releasemgr: allow-copy max-rows=100\nALTER TABLE big MODIFY a BIGINT;")
    assert "more than the 100 rows" in migrator.refused(6, "apply")
    migrator.write("2_copy.sql", "ALTER TABLE big MODIFY a BIGINT, ALGORITHM=COPY;")
    assert "it would copy the table big" in migrator.refused(6, "apply")
    migrator.write("2_copy.sql", "ALTER TABLE big ADD FULLTEXT INDEX words (b);")
    assert "it would block writers of the table big" in migrator.refused(6, "apply")
    migrator.server.feed("CREATE TABLE words (id INT PRIMARY KEY, a INT, b TEXT, FULLTEXT (b)); INSERT INTO words VALUES (1, 2, 'c');")
    migrator.write("2_copy.sql", "ALTER TABLE words MODIFY a INT NOT NULL;")
    assert "it would copy the table or block its writers" in migrator.refused(6, "apply")
    migrator.write("2_copy.sql", "-- releasemgr: allow-copy max-rows=100000\nALTER TABLE big MODIFY a BIGINT;")
    migrator.run("apply")
    assert migrator.server.value("SHOW COLUMNS FROM big LIKE 'a'").startswith("a")


def test_a_table_is_new_only_where_that_is_known(migrator):
    """The question whether it is fails."""
    first_release(migrator, BIG, ROWS)
    migrator.write("2_copy.sql", "ALTER TABLE big MODIFY a BIGINT;")
    wire = through(migrator, Wire(migrator.server.port, change=lambda packet: packet.replace(b"s.made", b"s.none")))
    assert "Unknown column 's.none'" in migrator.refused(1, "apply")
    assert migrator.server.query("SHOW COLUMNS FROM big LIKE 'a'")[0][1] == "int(11)"
    wire.close()


def test_what_is_instant_or_online_is_done(migrator):
    first_release(migrator, BIG, ROWS)
    migrator.write("2_instant.sql", "ALTER TABLE big ADD COLUMN c INT, ADD COLUMN d INT FIRST;"
                                    "CREATE INDEX by_a ON big (a); ALTER TABLE big ADD INDEX by_b (b);"
                                    "ALTER TABLE big ENGINE=InnoDB;"
                                    "CREATE TABLE new (a INT); INSERT INTO new VALUES (1); ALTER TABLE new MODIFY a TEXT;"
                                    "SELECT @@alter_algorithm INTO @left; CREATE TABLE found AS SELECT @left AS algorithm;")
    migrator.run("apply")
    assert migrator.server.value("SELECT algorithm FROM found") == "DEFAULT"


def test_what_the_release_before_may_use_is_not_taken_away(migrator):
    first_release(migrator, BIG + "CREATE TABLE small (a INT, b INT);")
    for text in ["DROP TABLE small;", "ALTER TABLE small DROP b;", "RENAME TABLE small TO tiny;", "TRUNCATE small;",
                 "ALTER TABLE small CHANGE b c INT;", "ALTER TABLE small RENAME TO tiny;"]:
        migrator.write("2_drop.sql", text)
        message = migrator.refused(6, "apply")
        assert "takes away what the release before may still use" in message and "contract/" in message, text
    migrator.write("2_drop.sql", "DROP TABLE IF EXISTS nothing; CREATE TABLE own (a INT, b INT); ALTER TABLE own DROP b;"
                                 "DROP TABLE own;\n-- releasemgr: destructive\nALTER TABLE small DROP b;")
    migrator.run("apply")
    migrator.write("contract/3_drop.sql", "DROP TABLE small;")
    assert "nothing to do" in migrator.run("apply").stdout
    assert "1 applied" in migrator.run("contract").stdout
    assert "contracted to 3" in migrator.run("status").stdout


def test_what_cannot_be_told_is_asked(migrator):
    migrator.write("1_a.sql", "CREATE TABLE t (a INT);\nCREATE PROCEDURE p() BEGIN INSERT INTO t VALUES (1); "
                              "DO SLEEP(20); INSERT INTO t VALUES (2); END;\nCALL p();\nINSERT INTO t VALUES (3);")
    runner = migrator.spawn("apply")
    wait_for(migrator.server, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE info LIKE 'DO SLEEP%'", "1")
    runner.kill()
    runner.communicate()
    for (thread,) in migrator.server.query("SELECT id FROM information_schema.PROCESSLIST WHERE info LIKE 'DO SLEEP%'"):
        migrator.server.feed(f"KILL {thread}")
    message = migrator.refused(6, "apply")
    assert "1_a.sql:3: the run before ended in statement 3" in message
    assert "releasemgr migrate resolve 1 --applied" in message
    assert "stopped in the middle" in migrator.run("status").stdout
    assert "expected either" in migrator.refused(2, "resolve", "1")
    migrator.run("resolve", "001", "--applied")
    migrator.run("apply")
    assert migrator.server.query("SELECT a FROM t ORDER BY a") == [["1"], ["3"]]
    assert "no statement of the migration 1 is in doubt" in migrator.refused(1, "resolve", "1", "--applied")


def kill_in(migrator, statement):
    """Applies, and kills the program and its session while the server is in @statement."""
    runner = migrator.spawn("apply")
    question = f"SELECT id FROM information_schema.PROCESSLIST WHERE info LIKE '{statement}'"
    wait_for(migrator.server, question.replace("SELECT id", "SELECT COUNT(*)"), "1")
    runner.kill()
    runner.communicate()
    migrator.server.feed(f"KILL {migrator.server.value(question)}")


SLOW = "UPDATE t SET a = a + 1 WHERE SLEEP(20) = 0;"


def test_what_is_only_announced_is_in_no_doubt(migrator):
    migrator.write("1_a.sql", f"CREATE TABLE t (a INT) ENGINE=MyISAM; INSERT INTO t VALUES (1); {SLOW} CREATE TABLE u (a INT);")
    migrator.write("2_b.sql", "CREATE TABLE v (a INT);")
    kill_in(migrator, "UPDATE t%SLEEP%")
    assert migrator.server.value("SELECT COUNT(*) FROM releasemgr_statement WHERE made IN ('u', 'v')") == "2"
    migrator.run("resolve", "1", "--applied")
    for version in ["1", "2"]:
        assert "is in doubt" in migrator.refused(1, "resolve", version, "--applied")
    migrator.run("apply")
    assert migrator.server.query("SHOW TABLES WHERE Tables_in_shop NOT LIKE 'releasemgr%'") == [["t"], ["u"], ["v"]]


def test_tables_of_which_some_are_gone_are_asked_about(migrator):
    first_release(migrator, "CREATE TABLE a (i INT); CREATE TABLE b (i INT);")
    text = "-- releasemgr: destructive\nDROP TABLE a, b;"
    migrator.write("2_drop.sql", text + "SELECT nothing;")
    migrator.refused(1, "apply")
    migrator.server.feed("CREATE TABLE b (i INT); UPDATE releasemgr_statement SET state = 'started' WHERE version = '2'")
    migrator.write("2_drop.sql", text)
    assert "ended in statement 1" in migrator.refused(6, "apply")
    migrator.run("resolve", "2", "--applied")
    migrator.run("apply")


@pytest.mark.parametrize("text", [
    "TRUNCATE u; SET autocommit = 0;",
    "SET autocommit = 0; TRUNCATE u;",
    "SET autocommit = 0; TRUNCATE u; INSERT INTO t VALUES (5); ROLLBACK;",
])
def test_what_was_done_before_the_files_own_transaction_stays_recorded(migrator, text):
    begin = f"CREATE TABLE t (a INT); CREATE TABLE u (a INT); INSERT INTO t VALUES (1); {text}"
    end = "COMMIT; SET autocommit = 1;"
    migrator.write("1_a.sql", begin + SLOW + end)
    kill_in(migrator, "UPDATE t%SLEEP%")
    migrator.write("1_a.sql", begin + "UPDATE t SET a = a + 1;" + end)
    migrator.run("apply")
    assert migrator.server.query("SELECT a FROM t") == [["2"]]


def wait_for(server, question, answer, seconds=120):
    deadline = time.monotonic() + seconds
    while server.value(question) != answer:
        assert time.monotonic() < deadline, question
        time.sleep(0.02)


@pytest.mark.parametrize("column,table", [(" AUTO_INCREMENT=1", "x"), ("x", " AUTO_INCREMENT=1"), ("\\n) AUTO_INCREMENT=1", "it''s")])
def test_what_looks_like_a_counter_in_a_comment_is_none(migrator, column, table):
    text = (f"CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT COMMENT '{column}') COMMENT '{table}';"
            "INSERT INTO t VALUES (5); ALTER TABLE t ADD COLUMN b INT;")
    migrator.write("1_a.sql", text + "SELECT nothing;")
    assert "statement 4" in migrator.refused(1, "apply")
    # as if the run had ended before the ALTER began, and rows were added since
    migrator.server.feed("ALTER TABLE t DROP COLUMN b; INSERT INTO t VALUES (20);"
                         "UPDATE releasemgr_statement SET state = 'started' WHERE number = 3")
    migrator.write("1_a.sql", text)
    migrator.run("apply")
    assert migrator.server.query("SELECT id, b FROM t ORDER BY id") == [["5", "NULL"], ["20", "NULL"]]


def test_an_alter_whose_runner_died_is_waited_for(migrator):
    """The server goes on with the ALTER of a dead session; the lock of that session is the fence."""
    migrator.write("1_a.sql", BIG + "INSERT INTO big SELECT seq, seq, REPEAT('x', 50) FROM seq_1_to_300000;"
                              "ALTER TABLE big ADD INDEX i1 (b, a), ADD INDEX i2 (a, b), FORCE;"
                              "INSERT INTO big VALUES (0, 0, '');")
    runner = migrator.spawn("apply")
    wait_for(migrator.server, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE info LIKE 'ALTER TABLE big%'", "1")
    runner.kill()
    runner.communicate()
    migrator.run("apply")
    assert migrator.server.value("SELECT COUNT(*) FROM big") == "300001"
    assert migrator.server.value("SELECT COUNT(DISTINCT index_name) FROM information_schema.STATISTICS "
                                 "WHERE table_name = 'big'") == "3"


class Readers:
    """A load of reads and writes on two tables, `big` and `calm`, and the longest that anybody had to wait for each."""

    TABLES = ["big"] * 4 + ["calm"] * 2

    def __init__(self, server):
        self.server = server
        self.stop = threading.Event()
        self.longest = dict.fromkeys(self.TABLES, 0.0)
        self.threads = [threading.Thread(target=self.work, args=(i,)) for i in range(len(self.TABLES))]

    def work(self, i):
        import pymysql

        connection = pymysql.connect(unix_socket=str(self.server.socket), user="root", database="shop", autocommit=True)
        rng, table = random.Random(i), self.TABLES[i]
        with connection.cursor() as cursor:
            while not self.stop.is_set():
                start = time.monotonic()
                row = rng.randrange(1, 20000)
                cursor.execute(f"UPDATE {table} SET a = a + 1 WHERE id = {row}" if i == 0 else
                               f"SELECT * FROM {table} WHERE id = {row}")
                cursor.fetchall()
                self.longest[table] = max(self.longest[table], time.monotonic() - start)
                time.sleep(0.002)
        connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def test_readers_are_not_stalled(migrator):
    import pymysql

    first_release(migrator, BIG + "CREATE TABLE calm LIKE big;", ROWS + "INSERT INTO calm SELECT * FROM big;")
    migrator.write("2_add.sql", "ALTER TABLE big ADD COLUMN c INT; ALTER TABLE big ADD INDEX by_b (b);")
    blocker = pymysql.connect(unix_socket=str(migrator.server.socket), user="root", database="shop")
    with blocker.cursor() as cursor, Readers(migrator.server) as readers:
        cursor.execute("BEGIN")
        cursor.execute("SELECT COUNT(*) FROM big")
        runner = migrator.spawn("apply")
        read_until(runner, "waiting: blocked, the oldest open transactions are: connection")
        time.sleep(8)
        assert runner.poll() is None, runner.communicate()
        blocker.rollback()
        out, err = runner.communicate(timeout=300)
    blocker.close()
    assert runner.returncode == 0, out + err
    print(f"the longest stalls of any reader or writer: {readers.longest}")
    # Nobody waits behind an ALTER that waits: about a second, where nothing else holds this machine up.
    assert readers.longest["big"] < 4 + readers.longest["calm"]


@pytest.mark.parametrize("text", [
    "-- releasemgr: allow-copy\nALTER TABLE big MODIFY a BIGINT;",
    "-- releasemgr: destructive\nTRUNCATE TABLE big;",
    "LOCK TABLES big WRITE; INSERT INTO big (id) VALUES (0); UNLOCK TABLES;",
    "CREATE TRIGGER t BEFORE INSERT ON big FOR EACH ROW SET NEW.a = 1;",
    "-- releasemgr: destructive\nDROP TABLE big;",
])
def test_whatever_needs_a_lock_waits_for_it(migrator, text):
    import pymysql

    first_release(migrator, BIG, ROWS)
    migrator.write("2_copy.sql", text)
    with contextlib.closing(pymysql.connect(unix_socket=str(migrator.server.socket), user="root",
                                            database="shop")) as blocker, blocker.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT COUNT(*) FROM big")
        runner = migrator.spawn("apply")
        assert "waiting: blocked, the oldest open transactions are: connection" in runner.stdout.readline()
        blocker.rollback()
        out, err = runner.communicate(timeout=300)
    assert runner.returncode == 0, out + err
    assert set(map(tuple, migrator.server.query("SELECT state FROM releasemgr_statement"))) == {("done",)}


@pytest.mark.parametrize("locks, text, question", [
    (["BEGIN", "SELECT COUNT(*) FROM big"], "ALTER TABLE big ADD COLUMN c INT;", b"INNODB_TRX"),
    (["LOCK TABLES big WRITE"], "BEGIN; UPDATE big SET a = 7; COMMIT;", b"INNODB_TRX"),
    (["FLUSH TABLES WITH READ LOCK"], "ALTER TABLE big ADD COLUMN c INT;", b"'Sleep'"),
    (["SELECT GET_LOCK('releasemgr:shop', 5)"], "SELECT 1;", b"IS_USED_LOCK"),
])
def test_ctrl_c_ends_the_look_for_who_blocks(migrator, locks, text, question):
    import pymysql

    asked, over = threading.Event(), threading.Event()

    def hold(packet):
        if question in packet:
            asked.set()
            over.wait()
        return packet

    first_release(migrator, BIG, ROWS)
    migrator.write("2_more.sql", text)
    wire = through(migrator, Wire(migrator.server.port, change=hold))
    with contextlib.closing(pymysql.connect(unix_socket=str(migrator.server.socket), user="root",
                                            database="shop")) as blocker, blocker.cursor() as cursor:
        for lock in locks:
            cursor.execute(lock)
        runner = migrator.spawn("apply")
        try:
            assert asked.wait(120)
            runner.send_signal(signal.SIGINT)
            assert runner.wait(30) == 1
        finally:
            runner.kill()
            runner.communicate()
            over.set()
            wire.close()


def test_who_blocks_is_named_at_the_deadline(migrator):
    import pymysql

    first_release(migrator, BIG, ROWS)
    migrator.write("2_add.sql", "ALTER TABLE big ADD COLUMN c INT;")
    migrator.configure(Deadline="3s")
    blocker = pymysql.connect(unix_socket=str(migrator.server.socket), user="root", database="shop")
    with blocker.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT COUNT(*) FROM big")
        message = migrator.refused(1, "apply")
    assert "could not get its locks in time" in message
    assert f"connection {blocker.thread_id()} (root from localhost" in message
    blocker.close()
    assert "1 applied" in migrator.run("apply").stdout


@pytest.mark.parametrize("lock", ["LOCK TABLES big WRITE", "FLUSH TABLES WITH READ LOCK"])
@pytest.mark.parametrize("text", [
    "ALTER TABLE big ADD COLUMN c INT;",
    "CREATE TABLE c (a INT); INSERT INTO c VALUES (1); UPDATE big SET a = 7;",
    "BEGIN; INSERT INTO big (id) VALUES (0); UPDATE big SET a = 7; COMMIT;",
    "SET autocommit = 0; UPDATE big SET a = 7; COMMIT; SET autocommit = 1;",
])
def test_locks_without_a_transaction_are_waited_for(migrator, lock, text):
    """Our own looks and records need locks, too."""
    import pymysql

    first_release(migrator, BIG, ROWS)
    migrator.write("2_more.sql", text)
    with contextlib.closing(pymysql.connect(unix_socket=str(migrator.server.socket), user="root",
                                            database="shop")) as blocker, blocker.cursor() as cursor:
        cursor.execute(lock)
        runner = migrator.spawn("apply")
        for _ in range(7 if "BEGIN" in text else 2):  # more often than a lost connection is made again
            line = runner.stdout.readline()
            assert "waiting: blocked" in line and f"connection {blocker.thread_id()} (root from" in line, runner.communicate()
        cursor.execute("UNLOCK TABLES")
        out, err = runner.communicate(timeout=300)
    assert runner.returncode == 0, out + err
    assert "1 applied, " in out
    assert set(map(tuple, migrator.server.query("SELECT state FROM releasemgr_statement"))) == {("done",)}
    if "UPDATE" in text:
        assert migrator.server.query("SELECT DISTINCT a FROM big") == [["7"]]


@pytest.mark.parametrize("text", ["ALTER TABLE big ADD COLUMN c INT;", "BEGIN; INSERT INTO other VALUES (1); UPDATE big SET a = 7; COMMIT;"])
def test_locks_without_a_transaction_to_the_deadline(migrator, text):
    import pymysql

    first_release(migrator, BIG + "CREATE TABLE other (a INT);", ROWS)
    migrator.write("2_more.sql", text)
    migrator.configure(Deadline="3s")
    with contextlib.closing(pymysql.connect(unix_socket=str(migrator.server.socket), user="root",
                                            database="shop")) as blocker, blocker.cursor() as cursor:
        cursor.execute("LOCK TABLES big WRITE")
        message = migrator.refused(1, "apply")
    assert "could not get its locks in time" in message and "2_more.sql:1: statement" in message
    assert f"connection {blocker.thread_id()} (root from localhost" in message
    assert migrator.server.value("SELECT COUNT(*) FROM other") == "0"
    migrator.configure()
    assert "1 applied" in migrator.run("apply").stdout


@contextlib.contextmanager
def server_setting(server, name, value):
    before = server.value(f"SELECT @@GLOBAL.{name}")
    server.feed(f"SET GLOBAL {name} = {value}")
    try:
        yield
    finally:
        server.feed(f"SET GLOBAL {name} = {before}")


def test_safe_updates_are_for_the_migrations_statements(migrator):
    with server_setting(migrator.server, "sql_safe_updates", 1):
        migrator.write("1_a.sql", "CREATE TABLE t (a INT PRIMARY KEY, b INT); INSERT INTO t VALUES (1, 0); SET @a = 1;")
        migrator.write("2_b.sql", "CREATE TABLE u (a INT); ALTER TABLE t ADD COLUMN c INT; UPDATE t SET b = 1;"
                                  "CREATE TABLE never (a INT);")
        migrator.write("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT 1;")
        assert "2_b.sql:1: statement 3: You are using safe update mode" in migrator.refused(1, "apply")
        assert set(map(tuple, migrator.server.query("SELECT state FROM releasemgr_statement"))) == {("done",)}
        migrator.write("2_b.sql", "CREATE TABLE u (a INT); ALTER TABLE t ADD COLUMN c INT; UPDATE t SET b = 1 WHERE a = 1;")
        assert "2 applied, 1 already there" in migrator.run("apply").stdout
        migrator.write("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT 2;")
        assert "1 applied, 2 already there" in migrator.run("apply").stdout
        migrator.server.feed("TRUNCATE releasemgr_migration; TRUNCATE releasemgr_statement;"
                             "CREATE TABLE schema_migrations (version BIGINT PRIMARY KEY, dirty BOOLEAN);"
                             "INSERT INTO schema_migrations VALUES (2, 0)")
        migrator.run("adopt")
    assert migrator.server.query("SELECT a, b FROM t") == [["1", "1"]]


def test_each_statement_is_committed_whatever_the_servers_default(migrator):
    with server_setting(migrator.server, "autocommit", 0):
        migrator.write("1_a.sql", "CREATE TABLE t (a INT); INSERT INTO t VALUES (1); SET @a = 2;")
        migrator.write("2_b.sql", "INSERT INTO t VALUES (2);")  # in a session that was renewed
        migrator.write("3_c.sql", "SET autocommit = 0; INSERT INTO t VALUES (7); ROLLBACK; INSERT INTO t VALUES (3); COMMIT;")
        assert "3 applied" in migrator.run("apply").stdout
        assert "nothing to do" in migrator.run("apply").stdout
        migrator.write("4_d.sql", "SET autocommit = 0; INSERT INTO t VALUES (4);")
        assert "leaves a transaction open" in migrator.refused(1, "apply")
    assert migrator.server.query("SELECT a FROM t ORDER BY a") == [["1"], ["2"], ["3"]]


def test_a_server_that_is_read_only_is_refused(migrator):
    migrator.write("1_a.sql", "CREATE TABLE t (a INT);")
    migrator.server.feed("SET GLOBAL read_only = 1")
    try:
        assert "read-only" in migrator.refused(6, "apply")
    finally:
        migrator.server.feed("SET GLOBAL read_only = 0")


class Greeter(Wire):
    """Between client and server, it changes the greeting: @greet takes the version and the session's id."""

    def __init__(self, port, greet):
        super().__init__(port)
        self.greet = greet

    def _downward(self, client, server):
        greeting = server.recv(65536)
        end = greeting.index(b"\0", 5)
        version, session = self.greet(greeting[5:end], int.from_bytes(greeting[end + 1:end + 5], "little"))
        body = greeting[4:5] + version + b"\0" + session.to_bytes(4, "little") + greeting[end + 5:]
        client.sendall(len(body).to_bytes(3, "little") + greeting[3:4] + body)
        super()._downward(client, server)


def behind(migrator, greet):
    return through(migrator, Greeter(migrator.server.port, greet))


def test_a_proxy_that_shares_sessions_is_refused(migrator):
    """As ProxySQL and RDS Proxy do, it greets with a session id of its own."""
    migrator.write("1_a.sql", "CREATE TABLE t (a INT);")
    greeter = behind(migrator, lambda version, session: (version, session + 7))
    assert "goes through a proxy" in migrator.refused(6, "apply")
    greeter.close()


# Servers that are asked for an algorithm in the statement itself. This one understands that as well as they do.
OTHERS = {"MySQL 8": b"8.0.36", "MariaDB 11.8": b"11.8.3-MariaDB"}


def altered(server, run):
    """The ALTER and INDEX statements that reached the server during @run."""
    return [text for text in logged(server, run) if text.startswith("ALTER TABLE") or " INDEX " in text]


@pytest.mark.parametrize("version", OTHERS.values(), ids=OTHERS)
def test_algorithms_are_asked_for_in_the_statement(migrator, version):
    greeter = behind(migrator, lambda _, session: (version, session))
    first_release(migrator, BIG, ROWS)
    migrator.write("2_more.sql", "ALTER TABLE big ADD COLUMN c INT -- why\n;"
                                 "CREATE INDEX by_a ON big (a) # why\n; DROP INDEX by_a ON big;")
    sent = altered(migrator.server, lambda: migrator.run("apply"))
    assert sent[0].startswith("ALTER TABLE big ALGORITHM=INSTANT, ADD COLUMN c INT")
    assert sent[1].startswith("CREATE INDEX by_a ON big (a) ALGORITHM=INSTANT")
    assert any(s.startswith("CREATE INDEX by_a ON big (a) ALGORITHM=NOCOPY LOCK=NONE") for s in sent)
    assert sent[-1] == "DROP INDEX by_a ON big"
    assert not any("alter_algorithm" in s for s in sent)
    migrator.write("3_copy.sql", "ALTER TABLE big MODIFY a BIGINT -- why\n;")
    assert "it would copy the table or block its writers" in migrator.refused(6, "apply")
    assert migrator.server.query("SHOW COLUMNS FROM big LIKE 'a'")[0][1] == "int(11)"
    greeter.close()


def test_everything_is_as_the_client_does_it_on_mysql(migrator):
    """Records are written one statement at a time there."""
    expected = dump_of_client(migrator.server, EVERYTHING)
    greeter = behind(migrator, lambda _, session: (OTHERS["MySQL 8"], session))
    migrator.write("1_everything.sql", EVERYTHING)
    assert "1 applied, 0 already there" in migrator.run("apply").stdout
    assert migrator.server.dump() == expected
    greeter.close()


def test_a_server_that_is_gone_for_a_while_is_waited_for(request, mariadb_template, tmp_path):
    server = MariaDB(mariadb_template, home()).start()
    try:
        migrator = Migrator(find_program(request), server, tmp_path)
        migrator.configure(Deadline="300s")
        migrator.write("1_a.sql", BIG + "INSERT INTO big SELECT seq, seq, 'x' FROM seq_1_to_1000;"
                                  "UPDATE big SET a = a + 1 WHERE SLEEP(0.002) = 0; UPDATE big SET a = a + 1;")
        runner = migrator.spawn("apply")
        wait_for(server, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE info LIKE 'UPDATE%SLEEP%'", "1")
        server.kill()
        read_until(runner, "waiting:")
        time.sleep(30 if request.config.getoption("--full") else 3)
        server.start()
        out, err = runner.communicate(timeout=300)
        assert runner.returncode == 0, out + err
        assert server.value("SELECT SUM(a) - SUM(id) FROM big") == "2000"
    finally:
        server.close()


def read_until(process, text):
    said = ""
    while text not in said:
        line = process.stdout.readline()
        assert line, said + process.stderr.read()
        said += line


FAILOVER = (BIG + "INSERT INTO big SELECT seq, seq, 'x' FROM seq_1_to_1000; UPDATE big SET a = a + 1 WHERE SLEEP(0.002) = 0;"
            "UPDATE big SET a = a + 1; ALTER TABLE big ADD COLUMN c INT; UPDATE big SET a = a + 1;")
UPDATING = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE info LIKE 'UPDATE%SLEEP%'"


def test_a_failover_is_waited_for(request, mariadb_template, tmp_path):
    """The server dies, and what comes up in its place takes no writes for a while."""
    server = MariaDB(mariadb_template, home()).start()
    try:
        migrator = Migrator(find_program(request), server, tmp_path)
        migrator.configure(Deadline="300s", User="limited")
        migrator.write("1_a.sql", FAILOVER)
        runner = migrator.spawn("apply")
        wait_for(server, UPDATING, "1")
        server.kill()
        server.options.append("--read-only")
        server.start()
        read_until(runner, "waiting: the database server is read-only")
        server.feed("SET GLOBAL read_only = 0")
        out, err = runner.communicate(timeout=300)
        assert runner.returncode == 0, out + err
        assert server.value("SELECT SUM(a) - SUM(id) FROM big") == "3000"
    finally:
        server.close()


def test_a_server_that_is_demoted_under_way_is_waited_for(migrator):
    """The connection lives on, as it does where a cluster's writer becomes a reader."""
    migrator.configure(Deadline="300s", User="limited")
    migrator.write("1_a.sql", FAILOVER)
    runner = migrator.spawn("apply")
    wait_for(migrator.server, UPDATING, "1")
    try:
        migrator.server.feed("SET GLOBAL read_only = 1")  # once the statement under way is done
        read_until(runner, "the database server became read-only")
        read_until(runner, "waiting: the database server is read-only")
    finally:
        migrator.server.feed("SET GLOBAL read_only = 0")
    out, err = runner.communicate(timeout=300)
    assert runner.returncode == 0, out + err
    assert migrator.server.value("SELECT SUM(a) - SUM(id) FROM big") == "3000"


def test_read_only_to_the_deadline(request, mariadb_template, tmp_path):
    server = MariaDB(mariadb_template, home()).start()
    try:
        migrator = Migrator(find_program(request), server, tmp_path)
        migrator.configure(Deadline="3s", User="limited")
        migrator.write("1_a.sql", FAILOVER)
        runner = migrator.spawn("apply")
        wait_for(server, UPDATING, "1")
        server.feed("SET GLOBAL read_only = 1")
        out, err = runner.communicate(timeout=300)
        assert runner.returncode == 6 and "the database server is read-only" in err, out + err
        server.feed("SET GLOBAL read_only = 0")
        migrator.run("apply")
        assert server.value("SELECT SUM(a) - SUM(id) FROM big") == "3000"
    finally:
        server.close()


def test_a_killed_connection_is_made_again(migrator):
    migrator.write("1_a.sql", "CREATE TABLE t (a INT); INSERT INTO t VALUES (1);"
                              "UPDATE t SET a = a + 1 WHERE SLEEP(6) = 0; UPDATE t SET a = a * 10;")
    runner = migrator.spawn("apply")
    question = "SELECT id FROM information_schema.PROCESSLIST WHERE info LIKE 'UPDATE t%SLEEP%'"
    wait_for(migrator.server, question.replace("SELECT id", "SELECT COUNT(*)"), "1")
    migrator.server.feed(f"KILL {migrator.server.value(question)}")
    out, err = runner.communicate(timeout=300)
    assert runner.returncode == 0, out + err
    assert migrator.server.value("SELECT a FROM t") == "20"


def test_ctrl_c_ends_it_and_the_next_run_goes_on(migrator):
    migrator.write("1_a.sql", "CREATE TABLE t (a INT); INSERT INTO t VALUES (1);"
                              "UPDATE t SET a = a + 1 WHERE SLEEP(60) = 0;")
    runner = migrator.spawn("apply")
    wait_for(migrator.server, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE info LIKE 'UPDATE t%SLEEP%'", "1")
    start = time.monotonic()
    runner.send_signal(signal.SIGINT)
    runner.communicate(timeout=300)
    assert runner.returncode == 1
    assert time.monotonic() - start < 40  # it does not wait for the statement, nor does the next one
    migrator.write("1_a.sql", "CREATE TABLE t (a INT); INSERT INTO t VALUES (1); UPDATE t SET a = a + 1;")
    migrator.run("apply")
    assert time.monotonic() - start < 50
    assert migrator.server.value("SELECT a FROM t") == "2"


@pytest.mark.parametrize("create", [
    "CREATE TABLE t (a INT) ENGINE=MyISAM;",
    "SET STATEMENT default_storage_engine=MyISAM FOR CREATE TABLE t (a INT);",
])
def test_tables_without_transactions_are_asked_about(migrator, create):
    migrator.write("1_a.sql", f"{create} INSERT INTO t VALUES (1); {SLOW}")
    kill_in(migrator, "UPDATE t%SLEEP%")
    assert "ended in statement 3" in migrator.refused(6, "apply")
    migrator.run("resolve", "1", "--not-applied")
    migrator.write("1_a.sql", f"{create} INSERT INTO t VALUES (1); UPDATE t SET a = 7;")
    migrator.run("apply")
    assert migrator.server.value("SELECT a FROM t") == "7"


def test_a_server_without_galera_is_not_asked_for_its_variables(migrator):
    """The servers at hand all know them: @@wsrep_on is an error where they do not."""
    migrator.write("1_a.sql", "SELECT 1;")
    asked = [s for s in logged(migrator.server, lambda: migrator.run("apply")) if "wsrep" in s]
    assert asked and not any("@@wsrep" in s for s in asked)


def test_a_node_of_a_cluster_is_refused(request, mariadb_template, tmp_path):
    """A cluster of one, with the provider that Debian's server brings."""
    server = MariaDB(mariadb_template, home(), [
        "--wsrep-on=ON", "--wsrep-provider=/usr/lib/galera/libgalera_smm.so", "--wsrep-cluster-address=gcomm://",
        "--binlog-format=ROW", "--innodb-autoinc-lock-mode=2", "--wsrep-sst-method=skip",
        f"--wsrep-node-address=127.0.0.1:{free_port()}", "--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:0"])
    try:
        server.start()
        deadline = time.monotonic() + 180
        while server.value("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
                           "WHERE VARIABLE_NAME = 'wsrep_ready'") != "ON":
            assert time.monotonic() < deadline, (server.home / "log").read_text()
            time.sleep(0.1)
        migrator = Migrator(find_program(request), server, tmp_path)
        migrator.write("1_a.sql", "CREATE TABLE t (a INT);")
        message = migrator.refused(6, "apply")
        assert "a node of a Galera cluster, where a lock holds on one node only" in message
        assert server.query("SHOW TABLES") == []
        assert "schema at nothing" in migrator.run("status").stdout  # to look is not to write
    finally:
        server.close()
