// Every Raft message says the same behind the wire as before it.
#include "coordinator/rpc/raft_wire.h"

#include <gtest/gtest.h>

#include <cstring>
#include <sstream>

namespace concordat::rpc {
namespace {

std::string Text(const raft::Message& message) {
  std::ostringstream out;
  out << message;
  return out.str();
}

constexpr ClusterKey kCluster{0x0123456789abcdef, 0xfedcba9876543210};

TEST(RaftWire, EveryMessage_ComesBackAsItWas) {
  const raft::SnapshotMeta meta{
      LogIndex(9), Term(3),
      raft::Configuration({NodeId(1), NodeId(2), NodeId(3)}, kCluster)};
  const raft::Entry entry{Term(4), LogIndex(8), raft::EntryType::kCommand,
                          raft::Payload("data")};
  const raft::Entry empty{Term(4), LogIndex(9), raft::EntryType::kTermStart, {}};
  raft::AppendRequest request;
  request.prev_log_index = LogIndex(7);
  request.prev_log_term = Term(4);
  request.entries = {entry, empty};
  request.leader_commit = LogIndex(6);
  request.acknowledged_index = LogIndex(4);
  request.promised_index = LogIndex(5);
  request.promised_term = Term(3);
  request.loss_round = 2;
  request.read_round = 11;
  raft::AppendResponse response;
  response.rejected_index = LogIndex(2);
  response.hint_index = LogIndex(3);
  response.hint_term = Term(4);
  response.lost_tail = true;
  response.no_space = true;
  response.loss_round = 2;
  response.read_round = 5;
  const std::vector<raft::Message::Body> bodies = {
      raft::PreVoteRequest{Term(5), LogIndex(7), Term(4)},
      raft::PreVoteResponse{Term(5), true},
      raft::VoteRequest{LogIndex(7), Term(4)},
      raft::VoteResponse{true},
      request,
      response,
      raft::SnapshotChunk{meta, 4096, raft::Payload("chunk"), true},
      raft::SnapshotChunkResponse{LogIndex(9), 4096, 8192},
      raft::TimeoutNow{},
      raft::VoteRequest{LogIndex(7), Term(4), true}};
  for (const raft::Message::Body& body : bodies) {
    const raft::Message message{GroupId(2), NodeId(1), NodeId(3),
                                Term(5),    body,      kCluster};
    const auto back = FromWire(ToWire(message));
    ASSERT_TRUE(back.ok()) << back.status().message();
    EXPECT_EQ(back->cluster, kCluster);
    EXPECT_EQ(Text(*back), Text(message));
    EXPECT_EQ(back->body.index(), message.body.index());
  }
  const auto append = FromWire(
      ToWire(raft::Message{GroupId(2), NodeId(1), NodeId(3), Term(5), bodies[4]}));
  const auto& entries = std::get<raft::AppendRequest>(append->body).entries;
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0], entry);
  EXPECT_EQ(entries[1], empty);
}

TEST(RaftWire, SnapshotsBringTheirConfiguration) {
  const raft::SnapshotMeta meta{LogIndex(9), Term(3),
                                raft::Configuration({NodeId(1), NodeId(2)}, kCluster)};
  const auto back =
      FromWire(ToWire(raft::Message{GroupId(2), NodeId(1), NodeId(3), Term(5),
                                    raft::SnapshotChunk{meta, 0, {}, true}, kCluster}));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(std::get<raft::SnapshotChunk>(back->body).meta, meta);
}

TEST(RaftWire, ClusterOfAnotherLength_IsRefused_NoneIsNone) {
  wire::RaftMessage message = ToWire(raft::Message{
      GroupId(2), NodeId(1), NodeId(3), Term(5), raft::VoteResponse{true}, kCluster});
  message.cluster.pop_back();
  EXPECT_FALSE(FromWire(message).ok());
  message.__isset.cluster = false;
  EXPECT_TRUE(FromWire(message)->cluster.is_none());
}

TEST(RaftWire, AnUnknownType_IsRefused) {
  wire::RaftMessage message;
  // As if read from the wire: the enumeration itself has no such value.
  const int32_t unknown = 99;
  std::memcpy(&message.type, &unknown, sizeof(message.type));
  EXPECT_FALSE(FromWire(message).ok());
}

TEST(RaftWire, SnapshotWhoseMembersDoNotDecode_IsRefused) {
  wire::RaftMessage message;
  message.type = wire::RaftMessageType::SNAPSHOT_REQUEST;
  message.__set_configuration("garbage");
  EXPECT_FALSE(FromWire(message).ok());
}

TEST(RaftWire, WhoseLogItIs_AndWhoWasRemoved_AreBroughtBack) {
  raft::Message message{GroupId(1), NodeId(1), NodeId(2), Term(3),
                        raft::PreVoteResponse{Term(4), false, true}};
  message.from_log = LogId(0xfedcba9876543210);
  message.to_log = LogId(7);
  const auto back = FromWire(ToWire(message));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->from_log, message.from_log);
  EXPECT_EQ(back->to_log, message.to_log);
  EXPECT_TRUE(std::get<raft::PreVoteResponse>(back->body).removed);
}

}  // namespace
}  // namespace concordat::rpc
