"""Histories that other projects published, run as they are, and held beside what the `mariadb` client makes of the same
files. They are fetched when the test runs, as Debian packages them; nothing of them is kept here."""

import gzip
import pathlib
import re
import subprocess

import pytest

from mariadb import mariadb, mariadb_template, migrator  # noqa: F401

# Roundcube's package has all steps since 2008, but not what they start from: this is as much of it as they ask for.
ROUNDCUBE_START = """
CREATE TABLE users (user_id INT UNSIGNED NOT NULL AUTO_INCREMENT, username VARCHAR(128) NOT NULL,
  mail_host VARCHAR(128) NOT NULL, alias VARCHAR(128) NOT NULL,
  created DATETIME NOT NULL DEFAULT '1000-01-01 00:00:00', last_login DATETIME NOT NULL DEFAULT '1000-01-01 00:00:00',
  language VARCHAR(5) NOT NULL DEFAULT 'en', preferences TEXT, PRIMARY KEY (user_id));
CREATE TABLE session (sess_id VARCHAR(40) NOT NULL, created DATETIME NOT NULL DEFAULT '1000-01-01 00:00:00',
  changed DATETIME NOT NULL DEFAULT '1000-01-01 00:00:00', ip VARCHAR(15) NOT NULL, vars TEXT NOT NULL,
  PRIMARY KEY (sess_id));
CREATE TABLE cache (cache_id INT UNSIGNED NOT NULL AUTO_INCREMENT, user_id INT UNSIGNED NOT NULL DEFAULT '0',
  session_id VARCHAR(40), cache_key VARCHAR(128) NOT NULL, created DATETIME NOT NULL DEFAULT '1000-01-01 00:00:00',
  data LONGTEXT NOT NULL, PRIMARY KEY (cache_id), INDEX cache_key (cache_key), INDEX session_id (session_id),
  CONSTRAINT user_id_fk_cache FOREIGN KEY (user_id) REFERENCES users (user_id) ON DELETE CASCADE);
CREATE TABLE messages (message_id INT UNSIGNED NOT NULL AUTO_INCREMENT, user_id INT UNSIGNED NOT NULL DEFAULT '0',
  del TINYINT(1) NOT NULL DEFAULT '0', cache_key VARCHAR(128) NOT NULL,
  created DATETIME NOT NULL DEFAULT '1000-01-01 00:00:00', idx INT UNSIGNED NOT NULL DEFAULT '0',
  uid INT UNSIGNED NOT NULL DEFAULT '0', subject VARCHAR(255) NOT NULL, PRIMARY KEY (message_id), INDEX idx (idx),
  INDEX uid (uid), CONSTRAINT user_id_fk_messages FOREIGN KEY (user_id) REFERENCES users (user_id) ON DELETE CASCADE);
CREATE TABLE contacts (contact_id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  changed DATETIME NOT NULL DEFAULT '1000-01-01 00:00:00', del TINYINT(1) NOT NULL DEFAULT '0',
  name VARCHAR(128) NOT NULL, email VARCHAR(128) NOT NULL, firstname VARCHAR(128) NOT NULL,
  surname VARCHAR(128) NOT NULL, vcard TEXT, user_id INT UNSIGNED NOT NULL DEFAULT '0', PRIMARY KEY (contact_id),
  CONSTRAINT user_id_fk_contacts FOREIGN KEY (user_id) REFERENCES users (user_id) ON DELETE CASCADE);
CREATE TABLE identities (identity_id INT UNSIGNED NOT NULL AUTO_INCREMENT, user_id INT UNSIGNED NOT NULL DEFAULT '0',
  del TINYINT(1) NOT NULL DEFAULT '0', standard TINYINT(1) NOT NULL DEFAULT '0', name VARCHAR(128) NOT NULL,
  organization VARCHAR(128) NOT NULL, email VARCHAR(128) NOT NULL, `reply-to` VARCHAR(128) NOT NULL,
  bcc VARCHAR(128) NOT NULL, signature TEXT NOT NULL, html_signature TINYINT(1) NOT NULL DEFAULT '0',
  PRIMARY KEY (identity_id),
  CONSTRAINT user_id_fk_identities FOREIGN KEY (user_id) REFERENCES users (user_id) ON DELETE CASCADE);
INSERT INTO users (username, mail_host, alias) VALUES ('anna', 'localhost', 'a'), ('björn', 'example.org', 'b;c');
INSERT INTO contacts (name, email, firstname, surname, user_id) VALUES ('Zoë', 'z@example.org', 'Zoë', 'O''Neill', 1);
INSERT INTO identities (user_id, name, organization, email, `reply-to`, bcc, signature)
  VALUES (1, 'Anna', '', 'anna@localhost', '', '', '-- \\n;');
"""

# Which files of which package, in the order that the project's own documentation or installer has.
HISTORIES = {
    "roundcube-core": ["usr/share/roundcube/SQL/mysql/*.sql"],
    "zabbix-server-mysql": [f"usr/share/zabbix-server-mysql/{name}.sql.gz"
                            for name in ("schema", "images", "data", "double", "history_pk_prepare")],
    "pdns-backend-mysql": [f"usr/share/pdns-backend-mysql/schema/{name}.mysql.sql"
                           for name in ("schema", "enable-foreign-keys")],
    "icinga2-ido-mysql": ["usr/share/icinga2-ido-mysql/schema/mysql.sql"],
    "icingadb": ["usr/share/icingadb/schema/mysql/schema.sql"],
    "icingaweb2-module-director": ["usr/share/icingaweb2/modules/director/schema/mysql.sql"],
    "cacti": ["usr/share/doc/cacti/cacti.sql"],
}
STARTS = {"roundcube-core": ROUNDCUBE_START}


def fetch(package, cache):
    """The package's files, unpacked."""
    folder = cache / "histories" / package
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        download = ["apt-get", "-q", "download", package]
        options = {"cwd": folder, "stdin": subprocess.DEVNULL, "capture_output": True, "timeout": 300}
        if subprocess.run(download, **options).returncode != 0:  # the package lists may be old, or none were fetched
            subprocess.run(["apt-get", "-q", "update"], **options)
            subprocess.run(download, check=True, **options)
        subprocess.run(["dpkg", "-x", next(folder.glob("*.deb")), folder], check=True)
        (folder / "done").touch()
    return folder


def read_history(package, cache):
    """The texts of its files, unaltered."""
    folder = fetch(package, cache)
    texts = [STARTS[package].encode()] if package in STARTS else []
    for pattern in HISTORIES[package]:
        found = sorted(folder.glob(pattern))
        assert found, f"{package} has no {pattern}"
        texts += [gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes() for path in found]
    return texts


def without_clock(dump):
    """Some write down when they ran: as a date, with or without its marks, in seconds or in milliseconds."""
    return re.sub(r"\b1[0-9]{9}([0-9]{3})?\b|\b20[0-9]{12}([0-9]{3})?\b|"
                  r"'20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}'", "now", dump)


@pytest.mark.parametrize("package", HISTORIES)
def test_history_ends_as_with_the_client(request, migrator, package):
    texts = read_history(package, pathlib.Path(request.config.getoption("--cache")))
    migrator.server.create("referee")
    for n, text in enumerate(texts, 1):
        migrator.server.feed(text, "referee")
        migrator.write(f"{n:04}_step.sql", text)
    assert f"{len(texts)} applied" in migrator.run("apply").stdout
    assert without_clock(migrator.server.dump()) == without_clock(migrator.server.dump("referee"))
    assert "nothing to do" in migrator.run("apply").stdout
    migrator.server.feed("DROP DATABASE referee")
