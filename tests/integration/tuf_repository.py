"""A TUF repository that a test edits as it likes, signed with openssl, and the server that gives it away.

It shares no code with releasemgr, so that the two agree because the specification says so.
"""

import hashlib
import http.server
import json
import pathlib
import subprocess
import threading
import urllib.parse


class Key:
    def __init__(self, directory, name):
        self.path = pathlib.Path(directory) / f"{name}.pem"
        openssl = lambda *arguments, **more: subprocess.run(["openssl", *arguments], check=True, capture_output=True, **more).stdout
        openssl("genpkey", "-algorithm", "ed25519", "-out", str(self.path))
        raw = openssl("pkey", "-in", str(self.path), "-pubout", "-outform", "DER")[-32:]
        self.object = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": raw.hex()}}
        self.id = hashlib.sha256(canonical(self.object)).hexdigest()

    def sign(self, data):
        message = self.path.with_suffix(".message")
        message.write_bytes(data)
        signature = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-in", str(message), "-inkey", str(self.path)],
                                   check=True, capture_output=True).stdout
        return {"keyid": self.id, "sig": signature.hex()}


def canonical(value):
    """Good for text without quotes and backslashes, which is all that is signed here."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def described(data, version=None):
    entry = {"length": len(data), "hashes": {"sha256": hashlib.sha256(data).hexdigest()}}
    return {"version": version, **entry} if version else entry


class Repository:
    """Roles as dictionaries; publish() signs them all and fills @files, by the path that a client asks for."""

    def __init__(self, directory, consistent=True):
        names = ["root", "timestamp", "snapshot", "targets"]
        self.keys = {name: Key(directory, name) for name in names}
        self.contents = {}
        self.files = {}
        self.signed = {name: {"_type": name, "spec_version": "1.0.34", "version": 1, "expires": "2999-01-01T00:00:00Z"}
                       for name in names}
        self.signed["root"].update(
            consistent_snapshot=consistent, keys={key.id: key.object for key in self.keys.values()},
            roles={name: {"keyids": [key.id], "threshold": 1} for name, key in self.keys.items()})
        self.signed["targets"]["targets"] = {}
        self.publish()
        self.root = self.files["metadata/1.root.json"]

    def delegate(self, role, paths, directory):
        key = self.keys[role] = Key(directory, hashlib.sha256(role.encode()).hexdigest())
        self.signed[role] = {**self.signed["targets"], "version": 1, "targets": {}}
        self.signed[role].pop("delegations", None)
        delegations = self.signed["targets"].setdefault("delegations", {"keys": {}, "roles": []})
        delegations["keys"][key.id] = key.object
        delegations["roles"].append({"name": role, "keyids": [key.id], "threshold": 1, "paths": paths, "terminating": False})

    def add(self, name, content, role="targets"):
        self.signed[role]["targets"][name] = described(content)
        self.contents[name] = content

    def _put(self, role, versioned):
        data = json.dumps({"signed": self.signed[role], "signatures": [self.keys[role].sign(canonical(self.signed[role]))]}).encode()
        prefix = f"{self.signed[role]['version']}." if versioned else ""
        self.files[f"metadata/{prefix}{urllib.parse.quote(role, '')}.json"] = data
        return data

    def publish(self):
        consistent = self.signed["root"]["consistent_snapshot"]
        meta = {}
        for role in self.signed:
            if role not in ("root", "timestamp", "snapshot"):
                meta[f"{role}.json"] = described(self._put(role, consistent), self.signed[role]["version"])
        self.signed["snapshot"]["meta"] = meta
        snapshot = self._put("snapshot", consistent)
        self.signed["timestamp"]["meta"] = {"snapshot.json": described(snapshot, self.signed["snapshot"]["version"])}
        self._put("timestamp", False)
        self._put("root", True)
        for name, content in self.contents.items():
            directory, slash, base = name.rpartition("/")
            prefix = f"{hashlib.sha256(content).hexdigest()}." if consistent else ""
            self.files[f"targets/{directory}{slash}{prefix}{base}"] = content

    def bump(self, *roles):
        for role in roles:
            self.signed[role]["version"] += 1
        self.publish()


class Server:
    """Serves @files, and writes down what was asked for. @special answers some paths by a function of the handler."""

    def __init__(self, files):
        self.files, self.special, self.requests = files, {}, []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.lstrip("/")
                server.requests.append(path)
                # as a static host does: the path names a file once it is unquoted, but metadata is kept by quoted names
                content = server.files.get(path, server.files.get(urllib.parse.unquote(path)))
                if path in server.special:
                    server.special[path](self)
                elif content is None:
                    self.send_error(404)
                else:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
