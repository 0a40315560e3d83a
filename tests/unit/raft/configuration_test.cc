// Configurations as bytes, and the history of them in a log.
#include <gtest/gtest.h>

#include "coordinator/raft/configuration_history.h"

namespace concordat::raft {
namespace {

Configuration Members() {
  return Configuration({{NodeId(1), MemberRole::kVoter, LogId(11), LogId(), "a:1", "a:2"},
                        {NodeId(4), MemberRole::kLearner, LogId(), LogId(9), "b:1", ""}},
                       ClusterKey{3, 4}, {NodeId(2), NodeId(3)});
}

Configuration Voter(uint64_t node) { return Configuration({NodeId(node)}); }

TEST(Configuration, Bytes_BringEverythingBack) {
  const auto decoded = DecodeConfiguration(EncodeConfiguration(Members()));
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(*decoded, Members());
  EXPECT_EQ(decoded->voters(), std::vector<NodeId>{NodeId(1)});
  EXPECT_TRUE(decoded->WasRemoved(NodeId(3)));
}

TEST(Configuration, EveryTruncationAndAByteMore_AreRefused) {
  const std::string bytes = EncodeConfiguration(Members());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeConfiguration(bytes.substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(DecodeConfiguration(bytes + "x").has_value());
}

// A changed byte gives another configuration or none, and never ends the process.
TEST(Configuration, EveryChangedByte_IsSurvived) {
  const std::string bytes = EncodeConfiguration(Members());
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      const auto decoded = DecodeConfiguration(changed);
      if (decoded.has_value()) {
        EXPECT_EQ(EncodeConfiguration(*decoded), changed);
      }
    }
  }
}

TEST(Configuration, Learners_CountForNoQuorum) {
  EXPECT_EQ(Members().QuorumSize(), 1u);
  EXPECT_TRUE(Members().HasQuorum([](NodeId node) { return node == NodeId(1); }));
  EXPECT_FALSE(Members().HasQuorum([](NodeId node) { return node == NodeId(4); }));
  EXPECT_EQ(Members().QuorumValue([](NodeId node) { return node.value(); }), 1u);
}

TEST(ConfigurationHistory, TruncatedEntry_PutsTheOneBeforeInForce) {
  ConfigurationHistory history(Voter(1));
  history.Append(LogIndex(5), Voter(2));
  history.Append(LogIndex(9), Voter(3));
  history.TruncateFrom(LogIndex(9));
  EXPECT_EQ(history.latest(), Voter(2));
  EXPECT_EQ(history.latest_index(), LogIndex(5));
  history.TruncateFrom(LogIndex(1));
  EXPECT_EQ(history.latest(), Voter(1));
}

TEST(ConfigurationHistory, SnapshotInTheMiddle_HasTheOneOfItsIndex) {
  ConfigurationHistory history(Voter(1));
  history.Append(LogIndex(5), Voter(2));
  history.Append(LogIndex(9), Voter(3));
  EXPECT_EQ(history.At(LogIndex(4)), Voter(1));
  EXPECT_EQ(history.At(LogIndex(5)), Voter(2));
  EXPECT_EQ(history.At(LogIndex(8)), Voter(2));
  history.CompactTo(LogIndex(7));
  EXPECT_EQ(history.At(LogIndex(7)), Voter(2));
  EXPECT_EQ(history.latest(), Voter(3));
  history.CompactTo(LogIndex(20));
  EXPECT_EQ(history.At(LogIndex(20)), Voter(3));
}

}  // namespace
}  // namespace concordat::raft
