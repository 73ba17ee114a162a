"""The verbs of `releasemgr tuf` against a hostile server, and against tuf-js: with real requests, files and processes."""

import json
import pathlib
import shutil
import subprocess
import threading
import time

import pytest

from tuf_client import Client, at
from tuf_repository import Repository, Server

HERE = pathlib.Path(__file__).resolve().parent


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path)


@pytest.fixture
def server(repository):
    with Server(repository.files) as s:
        yield s


@pytest.fixture
def client(program, tmp_path, server, repository):
    c = Client(program, tmp_path, server.url)
    assert c.init(repository.root).returncode == 0
    assert server.requests == []
    return c


def version(client, role):
    return json.loads((client.metadata / f"{role}.json").read_bytes())["signed"]["version"]


def refused(done, says):
    assert done.returncode == 1, done
    assert says in done.stderr
    assert len(done.stderr.splitlines()) <= 3


# --- init ---


def test_init_keeps_the_bytes(client, repository):
    assert client.kept() == ["root.json"]
    assert (client.metadata / "root.json").read_bytes() == repository.root
    assert client.init(repository.root).returncode == 0  # again


@pytest.mark.parametrize("damage", [
    lambda root: b"{}", lambda root: root[:-1], lambda root: root.replace(b"2999", b"2998"),
    lambda root: json.dumps({**json.loads(root), "signatures": []}).encode()])
def test_init_refuses_a_bad_root(program, tmp_path, repository, damage):
    c = Client(program, tmp_path, "")
    refused(c.init(damage(repository.root)), "first-root.json")
    assert not c.metadata.exists()


def test_refresh_without_init(program, tmp_path, server):
    c = Client(program, tmp_path, server.url)
    refused(c.refresh(), "metadata")
    c.metadata.mkdir()
    refused(c.refresh(), "no trusted root.json")
    assert server.requests == []


# --- refresh ---


def test_refresh_asks_for_no_more_than_needed(client, server, repository):
    assert client.refresh().returncode == 0
    assert server.requests == ["metadata/2.root.json", "metadata/timestamp.json", "metadata/1.snapshot.json",
                               "metadata/1.targets.json"]
    assert client.kept() == ["root.json", "snapshot.json", "targets.json", "timestamp.json"]
    for name in ("snapshot", "targets"):
        assert (client.metadata / f"{name}.json").read_bytes() == repository.files[f"metadata/1.{name}.json"]
    assert (client.metadata / "timestamp.json").read_bytes() == repository.files["metadata/timestamp.json"]
    server.requests.clear()
    assert client.refresh().returncode == 0
    assert server.requests == ["metadata/2.root.json", "metadata/timestamp.json"]


def test_refresh_follows_the_roots(client, server, repository):
    repository.bump("root")
    repository.bump("root")
    assert client.refresh().returncode == 0
    assert (client.metadata / "root.json").read_bytes() == repository.files["metadata/3.root.json"]


def test_options_before_the_verb(client):
    """The order in which the public conformance suite calls its clients."""
    done = client.run("--metadata-url", f"{client.url}/metadata", "--metadata-dir", str(client.metadata), "refresh")
    assert done.returncode == 0, done.stderr
    assert client.kept() == ["root.json", "snapshot.json", "targets.json", "timestamp.json"]


def test_at_another_time(client, repository):
    """As conformance tests set the clock: with a library before libc that moves every clock, so that no timer of the loop
    ever fires. Nothing that goes well waits for one."""
    program, = client.command
    repository.signed["timestamp"]["expires"] = "2031-01-01T00:00:00Z"
    repository.add("a", b"content")
    repository.publish()
    client.command = at(program, "2030-12-31 23:00:00+00:00")
    assert client.refresh().returncode == 0
    assert client.download("a").returncode == 0
    client.command = at(program, "2031-01-01 01:00:00+00:00")
    refused(client.refresh(), "expired")
    assert client.downloaded() == {"a": b"content"}


def test_403_ends_the_chain_of_roots(client, server):
    server.special["metadata/2.root.json"] = lambda handler: handler.send_error(403)
    assert client.refresh().returncode == 0


def test_500_does_not_end_the_chain_of_roots(client, server):
    server.special["metadata/2.root.json"] = lambda handler: handler.send_error(501)
    assert client.refresh().returncode == 1
    assert client.kept() == ["root.json"]


def test_not_consistent(program, tmp_path):
    repository = Repository(tmp_path, consistent=False)
    repository.add("app/a.tar", b"content")
    repository.publish()
    with Server(repository.files) as server:
        c = Client(program, tmp_path, server.url)
        assert c.init(repository.root).returncode == 0
        assert c.download("app/a.tar").returncode == 0
        assert server.requests == ["metadata/2.root.json", "metadata/timestamp.json", "metadata/snapshot.json",
                                   "metadata/targets.json", "targets/app/a.tar"]
        assert c.downloaded() == {"app%2Fa.tar": b"content"}


def test_from_files(client, tmp_path, repository):
    repository.add("a", b"content")
    repository.publish()
    for name, content in repository.files.items():
        file = tmp_path / "mirror" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    client.url = f"file://{tmp_path}/mirror"
    assert client.download("a").returncode == 0
    assert client.downloaded() == {"a": b"content"}


@pytest.mark.parametrize("role", ["timestamp", "1.snapshot", "1.targets"])
def test_altered_metadata(client, repository, role):
    name = f"metadata/{role}.json"
    repository.files[name] = repository.files[name].replace(b"2999", b"2998")
    refused(client.refresh(), f"{role.split('.')[-1]}.json")
    assert f"{role.split('.')[-1]}.json" not in client.kept()


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("name", ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"])
def test_endless_body(client, server, name, declared):
    sent = []

    def endless(handler):
        handler.send_response(200)
        handler.send_header(*(("Content-Length", str(1 << 40)) if declared else ("X-None", "1")))
        handler.end_headers()
        try:
            while sum(sent) < 1 << 30:
                sent.append(handler.wfile.write(b" " * 65536))
        except OSError:
            pass
        handler.close_connection = True

    server.special[f"metadata/{name}"] = endless
    before = client.kept()
    refused(client.refresh(), "longer than")
    assert sum(sent) < 32 << 20  # what the kernel's buffers take, and no more
    assert name.split(".", 1)[-1] not in set(client.kept()) - set(before)


@pytest.mark.parametrize("name", ["timestamp.json", "1.targets.json"])
def test_slow_body(client, server, repository, name):
    """A byte now and then, for ever, is given up, and nothing of it is kept."""
    over = threading.Event()

    def slow(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "10000")
        handler.end_headers()
        try:
            while not over.wait(1):
                handler.wfile.write(b" ")
                handler.wfile.flush()
        except OSError:
            pass
        handler.close_connection = True

    server.special[f"metadata/{name}"] = slow
    before = client.kept()
    try:
        refused(client.refresh("--stall-timeout", "2s"), "stalled")
    finally:
        over.set()
    assert name.split(".", 1)[-1] not in set(client.kept()) - set(before)


@pytest.mark.parametrize("role, name", [("root", "2.root"), ("timestamp", "timestamp"), ("snapshot", "1.snapshot"),
                                        ("targets", "1.targets")])
def test_limits_can_be_set(client, repository, role, name):
    if role == "root":
        repository.signed["root"]["note"] = "longer than the one that is trusted already"
        repository.bump("root")
    size = len(repository.files[f"metadata/{name}.json"])
    done = client.refresh(f"--{role}-max", str(size - 1))
    refused(done, f"longer than the {size - 1} bytes")
    assert f"{role}.json" not in client.kept() or (client.metadata / "root.json").read_bytes() == repository.root
    assert client.refresh(f"--{role}-max", str(size)).returncode == 0


@pytest.mark.parametrize("limit", ["0", "-1", "many", "99999999999"])
def test_limits_that_are_none(client, server, limit):
    refused(client.refresh(f"--targets-max={limit}"), "--targets-max")
    assert server.requests == []


def test_redirect_elsewhere(client, server, repository):
    def elsewhere(handler):
        handler.send_response(302)
        handler.send_header("Location", f"{server.url}/elsewhere/timestamp.json")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    repository.files["elsewhere/timestamp.json"] = repository.files["metadata/timestamp.json"]
    server.special["metadata/timestamp.json"] = elsewhere
    assert client.refresh().returncode == 1
    assert "elsewhere/timestamp.json" not in server.requests
    assert client.kept() == ["root.json"]


@pytest.mark.parametrize("path", ["2.root", "timestamp", "1.snapshot", "1.targets"])
def test_two_at_once(client, server, repository, path):
    """Two refresh the same directory: one waits for the other, and then sees what is newer, and nothing goes back."""
    repository.bump("root")
    slow, second = repository.files[f"metadata/{path}.json"], []

    def overtaken(handler):
        server.special.clear()
        repository.bump("root", "targets", "snapshot", "timestamp")
        server.requests.clear()
        second.append(threading.Thread(target=lambda: second.append(client.refresh())))
        second[0].start()
        time.sleep(1)  # for it to do something wrong in
        assert server.requests == []
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(slow)))
        handler.end_headers()
        handler.wfile.write(slow)

    server.special[f"metadata/{path}.json"] = overtaken
    done = client.refresh()
    assert done.returncode == 0, done.stderr
    second[0].join()
    assert second[1].returncode == 0, second[1].stderr
    assert {name: version(client, name) for name in ("root", "timestamp", "snapshot", "targets")} == {
        "root": 3, "timestamp": 2, "snapshot": 2, "targets": 2}


def test_search_that_is_overtaken(client, server, repository, tmp_path):
    """What a search brings by older metadata does not replace what another process has brought meanwhile."""
    repository.delegate("team", ["*"], tmp_path)
    repository.add("a", b"content", "team")
    repository.publish()
    slow = [name for name in repository.files if name.startswith("targets/") and name.endswith(".a")][0]
    repository.delegate("other", ["b"], tmp_path)
    repository.add("b", b"content", "other")
    repository.publish()

    def overtaken(handler):
        server.special.clear()
        repository.bump("other", "snapshot", "timestamp")
        assert client.download("b").returncode == 0
        handler.send_response(200)
        handler.send_header("Content-Length", "7")
        handler.end_headers()
        handler.wfile.write(b"content")

    server.special[slow] = overtaken
    done = client.download("a", "b")
    assert done.returncode == 0, done.stderr
    assert version(client, "other") == 2
    assert client.downloaded() == {"a": b"content", "b": b"content"}


def test_a_copy_that_is_not_believed_is_replaced(client, server, repository):
    for name in ("timestamp", "snapshot", "targets"):
        (client.metadata / f"{name}.json").write_text('{"signed": {"version": 999}, "signatures": []}')
    assert client.refresh().returncode == 0
    for name in ("1.snapshot", "1.targets", "timestamp"):
        kept = client.metadata / f"{name.split('.')[-1]}.json"
        assert kept.read_bytes() == repository.files[f"metadata/{name}.json"]


def test_what_a_killed_one_left_goes(client):
    (client.metadata / ".#timestamp.json.0123456789abcdef").write_text("half")
    assert client.refresh().returncode == 0
    assert client.kept() == ["root.json", "snapshot.json", "targets.json", "timestamp.json"]


def test_nobody_there(client):
    client.url = "http://127.0.0.1:1"
    assert client.refresh().returncode == 1
    assert client.kept() == ["root.json"]


# --- download ---


def test_download(client, server, repository):
    repository.add("app/1.0/a.tar", b"content")
    repository.publish()
    name = next(name for name in repository.files if name.startswith("targets/"))
    assert client.download("app/1.0/a.tar").returncode == 0
    assert server.requests[-1] == name
    assert client.downloaded() == {"app%2F1.0%2Fa.tar": b"content"}
    server.requests.clear()
    assert client.download("app/1.0/a.tar").returncode == 0
    assert server.requests == ["metadata/2.root.json", "metadata/timestamp.json"]  # it is here already

    repository.add("app/1.0/a.tar", b"another")
    repository.add("b", b"")
    repository.bump("targets", "snapshot", "timestamp")
    assert client.download("app/1.0/a.tar", "b").returncode == 0
    assert client.downloaded() == {"app%2F1.0%2Fa.tar": b"another", "b": b""}


@pytest.mark.parametrize("wrong", [b"Content", b"conten", b"content and more", b""])
def test_download_of_other_bytes(client, repository, wrong):
    repository.add("a", b"content")
    repository.publish()
    name = next(name for name in repository.files if name.startswith("targets/"))
    repository.files[name] = wrong
    refused(client.download("a"), "a is not the file that is signed")
    assert client.downloaded() == {}


def test_download_keeps_the_old_file(client, repository):
    repository.add("a", b"content")
    repository.publish()
    assert client.download("a").returncode == 0
    repository.add("a", b"newer!!")
    repository.bump("targets", "snapshot", "timestamp")
    for name in repository.files:
        if name.startswith("targets/"):
            repository.files[name] = b"malware"
    assert client.download("a").returncode == 1
    assert client.downloaded() == {"a": b"content"}


@pytest.mark.parametrize("beside", [True, False])
def test_download_over_an_old_file(client, repository, tmp_path, beside):
    """It is replaced in one step; where nothing can be linked beside the target directory, in two."""
    repository.add("a", b"content")
    repository.publish()
    assert client.download("a").returncode == 0
    repository.add("a", b"newer!!")
    repository.bump("targets", "snapshot", "timestamp")
    before = {path.name for path in tmp_path.iterdir()}
    calls = traced(client, tmp_path, "linkat,unlinkat,renameat", *([] if beside else ["-e", "inject=linkat:error=EXDEV:when=2"]))
    done = client.download("a")
    assert done.returncode == 0, done.stderr
    assert client.downloaded() == {"a": b"newer!!"}
    assert ("unlinkat" in calls(), "renameat" in calls()) == (not beside, beside)
    assert {path.name for path in tmp_path.iterdir()} - before <= {"trace", "program"}


def test_download_of_what_is_not_there(client, server):
    refused(client.download("nothing"), "no target nothing")
    assert [r for r in server.requests if r.startswith("targets/")] == []
    assert client.kept() == ["root.json", "snapshot.json", "targets.json", "timestamp.json"]


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "a b#?%41+é.tar", "x/../../y", "-rf", "..", "."])
def test_target_names(client, repository, tmp_path, name):
    before = {p for p in tmp_path.rglob("*") if "metadata" not in p.parts and client.targets not in p.parents}
    repository.add(name, b"content")
    repository.publish()
    assert client.download(name).returncode == 0
    assert list(client.downloaded().values()) == [b"content"]
    assert {p for p in tmp_path.rglob("*") if "metadata" not in p.parts and client.targets not in p.parents} == before


def traced(client, tmp_path, calls, *more):
    """From now on @client runs below strace(1), which writes down what it does with the target directory."""
    trace, wrapper = tmp_path / "trace", tmp_path / "program"
    words = " ".join(["-e", f"trace={calls}", "-P", str(client.targets), *more])
    wrapper.write_text(f"""#!/bin/sh
export ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0"
exec strace -f -o {trace} {words} {client.command[0]} "$@"
""")
    wrapper.chmod(0o755)
    client.command = [wrapper]
    return trace.read_text


def test_without_nameless_files(client, repository, tmp_path):
    """Where the file system has no O_TMPFILE, what is not verified lies beside the target directory, not in it."""
    repository.add("a", b"content")
    repository.add("b", b"other")
    repository.publish()
    repository.files.update({path: b"malware" for path in repository.files if path.endswith(".b")})
    before = {path.name for path in tmp_path.iterdir()}
    calls = traced(client, tmp_path, "openat,linkat,renameat", "-e", "inject=openat:error=EOPNOTSUPP:when=3")
    done = client.download("a")
    assert "INJECTED" in calls() and "renameat" in calls() and "linkat" not in calls(), calls()
    assert done.returncode == 0, done.stderr
    assert client.downloaded() == {"a": b"content"}
    refused(client.download("b"), "b is not the file that is signed")
    assert client.downloaded() == {"a": b"content"}
    assert {path.name for path in tmp_path.iterdir()} - before <= {"trace", "program"}


@pytest.mark.parametrize("role, quoted", [("?", "%3F"), ("#", "%23"), ("/delegatedrole", "%2Fdelegatedrole"),
                                          ("../delegatedrole", "..%2Fdelegatedrole")])
def test_role_names(client, server, repository, tmp_path, role, quoted):
    repository.delegate(role, ["*"], tmp_path)
    repository.add("a", b"content", role)
    repository.publish()
    assert client.download("a").returncode == 0
    assert f"metadata/1.{quoted}.json" in server.requests
    assert client.kept() == sorted([f"{quoted}.json", "root.json", "snapshot.json", "targets.json", "timestamp.json"])
    assert not (tmp_path / "delegatedrole.json").exists()


# --- another implementation ---


@pytest.fixture(scope="session")
def tuf_js(npm):
    """tuf-js and its test repositories."""
    return npm("tuf-js")


def test_accepts_the_repositories_of_tuf_js(program, tmp_path, tuf_js):
    subprocess.run(["node", str(tuf_js / "repository.js"), str(tmp_path), "a.tar=content", "dir/b.tar=more"], check=True)
    files = {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    shutil.rmtree(tmp_path / "metadata")
    shutil.rmtree(tmp_path / "targets")
    with Server(files) as server:
        c = Client(program, tmp_path, server.url)
        assert c.init(files["root.json"]).returncode == 0
        done = c.download("a.tar", "dir/b.tar")
        assert done.returncode == 0, done.stderr
        assert c.downloaded() == {"a.tar": b"content", "dir%2Fb.tar": b"more"}


@pytest.mark.parametrize("key_type", ["ed25519", "ecdsa-p256", "rsa-pss"])
def test_tuf_js_accepts_our_repositories(program, tmp_path, tuf_js, key_type):
    tree, repository = tmp_path / "tree", tmp_path / "repository"
    metadata, targets = tmp_path / "metadata", tmp_path / "targets"
    for directory in (tree, metadata, targets):
        directory.mkdir()
    (tree / "hello").write_text("hello\n")
    repo = [program, "repo"], ["--app=shop", f"--repo={repository}"]
    for verb in (["init", f"--key-type={key_type}"], ["publish", str(tree), "--version=1.0.0"], ["rotate", "online"], ["refresh"]):
        subprocess.run([*repo[0], *verb, *repo[1]], check=True, stdin=subprocess.DEVNULL)
    files = {str(p.relative_to(repository)): p.read_bytes() for p in repository.rglob("*") if p.is_file()}
    (metadata / "root.json").write_bytes(files["metadata/1.root.json"])
    name = "shop/1.0.0/shop-1.0.0.tar.zst"
    with Server(files) as server:
        subprocess.run(["node", str(tuf_js / "client.js"), str(metadata), str(targets), server.url, name], check=True, timeout=300)
        c = Client(program, tmp_path / "ours", server.url)
        assert c.init(files["metadata/1.root.json"]).returncode == 0
        assert c.download(name).returncode == 0
    assert list(c.downloaded().values()) == [file.read_bytes() for file in targets.iterdir()]
    assert json.loads((metadata / "root.json").read_bytes())["signed"]["version"] == 2
