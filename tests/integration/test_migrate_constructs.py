"""What histories of other people hold, each kind in a file of its own, held beside what the `mariadb` client makes of it."""

import contextlib

import pytest

from mariadb import mariadb, mariadb_template, migrator  # noqa: F401

DUMP = """-- as mariadb-dump and mysqldump write it
/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET NAMES utf8 */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
DROP TABLE IF EXISTS `child`;
CREATE TABLE `child` (`id` int NOT NULL AUTO_INCREMENT, `p` int, PRIMARY KEY (`id`),
  CONSTRAINT fk FOREIGN KEY (p) REFERENCES parent (id)) ENGINE=InnoDB DEFAULT CHARSET=latin1;
LOCK TABLES `child` WRITE;
/*!40000 ALTER TABLE `child` DISABLE KEYS */;
INSERT INTO `child` VALUES (0,5),(1,5);
/*!40000 ALTER TABLE `child` ENABLE KEYS */;
UNLOCK TABLES;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`shop`@`%`*/ /*!50003 TRIGGER tr BEFORE INSERT ON child FOR EACH ROW BEGIN
 -- inside; here
 IF NEW.p IS NULL THEN SET NEW.p = 5; END IF;
END */;;
/*!50106 CREATE*/ /*!50117 DEFINER=`shop`@`%`*/ /*!50106 EVENT `ev` ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00'
 DO BEGIN DELETE FROM child; DELETE FROM parent; END */ ;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
CREATE TABLE parent (id INT PRIMARY KEY);
INSERT INTO parent VALUES (5);
/*!50001 CREATE TABLE `vv` (`id` tinyint NOT NULL) ENGINE=MyISAM */;
/*!50001 DROP TABLE IF EXISTS `vv`*/;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`shop`@`%` SQL SECURITY DEFINER */
/*!50001 VIEW `vv` AS select `child`.`id` AS `id` from `child` */;
/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
"""

ORACLE = """SET sql_mode=ORACLE;
DELIMITER $$
CREATE OR REPLACE PACKAGE pack AS
  FUNCTION f RETURN INT;
END;
$$
CREATE OR REPLACE PACKAGE BODY pack AS
  FUNCTION f RETURN INT AS BEGIN RETURN 1; END;
END;
$$
DELIMITER ;
CREATE TABLE "of_oracle" (a NUMBER(5));
INSERT INTO of_oracle VALUES (1);
SET sql_mode=DEFAULT;
INSERT INTO of_oracle VALUES (2);
"""

FILES = [
    DUMP,
    ORACLE,
    "CREATE TABLE many (a INT, b TEXT);\nINSERT INTO many VALUES "
    + ",\n".join(f"({i},'row {i}; it''s \\'{i}\\' -- x # y /* z */')" for i in range(5000)) + ";\n",
    b"SET NAMES latin1;\nCREATE TABLE latin (a VARCHAR(20) CHARACTER SET utf8mb4);\nINSERT INTO latin VALUES ('gr\xf6\xdfe');\n"
    b"SET NAMES utf8mb4;\nINSERT INTO latin VALUES ('\xc3\xb6');\r\n\x1a",
    # the client does not follow SET NAMES: it takes the last byte for a backslash, and all that follows for one statement
    "CREATE TABLE wide (a VARCHAR(20) CHARACTER SET utf8mb4); SET NAMES gbk; INSERT INTO wide VALUES ('誠');".encode("gbk"),
    "--without a space; it's\nSTART TRANSACTION;\nCREATE TABLE tx (a INT);\nINSERT INTO tx VALUES (1);\nCOMMIT AND CHAIN;\n"
    "INSERT INTO tx VALUES (2); ROLLBACK AND CHAIN; INSERT INTO tx VALUES (3); CREATE TABLE tx2 (a INT); COMMIT;",
    "CREATE TABLE prep (a INT); SET @s = (SELECT IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = "
    "DATABASE() AND table_name = 'prep' AND column_name = 'b') > 0, \"SELECT 'there'\", \"ALTER TABLE prep ADD b INT\"));"
    "PREPARE st FROM @s; EXECUTE st; DEALLOCATE PREPARE st; EXECUTE IMMEDIATE 'INSERT INTO prep VALUES (9,9)';",
    "CREATE TEMPORARY TABLE s (a INT PRIMARY KEY AUTO_INCREMENT, b INT); INSERT INTO s (b) VALUES (1),(2); ALTER TABLE s ADD c "
    "INT; CREATE TABLE temp AS SELECT * FROM s; CREATE TEMPORARY TABLE temp SELECT 1 AS a; INSERT INTO temp VALUES (5); "
    "DROP TABLE temp; INSERT INTO temp VALUES (8,8,8);",
    "CREATE TABLE gen (a INT, b INT AS (a*2) VIRTUAL, c INT AS (a+1) STORED, d INT INVISIBLE DEFAULT 5, e VARCHAR(20) CHECK (e "
    "<> ';'), KEY (b)); INSERT INTO gen (a, e) VALUES (1,'x'); ALTER TABLE gen ADD f JSON DEFAULT (JSON_OBJECT('a;', 1));",
    "CREATE SEQUENCE seq START WITH 100 INCREMENT BY 10; CREATE TABLE ofseq (a INT, b INT); INSERT INTO ofseq VALUES (NEXT VALUE "
    "FOR seq, PREVIOUS VALUE FOR seq); SELECT SETVAL(seq, 500); INSERT INTO ofseq VALUES (NEXTVAL(seq), 2);",
    "CREATE TABLE period (a INT, s DATE, e DATE, PERIOD FOR p (s,e)) WITH SYSTEM VERSIONING; INSERT INTO period VALUES "
    "(1,'2020-01-01','2021-01-01'); ALTER TABLE period DROP SYSTEM VERSIONING;",
    "CREATE TABLE part (a INT, b INT) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN "
    "MAXVALUE); INSERT INTO part VALUES (1,1),(20,2); ALTER TABLE part REORGANIZE PARTITION p1 INTO (PARTITION p1 VALUES LESS "
    "THAN (50), PARTITION p2 VALUES LESS THAN MAXVALUE); ALTER TABLE part DROP PARTITION p0; ALTER TABLE part REMOVE PARTITIONING;",
    "DELIMITER //\nCREATE TABLE comp (a INT)//\nBEGIN NOT ATOMIC\n DECLARE i INT DEFAULT 0;\n WHILE i < 3 DO INSERT INTO comp "
    "VALUES (i); SET i = i + 1; END WHILE;\nEND//\nFOR r IN (SELECT a FROM comp) DO INSERT INTO comp VALUES (r.a + 100); END "
    "FOR//\nCREATE PROCEDURE several() BEGIN SELECT 1; INSERT INTO comp VALUES (7); SELECT * FROM comp; END//\nDELIMITER ;\n"
    "CALL several();\nCALL several;\n",
    "CREATE TABLE vars (a INT AUTO_INCREMENT PRIMARY KEY, b VARCHAR(40)); INSERT INTO vars (b) VALUES ('x'); SET @id = "
    "LAST_INSERT_ID(); INSERT INTO vars (b) VALUES (@id), (CONCAT(@id, LAST_INSERT_ID())); SELECT @r := 5; INSERT INTO vars (b) "
    "VALUES (@r), (@`r`); UPDATE vars SET b = CONCAT(b, '!') WHERE a < 3; INSERT INTO vars (b) VALUES (ROW_COUNT());",
    "SET STATEMENT sql_mode='' FOR CREATE TABLE misc (a TINYINT); SET sql_mode=''; INSERT INTO misc VALUES (5000); SET sql_mode="
    "CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES'); CREATE TABLE misc2 (a TEXT); INSERT INTO misc2 VALUES ('\\'); SET "
    "default_storage_engine=MyISAM; CREATE TABLE misc3 (a INT); INSERT INTO misc3 VALUES (1);",
    "CREATE TABLE `we``ird; tab` (`a b` INT, `c'd` INT); INSERT INTO `we``ird; tab` VALUES (1,2); CREATE TABLE größe (ä INT); "
    "ALTER TABLE größe ADD ö INT; CREATE TABLE 1a (2b INT); INSERT INTO 1a VALUES (1);",
]


def test_constructs_end_as_with_the_client(migrator):
    migrator.server.create("referee")
    for n, text in enumerate(FILES, 1):
        migrator.server.feed(text, "referee")
        migrator.write(f"{n}_step.sql", text)
    assert f"{len(FILES)} applied" in migrator.run("apply").stdout
    assert migrator.server.dump() == definers(migrator.server.dump("referee"))
    assert "nothing to do" in migrator.run("apply").stdout


def definers(dump):
    """Packages are written with the names of ANSI_QUOTES."""
    return dump.replace('DEFINER="root"@"localhost"', 'DEFINER="shop"@"%"')


BEFORE = ("CREATE TABLE t (a INT PRIMARY KEY, b INT); CREATE VIEW v AS SELECT a FROM t; CREATE PROCEDURE p() SELECT 1;"
          "CREATE FUNCTION f() RETURNS INT RETURN 1; CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.b = 1;"
          "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DO 1; CREATE SEQUENCE s;"
          "CREATE TABLE parts (a INT) PARTITION BY HASH (a) PARTITIONS 2;")


def test_what_the_release_before_uses_is_not_taken_away(migrator):
    migrator.write("1_before.sql", BEFORE)
    migrator.run("apply")
    migrator.server.feed("INSERT INTO t VALUES (1, 1)")
    for text in ("DROP VIEW v;", "DROP PROCEDURE p;", "DROP FUNCTION IF EXISTS f;", "DROP TRIGGER g;", "DROP EVENT e;",
                 "DROP SEQUENCE s;", "CREATE OR REPLACE TABLE t (x INT);", "ALTER TABLE parts TRUNCATE PARTITION p0;"):
        migrator.write("2_a.sql", text)
        message = migrator.refused(6, "apply")
        assert "2_a.sql:1: statement 1: it takes away what the release before may still use" in message, text
        assert "-- releasemgr: destructive" in message
    migrator.write("2_a.sql", "DROP VIEW IF EXISTS v; CREATE VIEW v AS SELECT b FROM t; DROP PROCEDURE p; "
                              "CREATE PROCEDURE p() SELECT 2; CREATE OR REPLACE FUNCTION f() RETURNS INT RETURN 2;"
                              "DROP PROCEDURE IF EXISTS helper; CREATE PROCEDURE helper() INSERT INTO t VALUES (2, 2);"
                              "CALL helper(); DROP PROCEDURE helper; DROP VIEW IF EXISTS never;"
                              "CREATE OR REPLACE TABLE new (a INT); DROP TABLE new;\n"
                              "-- releasemgr: destructive\nDROP EVENT e;")
    migrator.run("apply")
    assert migrator.server.query("SELECT * FROM v ORDER BY b") == [["1"], ["1"]]
    assert migrator.server.query("SHOW EVENTS") == []


def test_a_truncation_waits_for_the_table(migrator):
    import pymysql

    migrator.write("1_a.sql", "CREATE TABLE t (a INT); INSERT INTO t VALUES (1);")
    migrator.run("apply")
    migrator.write("2_b.sql", "-- releasemgr: destructive\nTRUNCATE TABLE t;")
    with contextlib.closing(pymysql.connect(unix_socket=str(migrator.server.socket), user="root",
                                            database="shop")) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM t")
        runner = migrator.spawn("apply")
        said = ""
        while "waiting: blocked" not in said:
            said = runner.stdout.readline()
            assert said, runner.stderr.read()
        other.commit()
    out, err = runner.communicate(timeout=300)
    assert runner.returncode == 0, out + err
    assert migrator.server.value("SELECT COUNT(*) FROM t") == "0"


@pytest.mark.parametrize("text", ["CREATE PROCEDURE p() BEGIN INSERT INTO t VALUES (1); INSERT INTO t VALUES (1); END; CALL p();",
                                  "PREPARE s FROM 'INSERT INTO t VALUES (1), (1)'; EXECUTE s;"])
def test_what_fails_inside_a_call_is_asked_about(migrator, text):
    migrator.write("1_a.sql", "CREATE TABLE t (a INT PRIMARY KEY);")
    migrator.run("apply")
    migrator.write("2_b.sql", text)
    message = migrator.refused(1, "apply")
    assert "2_b.sql:1: statement 2: Duplicate entry" in message
    assert "Part of it may have taken effect" in message and "resolve 2 --applied (or --not-applied)" in message
    assert "the run before ended in statement 2" in migrator.refused(6, "apply")
    migrator.run("resolve", "2", "--not-applied")
    migrator.server.feed("DELETE FROM t")
    migrator.write("2_b.sql", text.replace("CALL p()", "SELECT 1").replace("EXECUTE s", "SELECT 1"))
    migrator.run("apply")


FLYWAY = ("CREATE TABLE flyway_schema_history (installed_rank INT PRIMARY KEY, version VARCHAR(50), description VARCHAR(200), "
          "type VARCHAR(20), script VARCHAR(1000), checksum INT, installed_by VARCHAR(100), installed_on TIMESTAMP, "
          "execution_time INT, success BOOL);")


def history(*rows):
    """Rows of Flyway's history: version, description, type, success."""
    return FLYWAY + "".join(f"INSERT INTO flyway_schema_history VALUES ({n}, {version}, '{what}', '{kind}', '', 1, '', NOW(), 1, "
                            f"{good});" for n, (version, what, kind, good) in enumerate(rows, 1))


def test_a_history_of_flyway_with_a_baseline_is_adopted(migrator):
    """All up to the baseline ran, named or not; what was undone or deleted did not."""
    for n in range(1, 7):
        migrator.write(f"V{n}__a.sql", f"CREATE TABLE t{n} (a INT);")
    migrator.write("below/R__a_view.sql", "CREATE OR REPLACE VIEW v AS SELECT 1;")
    migrator.server.feed(history(
        ("'2.5'", "<< Flyway Baseline >>", "BASELINE", 1), ("'3'", "a", "SQL", 1), ("'4'", "a", "SQL", 1),
        ("NULL", "a view", "SQL", 1), ("'5'", "a", "SQL", 1), ("'5'", "a", "UNDO_SQL", 1), ("'9'", "gone", "SQL", 1),
        ("'9'", "gone", "DELETE", 1), ("'10'", "in Java", "JDBC", 1)))
    assert "5 migrations taken over from Flyway" in migrator.run("adopt").stdout
    assert "2 applied, 5 already there" in migrator.run("apply").stdout
    assert migrator.server.query("SHOW TABLES LIKE 't%'") == [["t5"], ["t6"]]


def test_a_failed_history_of_flyway_is_not_adopted(migrator):
    migrator.write("R__a_view.sql", "SELECT 1;")
    migrator.server.feed(history(("NULL", "a view", "SQL", 0)))
    assert "Flyway left the migration a view unfinished" in migrator.refused(6, "adopt")


def test_a_placeholder_of_flyway_is_refused(migrator):
    text = "CREATE TABLE t (a TEXT); -- ${not_here}\nINSERT INTO t VALUES ('$ {a} ${} ${b');\nINSERT INTO t VALUES ('${app.name}');"
    migrator.write("V1__a.sql", text)
    message = migrator.refused(1, "apply")
    assert "V1__a.sql:3: statement 3: ${app.name} is a placeholder of Flyway, and has no value here" in message
    assert "-- releasemgr: verbatim" in message
    assert migrator.server.query("SHOW TABLES LIKE 't'") == []
    migrator.write("V1__a.sql", "-- releasemgr: verbatim\n" + text)
    migrator.run("apply")
    (migrator.folder / "V1__a.sql").rename(migrator.folder / "1_a.sql")  # golang-migrate knows of none
    migrator.server.create("shop")
    migrator.write("1_a.sql", text)
    migrator.run("apply")
    assert migrator.server.query("SELECT a FROM t") == [["$ {a} ${} ${b"], ["${app.name}"]]
