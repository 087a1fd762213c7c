# SPDX-License-Identifier: Apache-2.0
"""store.url by Sentinel, and store.read_url: whose server is asked for what."""

import re
import unittest

import cresstest
import redistest
from cresstest import http, unique, wait_for


class StoreServersTest(cresstest.TestCase):
    def own(self, server):
        self.addCleanup(server.close)
        return server

    def gateway(self, **environment):
        program = self.start("cress-gateway", "--listen", "127.0.0.1:0", **environment)
        program.wait_log("ready on http://")
        self.url = re.search(r"ready on (http://\S+)", program.log()).group(1)
        wait_for(lambda: http("GET", self.url + "/readyz").status == 200, "the gateway to be ready")
        return program

    def submit(self, **more):
        answer = http("POST", self.url + "/v1/jobs", dict({"task": "cress.noop", "queue": "default"}, **more))
        self.assertEqual(answer.status, 202, answer.body)
        return answer.json()["id"]

    def status(self, job, query=""):
        return http("GET", self.url + "/v1/jobs/" + job + query)

    def gets(self, server):
        """How many records the server has been asked for."""
        found = re.search(r"cmdstat_hgetall:calls=(\d+)", server.ask("INFO", "commandstats"))
        return int(found.group(1)) if found else 0

    # --- Sentinel ---

    def test_the_primary_is_found_by_sentinel_and_again_after_a_failover(self):
        group = self.own(redistest.Group())
        self.gateway(CRESS_STORE_URL=group.url)
        job = self.submit()
        self.assertEqual(group.primary.ask("EXISTS", "cress:job:" + job), 1)
        wait_for(lambda: group.replica.ask("EXISTS", "cress:job:" + job), "the record on the replica")
        group.primary.kill()
        answer = wait_for(lambda: (lambda a: a if a.status == 200 else None)(self.status(job)),
                          "the new primary to answer")
        self.assertEqual(answer.json()["id"], job)
        self.assertEqual(group.replica.ask("EXISTS", "cress:job:" + self.submit()), 1)

    @staticmethod
    def is_replica(server):
        try:
            return server.ask("ROLE")[0] == "slave"
        except OSError:  # it closes all connections when its role changes
            return False

    def test_a_demoted_primary_is_left(self):
        group = self.own(redistest.Group())
        self.gateway(CRESS_STORE_URL=group.url)
        self.submit()
        group.sentinels[0].ask("SENTINEL", "failover", "main")
        wait_for(lambda: self.is_replica(group.primary), "the primary to become a replica")
        job = unique("demoted")
        wait_for(lambda: http("POST", self.url + "/v1/jobs", {"task": "cress.noop", "id": job}).status == 202,
                 "a job to be taken")
        self.assertEqual(group.replica.ask("EXISTS", "cress:job:" + job), 1)

    def test_a_sentinel_that_wants_a_password_and_one_that_is_away(self):
        group = self.own(redistest.Group(password=redistest.PASSWORD))
        group.sentinels[0].kill()
        group.sentinels[1].pause()
        done = cresstest.run("cress", "doctor", CRESS_STORE_URL=group.url)
        self.assertIn("Redis", done.stdout)
        self.assertNotIn(redistest.PASSWORD, done.stdout + done.stderr)
        done = cresstest.run("cress", "enqueue", "cress.noop", CRESS_STORE_URL=group.url)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_an_unknown_master_is_named(self):
        group = self.own(redistest.Group())
        done = cresstest.run("cress", "status", "x", "--store-url", group.url.replace("/main", "/nain"),
                             "--connect-timeout", "1s")
        self.assertEqual(done.returncode, 69, done.stderr)
        self.assertIn("knows no master nain", done.stderr)

    def test_a_replica_is_no_store(self):
        primary = self.own(redistest.Primary())
        replica = self.own(redistest.Replica(primary))
        done = cresstest.run("cress", "status", "x", "--store-url", replica.url, "--connect-timeout", "1s")
        self.assertEqual(done.returncode, 69, done.stderr)
        self.assertIn("is a replica", done.stderr)

    # --- read_url ---

    def test_status_reads_go_to_the_replica_and_writes_to_the_primary(self):
        primary = self.own(redistest.Primary())
        replica = self.own(redistest.Replica(primary))
        self.gateway(CRESS_STORE_URL=primary.url, CRESS_STORE_READ_URL=replica.url)
        job = self.submit()
        wait_for(lambda: replica.ask("EXISTS", "cress:job:" + job), "the record on the replica")
        wait_for(lambda: self.status(job).status == 200 and self.gets(replica) > 0, "a read from the replica")
        at_primary = self.gets(primary)
        for _ in range(20):
            self.assertEqual(self.status(job).status, 200)
        self.assertEqual(self.gets(primary), at_primary)

    def test_a_record_that_the_replica_lacks_is_read_from_the_primary(self):
        primary = self.own(redistest.Primary())
        replica = self.own(redistest.Replica(primary))
        self.gateway(CRESS_STORE_URL=primary.url, CRESS_STORE_READ_URL=replica.url)
        job = self.submit()
        wait_for(lambda: self.status(job).status == 200 and self.gets(replica) > 0, "a read from the replica")
        replica.ask("REPLICAOF", "NO", "ONE")  # as if it lagged
        late = self.submit()
        self.assertEqual(self.status(late).status, 200)
        self.assertEqual(self.status("no-such-job").status, 404)
        self.assertEqual(replica.ask("EXISTS", "cress:job:" + late), 0)

    def test_a_replica_that_is_cut_off_or_away_is_not_read(self):
        primary = self.own(redistest.Primary())
        replica = self.own(redistest.Replica(primary))
        self.gateway(CRESS_STORE_URL=primary.url, CRESS_STORE_READ_URL=replica.url)
        job = self.submit()
        wait_for(lambda: self.status(job).status == 200 and self.gets(replica) > 0, "a read from the replica")
        replica.ask("REPLICAOF", "127.0.0.1", "1")  # nobody there: its link is down
        self.set_state(primary, job, "cancelled")
        wait_for(lambda: self.status(job).json()["state"] == "cancelled", "the primary to be read")
        replica.ask("REPLICAOF", "127.0.0.1", primary.port)
        before = self.gets(replica)
        wait_for(lambda: self.status(job).status == 200 and self.gets(replica) > before, "the replica to be read again")
        replica.kill()
        for _ in range(20):
            self.assertEqual(self.status(job).status, 200)
        replica.start()
        wait_for(lambda: self.status(job).status == 200 and self.gets(replica) > 0, "the replica to be read again")

    def test_a_paused_replica_delays_a_read_and_no_more(self):
        primary = self.own(redistest.Primary())
        replica = self.own(redistest.Replica(primary))
        self.gateway(CRESS_STORE_URL=primary.url, CRESS_STORE_READ_URL=replica.url,
                     CRESS_GATEWAY_BACKEND_TIMEOUT="500ms")
        job = self.submit()
        wait_for(lambda: self.status(job).status == 200 and self.gets(replica) > 0, "a read from the replica")
        replica.pause()
        self.assertEqual(self.status(job).status, 200)
        replica.resume()

    def test_a_long_poll_sees_the_change_whatever_the_replica_says(self):
        primary = self.own(redistest.Primary())
        replica = self.own(redistest.Replica(primary))
        self.gateway(CRESS_STORE_URL=primary.url, CRESS_STORE_READ_URL=replica.url)
        job = self.submit()
        wait_for(lambda: self.status(job).status == 200 and self.gets(replica) > 0, "a read from the replica")
        replica.ask("REPLICAOF", "NO", "ONE")  # it knows the job as queued, for ever
        self.set_state(primary, job, "cancelled")
        self.assertEqual(self.status(job, "?wait=20").json()["state"], "cancelled")

    def test_a_replica_chosen_by_sentinel(self):
        group = self.own(redistest.Group())
        self.gateway(CRESS_STORE_URL=group.url, CRESS_STORE_READ_URL=group.url)
        job = self.submit()
        wait_for(lambda: self.status(job).status == 200 and self.gets(group.replica) > 0, "a read from the replica")
        group.replica.kill()
        self.assertEqual(self.status(job).status, 200)
        at_primary = self.gets(group.primary)
        self.assertEqual(self.status(job).status, 200)
        self.assertGreater(self.gets(group.primary), at_primary)

    def set_state(self, server, job, state):
        packed = server.ask("HGET", "cress:job:" + job, "status").split(" ")
        packed[0], packed[1] = state, str(int(packed[1]) + 1)
        server.ask("HSET", "cress:job:" + job, "status", " ".join(packed))
        server.ask("PUBLISH", "cress:job:" + job, state)


if __name__ == "__main__":
    unittest.main()
