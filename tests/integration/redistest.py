# SPDX-License-Identifier: Apache-2.0
"""Redis servers of a test's own, on loopback: primaries, replicas and Sentinels."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile

import cresstest

PASSWORD = "redistest"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A redis-server that is killed, paused, and comes back on its port with its data."""

    sentinel = False

    def __init__(self, *settings, port=None):
        self.port = port or free_port()
        self.folder = tempfile.mkdtemp(prefix="redistest-")
        self.config = os.path.join(self.folder, "redis.conf")
        with open(self.config, "w", encoding="ascii") as file:
            file.write("\n".join(("port %d" % self.port, "bind 127.0.0.1", "dir " + self.folder,
                                  'save ""', *settings)) + "\n")
        self.process = None
        self.start()

    @property
    def url(self):
        return "redis://:%s@127.0.0.1:%d/0" % (PASSWORD, self.port)

    def start(self):
        name = "redis-sentinel" if self.sentinel else "redis-server"
        # redis-tools has the server too, which goes by what it is called
        program = shutil.which(name) or shutil.which("redis-check-rdb")
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen([name, self.config], executable=program,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        cresstest.wait_for(self.answers, "%s on port %d\n%s" % (name, self.port, self.log()))

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def answers(self):
        try:
            client = self.client()
        except (OSError, AssertionError):
            return False
        client.close()
        return True

    def client(self):
        return cresstest.Redis(self.url)

    def ask(self, *words):
        client = self.client()
        try:
            return client.command(*words)
        finally:
            client.close()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process.poll() is None:
            self.resume()
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Primary(Server):
    def __init__(self, *settings):
        super().__init__("requirepass " + PASSWORD, "masterauth " + PASSWORD, "appendonly yes",
                         "repl-diskless-sync yes", "repl-diskless-sync-delay 0",
                         "repl-ping-replica-period 1", *settings)


class Replica(Primary):
    def __init__(self, primary, *settings):
        super().__init__("replicaof 127.0.0.1 %d" % primary.port, *settings)
        cresstest.wait_for(self.linked, "the replica's link to its primary")

    def linked(self):
        role = self.ask("ROLE")
        return role[0] == "slave" and role[3] == "connected"


class Sentinel(Server):
    """One of `quorum` or more that watch a primary under the name "main"."""

    sentinel = True

    def __init__(self, primary, quorum, password=None, down_after_ms=500):
        self.password = password
        super().__init__("sentinel monitor main 127.0.0.1 %d %d" % (primary.port, quorum),
                         "sentinel auth-pass main " + PASSWORD,
                         "sentinel down-after-milliseconds main %d" % down_after_ms,
                         "sentinel failover-timeout main 3000",
                         *(["requirepass " + password] if password else []))

    @property
    def url(self):
        return "redis://%s127.0.0.1:%d" % (":%s@" % self.password if self.password else "", self.port)

    def knows(self, replicas, sentinels):
        """Whether it sees so many replicas and other Sentinels of the primary."""
        flat = self.ask("SENTINEL", "master", "main")
        found = dict(zip(flat[::2], flat[1::2]))
        return found["num-slaves"] == str(replicas) and found["num-other-sentinels"] == str(sentinels)


class Group:
    """A primary, a replica and three Sentinels that have found each other."""

    def __init__(self, password=None):
        self.primary = Primary()
        self.replica = Replica(self.primary)
        self.sentinels = [Sentinel(self.primary, 2, password) for _ in range(3)]
        for sentinel in self.sentinels:
            cresstest.wait_for(lambda s=sentinel: s.knows(1, 2), "the Sentinels to find each other")

    @property
    def url(self):
        return "sentinel://:%s@%s/main/0" % (
            PASSWORD, ",".join("127.0.0.1:%d" % sentinel.port for sentinel in self.sentinels))

    def close(self):
        for server in (*self.sentinels, self.replica, self.primary):
            server.close()
