#!/usr/bin/env python3
"""A dead metadata node is replaced, step by step as docs/operations.md says, while files are written and read."""

import json
import os
import shutil
import sys
import threading
import unittest

sys.dont_write_bytecode = True
from cluster import EXIT_FAILED, EXIT_TRY_AGAIN, Cluster, expect, free_ports, wait_for  # noqa: E402


class Writer(threading.Thread):
    """Puts small files until it is told to stop. Now and then there is no majority, and it tries again."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.stopped = False
        self.tries = 0
        self.names = []
        self.failure = None

    def run(self):
        while not self.stopped and not self.failure:
            name = f"/files/{self.tries}"
            self.tries += 1
            done = self.cluster.dogfs("put", "-", name, code=None, stdin=name.encode() * 1000)
            if done.returncode == 0:
                self.names.append(name)
            elif done.returncode != EXIT_TRY_AGAIN:
                self.failure = done.stderr.decode()

    def has_put(self, count):
        expect(not self.failure, f"put: {self.failure}")
        return len(self.names) >= count


def admin(cluster, *words, code=0):
    """`dogfs admin meta WORDS --json`, as an object; with another exit code, what it says on standard error."""
    done = cluster.dogfs("admin", "meta", *words, "--json", code=code)
    return json.loads(done.stdout) if code == 0 else done.stderr.decode()


def roles(membership):
    return {int(member["node"]): member["role"] for member in membership["members"]}


def join(cluster, number):
    """Starts a new, empty metadata node that waits to be added."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    peers = ",".join(f"{i + 1}={node.address}" for i, node in enumerate(cluster.metas))
    words = ["meta", "--id", number, "--join", "--peers", f"{peers},{number}={address}"]
    node = cluster._node(f"meta-{number}", address, words)
    cluster.metas.append(node)
    node.start()
    return node


class Admin(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(os.environ["DOGFS_BUILD_DIR"], metas=3, chunks=3)
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__)
        self.cluster.start()
        self.cluster.dogfs("mkdir", "--ec", "2+1", "/files")

    def led_by(self, node):
        status = self.cluster.status()
        return status and Cluster.leader_of(status) == node.address

    def member(self, node):
        return next(member for member in admin(self.cluster, "status")["members"] if int(member["node"]) == node)

    def silent_ms(self, node):
        return int(self.member(node)["silent_ms"])

    def in_step(self):
        status = admin(self.cluster, "status")
        return all(member.get("match_index") == status["last_index"] for member in status["members"])

    def test_a_dead_node_is_replaced_while_files_are_written(self):
        cluster = self.cluster
        writer = Writer(cluster)
        writer.start()
        self.addCleanup(setattr, writer, "stopped", True)
        wait_for("some files", lambda: writer.has_put(5))
        dead = cluster.metas[2]
        dead.kill()
        shutil.rmtree(cluster.directory / dead.name)

        node = join(cluster, 4)
        self.assertEqual(roles(admin(cluster, "add", f"4={node.address}"))[4], "LEARNER")
        self.assertEqual(roles(admin(cluster, "promote", "4"))[4], "VOTER")
        self.assertEqual(sorted(roles(admin(cluster, "remove", "3"))), [1, 2, 4])
        admin(cluster, "remove", "3")  # again: it is so already

        # The new node counts: with it and one old one there is a majority.
        admin(cluster, "transfer", "4")
        wait_for("node 4 to lead", lambda: self.led_by(node), timeout_s=20)
        cluster.metas[0].kill()
        cluster.metas[0].start()
        cluster.metas[1].kill()
        before = len(writer.names)
        wait_for("writes go on", lambda: writer.has_put(before + 3))
        cluster.metas[1].start()
        # Chunk servers have found the new node by themselves: it has led for a while.
        cluster.wait_ready(servers=3)

        writer.stopped = True
        writer.join()
        for name in writer.names:
            self.assertEqual(cluster.dogfs("cat", name).stdout, name.encode() * 1000)

    def test_a_node_that_lost_its_disk_is_not_counted_until_it_is_replaced(self):
        cluster = self.cluster
        cluster.dogfs("mkdir", "/before")
        wait_for("all to have everything", lambda: self.in_step())
        leader = cluster.leader()
        lost, other = [node for node in cluster.metas if node is not leader]
        lost.kill()
        shutil.rmtree(cluster.directory / lost.name)
        lost.start()  # with --form, as its service file says
        number = cluster.metas.index(lost) + 1
        wait_for("it to say so", lambda: "has not counted this store" in lost.log_path.read_text(), timeout_s=20)
        wait_for("the leader to miss it", lambda: self.silent_ms(number) > 1000)
        # It is no half of a majority: for as long as the client has patience, many election timeouts, nobody leads.
        leader.kill()
        cluster.dogfs("ls", "/before", code=EXIT_TRY_AGAIN)
        leader.start()
        wait_for("a leader", lambda: cluster.status())
        cluster.dogfs("ls", "/before")

        lost.kill()
        node = join(cluster, 4)
        admin(cluster, "add", f"4={node.address}")
        admin(cluster, "promote", "4")
        self.assertEqual(len(roles(admin(cluster, "remove", str(number)))), 3)
        other.kill()
        wait_for("the new node to count", lambda: cluster.status(), timeout_s=20)

    def test_what_would_do_harm_is_refused_in_words(self):
        cluster = self.cluster
        self.assertIn("a member already", admin(cluster, "add", "2=127.0.0.1:1", code=EXIT_FAILED))
        self.assertIn("not a member", admin(cluster, "remove", "9", code=EXIT_FAILED))
        self.assertIn("not a learner", admin(cluster, "promote", "9", "--wait", "1", code=EXIT_FAILED))
        # Nobody can be called there, and no id is taken.
        self.assertIn("port 0", admin(cluster, "add", "4=127.0.0.1:0", code=EXIT_FAILED))
        # A learner that never comes does not get a vote. Its address can be put right.
        address = f"127.0.0.1:{free_ports(1)[0]}"
        admin(cluster, "add", "4=no-such-host.invalid:7001")
        admin(cluster, "add", f"4={address}")
        self.assertEqual(self.member(4)["address"], address)
        self.assertIn("catch up", admin(cluster, "promote", "4", "--wait", "1", code=EXIT_FAILED))
        self.assertEqual(sorted(roles(admin(cluster, "remove", "4"))), [1, 2, 3])
        self.assertIn("may have been used", admin(cluster, "add", f"4={address}", code=EXIT_FAILED))
        # With one of three dead, taking another away would leave one of two.
        leader = cluster.leader()
        others = [i for i in range(3) if cluster.metas[i] is not leader]
        cluster.metas[others[0]].kill()
        wait_for("the leader to miss it", lambda: self.silent_ms(others[0] + 1) > 1000)
        self.assertIn("must be alive", admin(cluster, "remove", str(others[1] + 1), code=EXIT_FAILED))

    def test_a_learner_that_died_gets_no_vote_though_it_had_everything(self):
        cluster = self.cluster
        node = join(cluster, 4)
        admin(cluster, "add", f"4={node.address}")
        wait_for("the learner to have everything", lambda: self.in_step())
        node.kill()
        shutil.rmtree(cluster.directory / node.name)
        for i in range(20):
            cluster.dogfs("mkdir", f"/files/{i}")
        said = admin(cluster, "promote", "4", "--wait", "2", code=EXIT_FAILED)
        self.assertIn("has not answered", said)
        self.assertIn("catch up", said)
        self.assertEqual(roles(admin(cluster, "status"))[4], "LEARNER")
        # It comes back with an empty disk, and fetches everything first.
        node.start()
        self.assertEqual(roles(admin(cluster, "promote", "4"))[4], "VOTER")

    def test_without_a_leader_the_status_says_so_and_guesses_nothing(self):
        cluster = self.cluster
        wait_for("all to have everything", lambda: self.in_step())
        # Who led and answered knows nothing of the others any more: who leads now is asked.
        self.assertTrue(admin(cluster, "transfer")["from_leader"])
        for node in cluster.metas[:2]:
            node.kill()
        # For an election timeout the one that is left may name the leader that it last heard of.
        nobody = "nobody is known to lead, as node 3 sees it, which does not lead"

        def says_so():
            done = cluster.dogfs("admin", "meta", "status", code=EXIT_TRY_AGAIN)
            return done if nobody in done.stdout.decode() else None

        done = wait_for("node 3 to miss its leader", says_so, timeout_s=10)
        said = done.stdout.decode()
        self.assertIn(cluster.metas[0].address, said)
        for guess in ("behind", "everything", "SILENT"):
            self.assertNotIn(guess, said)
        self.assertIn(b"no metadata leader", done.stderr)
        status = json.loads(cluster.dogfs("admin", "meta", "status", "--json", code=EXIT_TRY_AGAIN).stdout)
        self.assertEqual(status["answered_by"], "3")
        for member in status["members"]:
            self.assertNotIn("match_index", member)
        for words in (("status",), ("admin", "report")):
            said = cluster.dogfs(*words, code=EXIT_TRY_AGAIN).stdout.decode()
            self.assertIn("as node 3 sees it", said)
            self.assertNotIn("behind", said)

    def test_a_leader_that_is_stopped_hands_over_at_once(self):
        cluster = self.cluster
        leader = cluster.leader()
        before = admin(cluster, "status")
        self.assertEqual(leader.stop(), 0)
        wait_for("another leader", lambda: cluster.status() and not self.led_by(leader))
        after = admin(cluster, "status")
        self.assertEqual(int(after["term"]), int(before["term"]) + 1)


if __name__ == "__main__":
    unittest.main()
