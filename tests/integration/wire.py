"""Stands between a client and MariaDB (without TLS), counts the packets that the client sends, and does something at
one of them: so a test can be cut off at every boundary of a statement, one after the other."""

import socket
import threading


class Wire:
    """@before(n) is called with the number of each packet before it is sent on, and @after(n) before the first byte of
    what the server says next. Sent on is what @change(packet) returns, which is as long."""

    def __init__(self, port, before=lambda n: None, after=lambda n: None, change=lambda packet: packet):
        self.port_behind = port
        self.before = before
        self.after = after
        self.change = change
        self.packets = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = []
        self.pumps = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()
        self.cut()

    def join(self):
        """Waits until all that was sent has come through; the clients are gone."""
        for pump in self.pumps:
            pump.join()

    def cut(self):
        """Cuts all connections."""
        for s in self.connections:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.connections.clear()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.port_behind))
            except OSError:
                client.close()
                continue
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += [client, server]
            for pump in (self._upward, self._downward):
                thread = threading.Thread(target=pump, args=(client, server), daemon=True)
                thread.start()
                self.pumps.append(thread)

    def _upward(self, client, server):
        try:
            while header := _exactly(client, 4):
                body = _exactly(client, int.from_bytes(header[:3], "little"))
                with self.lock:
                    self.packets += 1
                    n = self.packets
                self.before(n)
                server.sendall(header + self.change(body))
        except OSError:
            pass
        _close(client, server)

    def _downward(self, client, server):
        answered = 0
        try:
            while data := server.recv(65536):
                if self.packets != answered:
                    answered = self.packets
                    self.after(answered)
                client.sendall(data)
        except OSError:
            pass
        _close(client, server)


def _exactly(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            return b""
        data += more
    return data


def _close(*sockets):
    for s in sockets:
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
