#!/usr/bin/python3
"""A web server that misbehaves as it is told, for the tests of fetch/. Prints its port, and ends with its standard input.

    /bytes/LENGTH?OPTION=VALUE&...      LENGTH bytes, the same ones for the same length
    /small/STATUS                       an answer with that status
    /redirect?to=ADDRESS                status 302
    /circle                             status 302, to itself
    /echo                               the request as it came: method, headers, body; X-Certificate says whether
                                        the client showed one
    /count?of=KEY                       "REQUESTS BYTES CONNECTIONS" since the start, of addresses with key=KEY
    /repository/...                     files below the directory given as first argument

Options of /bytes/:  key=K     counts it under K                 norange=1   ignores Range
                     cut=N     closes after N bytes of each body      cuts=N  ... the first N times only
                     stall=N   says nothing after N bytes        stalls=N    ... the first N times only
                     skip=N    stalls not, and has no such status, in the first N requests
                     lie=N     adds N to Content-Length          gzip=1      compresses, and says so
                     flip=N    another byte at N                 flips=N     ... the first N times only
                     change=N  other bytes from the second request on, with another ETag, but for the first N
                     status=N  answers with this status          times=N     ... the first N times only
                     after=S   with Retry-After: S               delay=MS    waits before each answer
                     drip=MS   a byte each so often              chunked=1   without a length
                     pace=MS   rests after each piece of its answer
                     shift=1   sends another part than it was asked for
                     close=N   the first answer ends after N bytes, headers and all
"""

import functools
import gzip
import http.server
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

SEEN = {}
LOCK = threading.Lock()
PIECE = 16384


@functools.lru_cache(1)
def period():
    return bytes((i * 2654435761 >> 13) & 255 for i in range(1 << 20))


def content(length):
    """Byte i is (i * 2654435761 >> 13) & 255, with i below 2**20; then it repeats."""
    return (period() * (length // (1 << 20) + 1))[:length]


class Cutter:
    """A file to write to that ends after @left bytes."""

    closed = False

    def __init__(self, file, left):
        self.file, self.left = file, left

    def write(self, data):
        self.file.write(data[:self.left])
        self.left -= len(data)
        if self.left <= 0:
            raise ConnectionAbortedError

    def flush(self):
        self.file.flush()

    def close(self):
        self.file.close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def setup(self):
        self.disable_nagle_algorithm = self.request.family != socket.AF_UNIX
        super().setup()
        self.fresh = True

    def count(self, key, requests=0, size=0, **more):
        with LOCK:
            seen = SEEN.setdefault(key, {"requests": 0, "bytes": 0, "connections": 0})
            seen["requests"] += requests
            seen["bytes"] += size
            for name, n in more.items():
                seen[name] = seen.get(name, 0) + n
            return dict(seen)

    def first(self, key, what, times):
        """Whether this is one of the first @times times of @what; always, where @times is not given."""
        return times is None or self.count(key, **{what: 1})[what] <= int(times)

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_GET(self):
        sent = self.body()
        address = urllib.parse.urlsplit(self.path)
        options = dict(urllib.parse.parse_qsl(address.query))
        kind, _, rest = address.path[1:].partition("/")
        if kind == "bytes":
            self.send_bytes(int(rest), options)
            self.wfile = getattr(self.wfile, "file", self.wfile)
        elif kind == "small":
            self.answer(int(rest), b"here it is\n")
        elif kind == "redirect":
            self.answer(302, b"elsewhere", Location=options["to"])
        elif kind == "circle":
            self.answer(302, Location="/circle")
        elif kind == "echo":
            peer = getattr(self.connection, "getpeercert", dict)()
            self.answer(200, f"{self.command} {self.path}\n{self.headers}".encode() + sent,
                        X_Certificate="shown" if peer else "none")
        elif kind == "count":
            seen = self.count(options["of"])
            self.answer(200, f"{seen['requests']} {seen['bytes']} {seen['connections']}".encode())
        elif kind == "repository":
            self.send_file(pathlib.Path(sys.argv[1]) / urllib.parse.unquote(rest))
        else:
            self.answer(404)

    do_PUT = do_POST = do_HEAD = do_GET

    def send_file(self, path):
        if not path.is_file():
            return self.answer(404)
        etag = f'"{path.stat().st_mtime_ns}"'
        if self.headers.get("If-None-Match") == etag:
            return self.answer(304, ETag=etag)
        return self.answer(200, path.read_bytes(), ETag=etag)

    def part(self, length, options):
        """The range that is asked for and honoured, or None."""
        asked = self.headers.get("Range", "")
        if not asked.startswith("bytes=") or "norange" in options:
            return None
        first, _, last = asked[6:].partition("-")
        return int(first), min(int(last or length - 1), length - 1)

    def send_bytes(self, length, options):
        key = options.get("key", "")
        requests = self.count(key, requests=1, connections=int(self.fresh))["requests"]
        self.fresh = False
        if "close" in options and self.first(key, "closes", 1):
            self.wfile = Cutter(self.wfile, int(options["close"]))
        time.sleep(int(options.get("delay", 0)) / 1000)
        late = requests > int(options.get("skip", 0))
        if "status" in options and late and self.first(key, "statuses", options.get("times")):
            more = {"Retry_After": options["after"]} if "after" in options else {}
            return self.answer(int(options["status"]), b"not now", **more)
        data = content(length)
        changed = "change" in options and requests > 1
        if changed:
            data = data[:int(options["change"])] + b"\0" * (length - int(options["change"]))
        if "flip" in options and self.first(key, "flips", options.get("flips")):
            at = int(options["flip"])
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
        return self.send_data(data, key, changed, options)

    def send_data(self, data, key, changed, options):
        part = self.part(len(data), options)
        if part and part[0] >= len(data):
            return self.answer(416, Content_Range=f"bytes */{len(data)}")
        total = len(data)
        if part:
            if "shift" in options:
                part = (part[0] + 1, part[1])
            data = data[part[0]:part[1] + 1]
        self.send_response(206 if part else 200)
        if part:
            total += int(options.get("lie", 0))
            self.send_header("Content-Range", f"bytes {part[0]}-{min(part[1], total - 1)}/{total}")
        if "gzip" in options:
            data = gzip.compress(data, 1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("ETag", '"two"' if changed else '"one"')
        if "chunked" in options:
            self.close_connection = True
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(data) + int(options.get("lie", 0))))
        self.end_headers()
        if self.command != "HEAD":
            self.send_pieces(data, key, options)

    def send_pieces(self, data, key, options):
        stop = None
        if "cut" in options and self.first(key, "cuts", options.get("cuts")):
            stop = int(options["cut"])
        stall = None
        late = self.count(key)["requests"] > int(options.get("skip", 0))
        if "stall" in options and late and self.first(key, "stalls", options.get("stalls")):
            stop = stall = int(options["stall"])
        piece = 1 if "drip" in options else PIECE
        view = memoryview(data)[:stop] if stop is not None else memoryview(data)
        try:
            for at in range(0, len(view), piece):
                self.wfile.write(view[at:at + piece])
                self.count(key, size=len(view[at:at + piece]))
                time.sleep(int(options.get("drip", options.get("pace", 0))) / 1000)
            self.wfile.flush()
            if stall is not None:
                time.sleep(30)
        except OSError:
            self.close_connection = True
        if stop is not None and stop < len(data) or "lie" in options:
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        pass


def serve_tls(directory):
    """A second port, with a certificate that only ca.pem vouches for; and whoever has key.pem may show it as well."""
    certificate, key = f"{directory}/ca.pem", f"{directory}/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_OPTIONAL
    tls = Server(("127.0.0.1", 0), Handler)
    tls.socket = context.wrap_socket(tls.socket, server_side=True)
    pathlib.Path(directory, "tls-port").write_text(str(tls.server_address[1]))
    threading.Thread(target=tls.serve_forever, daemon=True).start()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        class UnixServer(Server):
            address_family = socket.AF_UNIX

            def server_bind(self):
                self.socket.bind(self.server_address)
                self.server_name, self.server_port = "unix", 0

            def get_request(self):
                connection, _ = super().get_request()
                return connection, ("unix", 0)

        unix = UnixServer(sys.argv[2], Handler)
        threading.Thread(target=unix.serve_forever, daemon=True).start()
        serve_tls(sys.argv[1])
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    os._exit(0)
