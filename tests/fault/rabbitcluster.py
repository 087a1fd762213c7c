# SPDX-License-Identifier: Apache-2.0
"""Three RabbitMQ nodes of a test's own, clustered on loopback."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile

import cresstest

BIN = "/usr/lib/rabbitmq/bin/"
NAMES = ("a", "b", "c")
PASSWORD = "clustertest"

CONFIG = """[{rabbit, [{tcp_listeners, [{"127.0.0.1", %(port)d}]},
           {default_user, <<"cress">>}, {default_pass, <<"%(password)s">>},
           {cluster_nodes, {[%(nodes)s], disc}},
           {cluster_formation, [{discovery_retry_limit, 60}, {discovery_retry_interval, 500}]},
           {cluster_partition_handling, pause_minority},
           {disk_free_limit, 50000000}]},
 {ra, [{wal_max_size_bytes, 33554432}]},
 {kernel, [{net_ticktime, 8}]}].
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Node:
    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, "cress-%s@localhost" % name
        self.port, self.dist_port = free_port(), free_port()
        self.folder = os.path.join(cluster.folder, name)
        self.process = None

    def environment(self):
        home = self.folder
        return dict(
            os.environ, HOME=self.cluster.folder, LC_ALL="C.UTF-8", ERL_EPMD_ADDRESS="127.0.0.1",
            ERL_EPMD_PORT=str(self.cluster.epmd_port), ERL_FLAGS="-start_epmd false",
            RABBITMQ_NODENAME=self.name, RABBITMQ_DIST_PORT=str(self.dist_port),
            RABBITMQ_CONF_ENV_FILE=home + "/none.conf", RABBITMQ_CONFIG_FILE=home + "/rabbitmq.conf",
            RABBITMQ_CONFIG_FILES=home + "/conf.d", RABBITMQ_ADVANCED_CONFIG_FILE=home + "/advanced.config",
            RABBITMQ_ENABLED_PLUGINS_FILE=home + "/plugins", RABBITMQ_MNESIA_BASE=home + "/mnesia",
            RABBITMQ_LOG_BASE=home + "/log", RABBITMQ_LOGS="-", RABBITMQ_PID_FILE=home + "/pid",
            RABBITMQ_SCHEDULER_BIND_TYPE="u", RABBITMQ_SCHEDULER_BUSY_WAIT_THRESHOLD="none",
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}",
            RUNNING_UNDER_SYSTEMD="true")

    def start(self):
        os.makedirs(self.folder, exist_ok=True)
        with open(self.folder + "/advanced.config", "w", encoding="ascii") as file:
            file.write(CONFIG % {"port": self.port, "password": PASSWORD,
                                 "nodes": ", ".join("'%s'" % node.name for node in self.cluster.nodes)})
        with open(self.folder + "/output", "ab") as log:
            self.process = subprocess.Popen([BIN + "rabbitmq-server"], env=self.environment(), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, start_new_session=True)

    def log(self):
        with open(self.folder + "/output", encoding="utf-8", errors="replace") as file:
            return file.read()

    def answers(self):
        """Listeners are opened last: who answers here has joined."""
        if self.process.poll() is not None:
            raise AssertionError("%s has ended:\n%s" % (self.name, self.log()[-3000:]))
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
                client.sendall(b"AMQP\0\0\x09\x01")
                return client.recv(1) == b"\x01"
        except OSError:
            return False

    def control(self, *arguments):
        done = subprocess.run([BIN + "rabbitmqctl", "-q", *arguments], env=self.environment(), capture_output=True,
                              text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise AssertionError("rabbitmqctl %s: %s" % (" ".join(arguments), done.stderr))
        return done.stdout

    def leads(self, queue):
        """Whether the leader of `queue` is here."""
        name = self.control("eval", "{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"%s\">>)), "
                            "{_, Node} = amqqueue:get_pid(Q), Node." % queue)
        return self.name in name

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Cluster:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="rabbitcluster-")
        self.epmd_port = free_port()
        with open(os.path.join(self.folder, ".erlang.cookie"), "w", encoding="ascii") as file:
            file.write("CRESSTESTCOOKIE")
        os.chmod(file.name, 0o400)
        self.epmd = subprocess.Popen(["epmd", "-address", "127.0.0.1", "-port", str(self.epmd_port)],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.nodes = [Node(self, name) for name in NAMES]
        for node in self.nodes:
            node.start()
        try:
            self.wait_up()
        except BaseException:
            self.close()
            raise

    def wait_up(self):
        for node in self.nodes:
            cresstest.wait_for(node.answers, "%s to answer" % node.name, 120, 0.1)

    @property
    def url(self):
        return "amqp://cress:%s@%s" % (PASSWORD, ",".join("127.0.0.1:%d" % node.port for node in self.nodes))

    def node_url(self, node):
        return "amqp://cress:%s@127.0.0.1:%d" % (PASSWORD, node.port)

    def describe(self):
        """What each node that answers says of the queues and of itself, for a test that has failed."""
        for node in self.nodes:
            if node.process.poll() is None:
                for question in (("list_queues", "name", "leader", "online", "messages_ready",
                                  "messages_unacknowledged", "consumers", "state"), ("list_channels", "connection", "messages_unconfirmed", "messages_unacknowledged", "consumer_count"),
                                 ("list_connections", "name", "state")):
                    with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
                        print("%s %s:\n%s" % (node.name, question[0], node.control(*question)))
                print("the end of its log:\n" + node.log()[-2000:])

    def close(self):
        for node in self.nodes:
            if node.process.poll() is None:
                node.kill()
        self.epmd.kill()
        self.epmd.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
