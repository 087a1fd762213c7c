# SPDX-License-Identifier: Apache-2.0
"""A TCP relay in front of a server: the network between two programs, which can be cut and healed."""

import contextlib
import socket
import struct
import threading


class Relay:
    """Listens on .port of loopback and passes everything on. After cut() both sides of each connection are reset and
    new ones, too; after silence() bytes are held back, as by a network that drops packets; heal() ends both."""

    def __init__(self, port):
        self.target = port
        self.flow = threading.Event()
        self.flow.set()
        self.is_cut = False
        self.lock = threading.Lock()
        self.sockets = set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return  # closed
            with self.lock:
                self.sockets.add(client)
            threading.Thread(target=self.connect, args=(client,), daemon=True).start()

    def connect(self, client):
        self.flow.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=10)
        except OSError:
            reset(client)
            return
        server.settimeout(None)
        with self.lock:
            self.sockets |= {client, server}
            is_cut = self.is_cut
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()
        if is_cut:
            self.reset_all()

    def pump(self, source, sink):
        try:
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := source.recv(1 << 16):
                self.flow.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            reset(source)
            reset(sink)
        with self.lock:
            self.sockets.discard(source)

    def reset_all(self):
        with self.lock:
            sockets, self.sockets = self.sockets, set()
        for end in sockets:
            reset(end)

    def cut(self):
        self.is_cut = True
        self.flow.set()
        self.reset_all()

    def silence(self):
        self.flow.clear()

    def heal(self):
        self.is_cut = False
        self.flow.set()

    def close(self):
        self.listener.close()
        self.cut()


def reset(end):
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)  # wakes whoever reads from it
    end.close()
