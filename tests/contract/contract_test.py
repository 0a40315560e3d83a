#!/usr/bin/env python3
"""What thrift/*.thrift says is so: asked by a client written from the IDL alone.

Everything here is in the words of the IDL: framed transport, compact protocol, one call
at a time on a connection. Each test names what of the IDL it holds the daemons to.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import unittest

from daemons import Cluster

ARGUMENTS = None
CLUSTER = None


def generate(thrift, idl_folder, out):
    """Python from the IDL, by the Thrift compiler."""
    for name in ("types", "members", "coordinator", "participant"):
        subprocess.run(
            [thrift, "--gen", "py:slots", "-out", out,
             os.path.join(idl_folder, name + ".thrift")], check=True)
    sys.path.insert(0, out)


class ContractTest(unittest.TestCase):
    """Two connections: one to the coordinator, one to the participant."""

    def setUp(self):
        self.coordinator = self.connect(CoordinatorService, CLUSTER.client_port)
        self.participant = self.connect(ParticipantService, CLUSTER.participant_port)

    def connect(self, service, port):
        socket = TSocket.TSocket("127.0.0.1", port)
        socket.setTimeout(60_000)
        transport = TTransport.TFramedTransport(socket)
        transport.open()
        self.addCleanup(transport.close)
        return service.Client(TCompactProtocol.TCompactProtocol(transport))

    # --- the words of the protocol, short ---

    def context(self, **fields):
        return CallContext(version=PROTOCOL_VERSION, **fields)

    def begin(self):
        reply = self.coordinator.allocateGtids(
            BeginRequest(context=self.context(), count=1))
        self.assertEqual(reply.result.code, Code.OK, reply)
        return reply.first

    def put(self, gtid, resource, key, value=b"1", **fields):
        operation = KvOperation(verb=KvVerb.PUT, key=key, value=value)
        reply = self.participant.execute(ExecuteRequest(
            context=self.context(), start=gtid, resource=resource, call_number=1,
            kv=[operation], **fields))
        self.assertEqual(reply.result.code, Code.OK, reply)
        return reply.branch

    def commit(self, gtid, branches, **fields):
        request = CommitRequest(
            context=self.context(), gtid=gtid, branches=branches,
            mode=CommitMode.DECIDED, timeout_ms=10_000)
        for name, value in fields.items():
            setattr(request, name, value)
        return self.coordinator.commit(request)

    def outcome(self, gtid):
        return self.coordinator.outcome(
            OutcomeRequest(context=self.context(), gtid=gtid))

    def get(self, resource, key):
        gtid = self.begin()
        reply = self.participant.execute(ExecuteRequest(
            context=self.context(), start=gtid, resource=resource, call_number=1,
            kv=[KvOperation(verb=KvVerb.GET, key=key)]))
        self.assertEqual(reply.result.code, Code.OK, reply)
        self.participant.rollback(
            BranchList(context=self.context(), branches=[reply.branch]))
        return [pair.value for pair in reply.kv[0].pairs]

    # --- hello ---

    def test_hello_names_the_cluster_its_nodes_and_the_leader(self):
        reply = self.coordinator.hello(self.context())
        self.assertEqual(reply.result.code, Code.OK)
        self.assertEqual(reply.version, PROTOCOL_VERSION)
        self.assertEqual(reply.node, 1)
        self.assertNotEqual(reply.cluster, 0)
        address = f"127.0.0.1:{CLUSTER.client_port}"
        self.assertEqual(reply.leader, address)
        self.assertEqual(reply.nodes, [address])

    def test_another_cluster_than_the_callers_is_refused(self):
        reply = self.coordinator.allocateGtids(
            BeginRequest(context=self.context(cluster=77), count=1))
        self.assertEqual(reply.result.code, Code.INVALID)

    # --- begin ---

    def test_begin_gives_at_most_what_was_asked_for_and_says_how_many(self):
        reply = self.coordinator.allocateGtids(
            BeginRequest(context=self.context(), count=1_000_000))
        self.assertEqual(reply.result.code, Code.OK)
        self.assertEqual(reply.count, 10_000)
        self.assertGreater(reply.valid_ms, 0)
        none = self.coordinator.allocateGtids(
            BeginRequest(context=self.context(), count=0))
        self.assertEqual(none.result.code, Code.INVALID)

    # --- commit, rollback, outcome ---

    def test_a_commit_is_one_outcome_however_often_it_is_asked_for(self):
        gtid = self.begin()
        branches = [self.put(gtid, "a", b"k1"), self.put(gtid, "b", b"k1")]
        for _ in range(2):
            reply = self.commit(gtid, branches)
            self.assertEqual((reply.result.code, reply.outcome),
                             (Code.OK, Outcome.COMMITTED), reply)
        self.assertEqual(self.outcome(gtid).outcome, Outcome.COMMITTED)
        self.assertEqual(self.get("a", b"k1"), [b"1"])
        self.assertEqual(self.get("b", b"k1"), [b"1"])

    def test_a_rollback_is_an_outcome_on_record(self):
        gtid = self.begin()
        branches = [self.put(gtid, "a", b"k2"), self.put(gtid, "b", b"k2")]
        reply = self.coordinator.rollback(RollbackRequest(
            context=self.context(), gtid=gtid, branches=branches, reason="changed mind"))
        self.assertEqual((reply.result.code, reply.outcome, reply.cause),
                         (Code.OK, Outcome.ABORTED, AbortCause.ROLLED_BACK))
        self.assertEqual(self.outcome(gtid).outcome, Outcome.ABORTED)
        late = self.commit(gtid, branches)
        self.assertEqual((late.result.code, late.outcome), (Code.OK, Outcome.ABORTED))
        self.assertEqual(self.get("a", b"k2"), [])

    def test_a_gtid_that_was_never_handed_out_is_invalid(self):
        gtid = self.begin()
        gtid.sequence += 1_000_000_000
        self.assertEqual(self.commit(gtid, []).result.code, Code.INVALID)

    def test_a_branch_of_another_transaction_is_invalid(self):
        branch = self.put(self.begin(), "a", b"k3")
        reply = self.commit(self.begin(), [branch])
        self.assertEqual(reply.result.code, Code.INVALID)
        self.participant.rollback(BranchList(context=self.context(), branches=[branch]))

    def test_an_outcome_nobody_has_asked_for_is_not_found_at_once(self):
        gtid = self.begin()
        self.put(gtid, "a", b"k8")
        reply = self.outcome(gtid)
        self.assertEqual((reply.result.code, reply.outcome), (Code.NOT_FOUND, None))
        rolled_back = self.coordinator.rollback(RollbackRequest(
            context=self.context(), gtid=gtid, branches=[]))
        self.assertEqual(rolled_back.outcome, Outcome.ABORTED)
        self.assertEqual(self.outcome(gtid).outcome, Outcome.ABORTED)

    def test_a_commit_is_answered_undecided_when_its_deadline_comes_first(self):
        gtid = self.begin()
        lost = BranchId(gtid=gtid, resource="nowhere", incarnation=1, number=1)
        begun = time.monotonic()
        reply = self.commit(gtid, [lost], timeout_ms=60_000,
                            context=self.context(deadline_ms=200))
        self.assertLess(time.monotonic() - begun, 30, "the time-out, not the deadline")
        self.assertEqual(reply.result.code, Code.UNDECIDED, reply)
        asked = self.coordinator.outcome(OutcomeRequest(
            context=self.context(deadline_ms=100), gtid=gtid))
        self.assertEqual(asked.result.code, Code.UNDECIDED, asked)
        reply = self.coordinator.rollback(RollbackRequest(
            context=self.context(), gtid=gtid, branches=[]))
        self.assertEqual(reply.outcome, Outcome.ABORTED)

    def test_numbers_out_of_range_are_invalid_and_say_so(self):
        gtid = self.begin()
        branch = self.put(gtid, "a", b"k9")
        for word, fields in (("timeout_ms", {"timeout_ms": 0}),
                             ("timeout_ms", {"timeout_ms": -1}),
                             ("mode", {"mode": 0}), ("mode", {"mode": 7}),
                             ("deadline_ms", {"context": self.context(deadline_ms=0)}),
                             ("deadline_ms", {"context": self.context(deadline_ms=-1)}),
                             ("vote", {"prepared": [1]}), ("vote", {"prepared": [-1]})):
            reply = self.commit(gtid, [branch], **fields)
            self.assertEqual(reply.result.code, Code.INVALID, fields)
            self.assertIn(word, reply.result.message)
        twice = self.commit(gtid, [branch, branch])
        self.assertEqual(twice.result.code, Code.INVALID)
        self.assertIn("twice", twice.result.message)
        many = [BranchId(gtid=gtid, resource="a", incarnation=1, number=number)
                for number in range(1, 130)]
        reply = self.commit(gtid, many)
        self.assertEqual(reply.result.code, Code.INVALID)
        self.assertIn("128", reply.result.message)
        # Nothing of all that was begun.
        self.assertEqual(self.outcome(gtid).result.code, Code.NOT_FOUND)
        self.assertEqual(self.commit(gtid, [branch]).outcome, Outcome.COMMITTED)

    def test_a_commit_without_branches_means_those_that_were_enlisted(self):
        reply = self.commit(self.begin(), [])
        self.assertEqual((reply.result.code, reply.outcome), (Code.OK, Outcome.COMMITTED))

    # --- enlist ---

    def test_enlist_is_repeatable_and_refused_after_the_commit_request(self):
        gtid = self.begin()
        branch = self.put(gtid, "a", b"k4")
        enlist = EnlistRequest(context=self.context(), branch=branch)
        for _ in range(2):
            self.assertEqual(self.coordinator.enlist(enlist).code, Code.OK)
        reply = self.commit(gtid, [])
        self.assertEqual(reply.outcome, Outcome.COMMITTED, reply)
        late = BranchId(gtid=gtid, resource="b", incarnation=branch.incarnation,
                        number=branch.number + 1)
        refused = self.coordinator.enlist(
            EnlistRequest(context=self.context(), branch=late))
        self.assertEqual(refused.code, Code.TOO_LATE)

    # --- participants ---

    def test_a_repeated_call_number_does_nothing_twice(self):
        gtid = self.begin()
        branch = self.put(gtid, "a", b"k5", b"0")
        add = ExecuteRequest(
            context=self.context(), branch=branch, call_number=2,
            kv=[KvOperation(verb=KvVerb.ADD_IF_AT_LEAST, key=b"k5", delta=7)])
        for _ in range(2):
            reply = self.participant.execute(add)
            self.assertEqual(reply.kv[0].sum, 7, reply)
        add.call_number = 4
        self.assertEqual(self.participant.execute(add).result.code, Code.INVALID)
        self.participant.rollback(BranchList(context=self.context(), branches=[branch]))

    def test_one_phase_takes_exactly_one_branch(self):
        gtid = self.begin()
        branch = self.put(gtid, "a", b"k6")
        two = self.participant.commitOnePhase(
            BranchList(context=self.context(), branches=[branch, branch]))
        self.assertEqual(two.result.code, Code.INVALID)
        one = self.participant.commitOnePhase(
            BranchList(context=self.context(), branches=[branch]))
        self.assertEqual((one.result.code, one.outcome), (Code.OK, Outcome.COMMITTED))
        self.assertEqual(self.get("a", b"k6"), [b"1"])

    def test_a_clients_rollback_leaves_a_branch_that_has_voted(self):
        gtid = self.begin()
        branch = self.put(gtid, "a", b"k7")
        branches = BranchList(context=self.context(), branches=[branch])
        vote = self.participant.prepare(branches)
        self.assertEqual(vote.votes[0].vote, Vote.PREPARED)
        self.assertEqual(self.participant.rollback(branches).items[0].state,
                         FinishState.RETRY)
        reply = self.coordinator.rollback(RollbackRequest(
            context=self.context(), gtid=gtid, branches=[branch]))
        self.assertEqual(reply.outcome, Outcome.ABORTED)

    # --- views ---

    def test_status_shows_what_the_node_knows(self):
        reply = self.coordinator.status(self.context())
        self.assertEqual(reply.role, "leader")
        self.assertEqual([info.name for info in reply.resources], ["a", "b"])
        self.assertEqual(reply.heuristics, 0)

    def test_forgetting_what_is_not_on_record_is_not_found(self):
        branch = BranchId(gtid=self.begin(), resource="a", incarnation=1, number=1)
        reply = self.coordinator.forgetHeuristic(
            ForgetHeuristicRequest(context=self.context(), branch=branch, by="test"))
        self.assertEqual(reply.code, Code.NOT_FOUND)

    def test_showing_a_transaction_that_nobody_knows_is_ok_and_unknown(self):
        reply = self.coordinator.showTransaction(
            OutcomeRequest(context=self.context(), gtid=self.begin()))
        self.assertEqual(reply.transaction.state, "unknown")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build-dir", required=True)
    parser.add_argument("--thrift", required=True)
    arguments, rest = parser.parse_known_args()
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as generated:
        generate(arguments.thrift, os.path.join(here, "../../thrift"), generated)
        import_generated()
        global CLUSTER
        CLUSTER = Cluster(arguments.build_dir)
        try:
            program = unittest.main(argv=[sys.argv[0]] + rest, exit=False)
        finally:
            CLUSTER.stop()
    sys.exit(not program.result.wasSuccessful())


def import_generated():
    """All names of the generated modules become this module's."""
    from thrift.protocol import TCompactProtocol
    from thrift.transport import TSocket, TTransport
    from concordat.wire.types import ttypes, constants
    from concordat.wire.coordinator import ttypes as coordinator_types
    from concordat.wire.coordinator import CoordinatorService
    from concordat.wire.participant import ttypes as participant_types
    from concordat.wire.participant import ParticipantService
    names = globals()
    for module in (ttypes, constants, coordinator_types, participant_types):
        names.update({k: v for k, v in vars(module).items() if not k.startswith("_")})
    names.update(TCompactProtocol=TCompactProtocol, TSocket=TSocket,
                 TTransport=TTransport, CoordinatorService=CoordinatorService,
                 ParticipantService=ParticipantService)


if __name__ == "__main__":
    main()
