"""What the server gets is what the `mariadb` client would send: the server's own log of statements is the referee."""

import pytest

from mariadb import mariadb, mariadb_template, migrator  # noqa: F401

TEXTS = [
    "SELECT 1 -- a; b\n+ 2; # c; d\nSELECT 3;\n",
    "SELECT 'it''s; a', \"b\\\";\", `c;`.d FROM (SELECT 1 AS d) AS `c;`;",
    "SELECT/*;*/1/* it's */+2;\n/* only */\nSELECT 4;",
    "SELECT /*!40101 1 + */ 2; SELECT /*M!100100 3 + */ 4;",
    "SELECT 1--2;\nSELECT 5 --\n;\n",
    "SELECT '\\\\', 'a\\nb', '\\'', \\N;",
    "SET sql_mode='NO_BACKSLASH_ESCAPES'; SELECT '\\'; SELECT 2;",
    "SET sql_mode='ANSI_QUOTES'; SELECT 1 AS \"a;b\"; SELECT 2;",
    "SET @saved = @@sql_mode, sql_mode='NO_BACKSLASH_ESCAPES'; SELECT '\\'; SET sql_mode = @saved; SELECT '\\';';",
    "DELIMITER //\nCREATE PROCEDURE p()\nBEGIN\n  -- note\n  SELECT 1; /* x */ SELECT 2;\nEND//\nDELIMITER ;\n"
    "CALL p();\nDROP PROCEDURE p;\n",
    "DELIMITER $$\nSELECT 1$$ SELECT 2$$\ndelimiter ;\nSELECT 3",
    "\n\n  SELECT\r\n  1;\r\n\r\nSELECT 2;",
    "SELECT 'größe 名前; ?';\n-- the end",
    "\ufeffSELECT 'a mark before';",
    "SELECT 'lines\r\nof two', 1;\r\nSELECT\r\n2;\r\n",
    "/*!50003 CREATE*/ /*!50020 DEFINER=CURRENT_USER*/ /*!50003 PROCEDURE p() SELECT 1 */;\nDROP PROCEDURE p;",
    "DELIMITER ;;\nCREATE PROCEDURE q() a: BEGIN DECLARE `end` INT; b: LOOP LEAVE b; END LOOP b; END a ;;\n"
    "DELIMITER ;\nDROP PROCEDURE q;",
    "SELECT 1 --\t;\n;\n;;\n-- only\n/* these */\nSELECT 2;;\nSELECT 3",
    "--no space; 'a\nSELECT 1;\n--more\r\nSELECT 2\n--3;\r\n\x1a",
    "SET @@GLOBAL.sql_mode=@@GLOBAL.sql_mode, @sql_mode='NO_BACKSLASH_ESCAPES'; SELECT '\\';';",
    "SET sql_mode=CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES'); SELECT '\\'; SET sql_mode=DEFAULT; SELECT '\\';';",
    "SELECT 'a\nb;\n\nc', 'd -- e', 'f # g', 'h /* i */';",
]


def statements(server, run):
    """What reached the server during @run, but for what the client itself asks."""
    server.feed("SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = 1")
    try:
        run()
    finally:
        server.feed("SET GLOBAL general_log = 0")
    rows = server.query("SELECT HEX(argument) FROM mysql.general_log WHERE command_type = 'Query'")
    return [bytes.fromhex(row[0]).decode() for row in rows if row]


@pytest.mark.parametrize("text", TEXTS)
def test_the_server_gets_what_the_client_sends(migrator, text):
    expected = statements(migrator.server, lambda: migrator.server.feed(text))
    expected = [s for s in expected if "general_log" not in s and s != "select @@version_comment limit 1"]
    assert expected
    migrator.write("1_a.sql", text)
    got = iter(statements(migrator.server, lambda: migrator.run("apply")))
    for statement in expected:
        assert any(statement.rstrip() == s.rstrip() for s in got), f"not sent, or out of order: {statement!r}"
