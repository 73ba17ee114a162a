"""Clients that never let go of a service, inside a throwaway host.

    load.py CLIENTS HTTP-ADDRESS... -- ECHO-ADDRESS...

An address is HOST:PORT, [HOST]:PORT, or the path of a unix socket; CLIENTS of each kind are spread over the addresses of
their protocol. A line "expect VERSION" on standard input, answered by "ok", makes every answer of another version to what
was asked from then on a failure; "expect" alone ends that. At the end of the input it prints what the clients saw as JSON:
failures, the slowest request, and how many there were.
"""

import collections
import http.client
import json
import socket
import sys
import threading
import time

PAUSE = 0.02
TIMEOUT = 120

stop = threading.Event()
lock = threading.Lock()
failures = collections.Counter()
counts = collections.Counter()
slowest = collections.Counter()
expected = None


def connect(address):
    if address.startswith("/"):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(TIMEOUT)
        s.connect(address)
        return s
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=TIMEOUT)


class Connection(http.client.HTTPConnection):
    def __init__(self, address):
        super().__init__("localhost", timeout=TIMEOUT)
        self.address = address

    def connect(self):
        self.sock = connect(self.address)


def attempt(kind, ask):
    wanted, began, error = expected, time.monotonic(), None
    try:
        version = ask()
        if wanted and version != wanted:
            error = f"answered by {version} when only {wanted} was left"
    except Exception as e:  # whatever a client could complain about
        error = repr(e)
    took = time.monotonic() - began
    with lock:
        counts[kind] += 1
        slowest[kind] = max(slowest[kind], took)
        if error:
            failures[f"{kind}: {error}"] += 1
    stop.wait(PAUSE)


def ask_http(connection, close):
    connection.request("GET", "/", headers={"Connection": "close"} if close else {})
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise ValueError(f"{response.status} {body!r}")
    if response.getheader("Connection") == "close":
        connection.close()
    return json.loads(body)["version"]


def keep_alive(address):
    """http.client opens a connection again only where the server has said that it closes it, and after an error."""
    connection = Connection(address)

    def ask():
        try:
            return ask_http(connection, False)
        except Exception:
            connection.close()
            raise

    while not stop.is_set():
        attempt("keep-alive", ask)


def one_each(address):
    while not stop.is_set():
        connection = Connection(address)
        attempt("one-each", lambda: ask_http(connection, True))
        connection.close()


def ask_echo(address):
    with connect(address) as s:
        s.sendall(b"hello")
        version, _, text = s.recv(4096).partition(b" ")
        if text != b"hello":
            raise ValueError(f"{version!r} {text!r}")
        return version.decode()


def echo(address):
    while not stop.is_set():
        attempt("echo", lambda: ask_echo(address))


def main():
    global expected
    clients, split = int(sys.argv[1]), sys.argv.index("--")
    web, raw = sys.argv[2:split], sys.argv[split + 1:]
    work = [(run, web[n % len(web)]) for run in (keep_alive, one_each) for n in range(clients)]
    work += [(echo, address) for address in raw for _ in range(2)]
    threads = [threading.Thread(target=run, args=(address,)) for run, address in work]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    for line in sys.stdin:
        expected = line.split()[1] if len(line.split()) > 1 else None
        print("ok", flush=True)
    stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps({"failures": dict(failures), "requests": dict(counts), "slowest": dict(slowest)}))


main()
