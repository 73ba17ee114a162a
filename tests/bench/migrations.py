"""Migrations beside the `mariadb` client, which keeps no record, and dbmate, which keeps one a file.

    300 small migrations, by what is in them, on a server whose data are in memory and on one whose data are on disk:
    the client reads one file with all of the statements; the other two find one file for each. All of them by the
    server's unix socket, as whole processes.

    nothing to do, 1,000 migrations known: the whole process, and how often it waits for the server.
"""

import argparse
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / place) for place in (".", "integration")]

import build  # noqa: E402
from figures import Report, show_samples, timed  # noqa: E402
from mariadb import DATABASE, PASSWORD, USER, MariaDB, Migrator, make_template  # noqa: E402
from wire import Wire  # noqa: E402

COUNT, KNOWN = 300, 1000
PLACES = {"memory": "/dev/shm", "disk": "/var/tmp"}

# As the server has them by default. With the small ones of the tests it stops in the middle of a run to write pages back, and
# whoever was at work then seems slow.
SIZES = ["--innodb-log-file-size=96M", "--innodb-buffer-pool-size=128M"]

CLIENT_RATIO_AT_MOST = 1.5
DBMATE_RATIO_AT_MOST = 0.8
ROUND_TRIPS_AT_MOST = 3
NOTHING_MS_AT_MOST = 15


def table(n):
    return f"CREATE TABLE t{n} (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80) NOT NULL, at DATETIME);"


def insert(n):
    return f"INSERT INTO t{n} (name, at) VALUES ('first', '2026-01-02'), ('second', '2026-01-02');"


def rows(n):
    return table(0) if n == 0 else f"INSERT INTO t0 (name, at) VALUES ('row {n}', '2026-01-02');"


def mixed(n):
    t, kind = divmod(n, 6)
    return [table(t), insert(t), f"ALTER TABLE t{t} ADD COLUMN note TEXT;", f"CREATE INDEX by_name ON t{t} (name);",
            f"UPDATE t{t} SET note = CONCAT('of ', name);", f"ALTER TABLE t{t} MODIFY name VARCHAR(120) NOT NULL;"][kind]


# What is in migration @n of 300.
KINDS = {
    "tables": table,
    "tables and rows": lambda n: f"{table(n)}\n{insert(n)}",
    "mixed": mixed,
    "rows": rows,
}
# A disk under another's load takes tens of milliseconds to sync: these two say enough.
KINDS_ON_DISK = ("mixed", "rows")


def dbmate(cache):
    """The program, as npm has it."""
    directory = cache / "dbmate"
    shutil.copytree(HERE / "dbmate", directory, dirs_exist_ok=True)
    if not (directory / "node_modules" / ".package-lock.json").exists():
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=directory, check=True,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    return directory / "node_modules/@dbmate/linux-x64/bin/dbmate"


class Contest:
    """One folder of migrations on one server, and those who run it."""

    def __init__(self, programs, server, folder, texts):
        self.server = server
        self.migrator = Migrator(programs["releasemgr"], server, folder)
        self.migrator.configure(Host=None, Port=None, Socket=server.socket, TlsCaFile=None)
        for n, text in enumerate(texts):
            self.migrator.write(f"{n + 1:04}_step.sql", f"-- migrate:up\n{text}\n-- migrate:down\n")
        self.all = folder / "all.sql"
        self.all.write_text("\n".join(texts))
        url = (f"mysql://{USER}:{urllib.parse.quote(PASSWORD)}@/{DATABASE}?"
               f"socket={urllib.parse.quote(str(server.socket), safe='')}")
        self.dbmate = [programs["dbmate"], "--url", url, "--migrations-dir", self.migrator.folder, "--no-dump-schema",
                       "migrate"]

    def run(self, *command, **options):
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)
        assert done.returncode == 0, done.stderr

    def run_client(self):
        with self.all.open() as text:
            self.run(*self.server.client(DATABASE), stdin=text)

    def run_dbmate(self):
        self.run(*self.dbmate)

    def run_releasemgr(self):
        self.run(*self.migrator.command("apply", f"--folder={self.migrator.folder}"))

    def contestants(self):
        return {"mariadb < all.sql": self.run_client, "dbmate": self.run_dbmate, "releasemgr": self.run_releasemgr}


def measure_runs(contest, rounds):
    """One of each in every round, each on an empty database; and all of them must reach the same."""
    samples, dumps = {name: [] for name in contest.contestants()}, set()
    for _ in range(rounds):
        for name, run in contest.contestants().items():
            contest.server.create(DATABASE)
            samples[name].append(timed(run))
            if len(samples[name]) == 1:
                contest.server.feed("DROP TABLE IF EXISTS schema_migrations")
                dumps.add(contest.server.dump())
    assert len(dumps) == 1, "they do not reach the same"
    return samples


def count_round_trips(contest):
    """How often a run waits for the server, logging in included, without TLS. Its last packet is a goodbye, which
    nobody answers."""
    wire = Wire(contest.server.port)
    contest.migrator.configure(Host="127.0.0.1", Port=wire.port, Tls="off", TlsCaFile=None)
    contest.run_releasemgr()
    wire.close()
    contest.migrator.configure(Host=None, Port=None, Socket=contest.server.socket, TlsCaFile=None)
    return wire.packets - 1


def measure_nothing(contest, rounds):
    samples = {"dbmate": [], "releasemgr": []}
    for run, name in ((contest.run_dbmate, "dbmate"), (contest.run_releasemgr, "releasemgr")):
        contest.server.create(DATABASE)
        run()
        samples[name] = [timed(run) for _ in range(5 * rounds)]
    return samples


def show_runs(report, samples):
    for (place, kind), by_name in samples.items():
        ours = statistics.median(by_name["releasemgr"])
        for other, at_most in (("mariadb < all.sql", CLIENT_RATIO_AT_MOST), ("dbmate", DBMATE_RATIO_AT_MOST)):
            report.figure(f"{kind}, {place}, against {other}", ours / statistics.median(by_name[other]), "times",
                          at_most if place == "memory" else None)


def measure(programs, scratch, rounds):
    template = scratch / "template"
    make_template(template)
    samples = {}
    for place, home in PLACES.items():
        server = MariaDB(template, home, SIZES).start()
        try:
            for kind in KINDS if place == "memory" else KINDS_ON_DISK:
                contest = Contest(programs, server, scratch / place / kind, [KINDS[kind](n) for n in range(COUNT)])
                samples[place, kind] = measure_runs(contest, rounds)
            contest = Contest(programs, server, scratch / place / "known", [f"DO {n};" for n in range(KNOWN)])
            samples[place, "nothing"] = measure_nothing(contest, rounds)
            trips = count_round_trips(contest)
        finally:
            server.close()
    return samples, trips


def show(samples, trips):
    nothing = {place: samples.pop((place, "nothing")) for place in PLACES}
    show_samples({f"{kind}, {place}: {name}": seconds for (place, kind), by_name in samples.items()
                  for name, seconds in by_name.items()})
    show_samples({f"nothing to do, {place}: {name}": seconds for place, by_name in nothing.items()
                  for name, seconds in by_name.items()})
    report = Report()
    show_runs(report, samples)
    for place, by_name in nothing.items():
        report.figure(f"nothing to do, {KNOWN} known, {place}", statistics.median(by_name["releasemgr"]) * 1000, "ms",
                      NOTHING_MS_AT_MOST)
    report.figure("... round trips", trips, "", ROUND_TRIPS_AT_MOST)
    return report.end()


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run migrations", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build-dir", type=pathlib.Path, help="where to build; build-tests in the tree otherwise")
    options = parser.parse_args()
    builds = build.Builds(options.build_dir)
    programs = {"releasemgr": builds.install("gcc") / "usr/local/bin/releasemgr",
                "dbmate": dbmate(builds.directory / "cache")}
    with tempfile.TemporaryDirectory(prefix="releasemgr-bench-") as scratch:
        return show(*measure(programs, pathlib.Path(scratch), options.rounds))


if __name__ == "__main__":
    sys.exit(main())
