"""A proxy that makes a server seem far away: what a client says reaches it so many milliseconds later; or only what it
says first, as if the rest of a connection's life were near.

    slow.py LISTEN-PORT SERVER-PORT MILLISECONDS question|connection
"""

import os
import socket
import sys
import threading
import time

listen, server, delay = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) / 1000
each = sys.argv[4] == "question"


def upward(client, upstream):
    wait = delay
    try:
        while data := client.recv(65536):
            time.sleep(wait)
            wait = delay if each else 0
            upstream.sendall(data)
        upstream.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def downward(client, upstream):
    """Moved in the kernel, so that the proxy takes next to no processor time from what is measured."""
    read, write = os.pipe()
    try:
        while n := os.splice(upstream.fileno(), write, 1 << 20):
            while n > 0:
                n -= os.splice(read, client.fileno(), n)
    except OSError:
        pass
    for end in (read, write):
        os.close(end)
    for s in (client, upstream):
        s.close()


def serve():
    with socket.create_server(("127.0.0.1", listen)) as listener:
        while True:
            client, _ = listener.accept()
            upstream = socket.create_connection(("127.0.0.1", server))
            for s in (client, upstream):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=upward, args=(client, upstream), daemon=True).start()
            threading.Thread(target=downward, args=(client, upstream), daemon=True).start()


serve()
