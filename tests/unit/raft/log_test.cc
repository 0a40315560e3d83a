#include "coordinator/raft/log.h"

#include <gtest/gtest.h>

#include "tests/unit/raft/test_node.h"

namespace concordat::raft {
namespace {

// Base 10/2, then the given terms from index 11.
Log LogWith(std::vector<uint64_t> terms) {
  Log log(LogIndex(10), Term(2));
  for (Entry& entry : Commands(11, std::move(terms))) log.Append(std::move(entry));
  return log;
}

TEST(Log, Empty_ItsBaseIsItsEnd) {
  const Log log(LogIndex(10), Term(2));
  EXPECT_EQ(log.first_index(), LogIndex(11));
  EXPECT_EQ(log.last_index(), LogIndex(10));
  EXPECT_EQ(log.last_term(), Term(2));
  EXPECT_TRUE(log.Matches(LogIndex(10), Term(2)));
  EXPECT_FALSE(log.Matches(LogIndex(9), Term(2)));
  EXPECT_FALSE(log.Matches(LogIndex(11), Term(2)));
  EXPECT_FALSE(log.Has(LogIndex(10)));
}

TEST(Log, AppendTruncateCompact_KeepIndexesAndTerms) {
  Log log = LogWith({2, 3, 3, 4});
  EXPECT_EQ(log.last_index(), LogIndex(14));
  log.TruncateFrom(LogIndex(14));
  EXPECT_EQ(log.last_term(), Term(3));
  log.CompactTo(LogIndex(12));
  EXPECT_EQ(log.base_index(), LogIndex(12));
  EXPECT_EQ(log.TermAt(LogIndex(12)), Term(3));
  EXPECT_EQ(log.TermAt(LogIndex(11)), std::nullopt);
  EXPECT_EQ(log.At(LogIndex(13)), Command(13, 3));
  log.CompactTo(LogIndex(11));  // before the base
  EXPECT_EQ(log.base_index(), LogIndex(12));
}

TEST(Log, Slice_StopsAtTheByteLimitButGivesOneEntryAtLeast) {
  const Log log = LogWith({2, 3, 3, 4});
  const size_t each = Command(11, 2).data.size();
  EXPECT_EQ(log.Slice(LogIndex(11), LogIndex(14), 2 * each), Commands(11, {2, 3}));
  EXPECT_EQ(log.Slice(LogIndex(13), LogIndex(14), 0), Commands(13, {3}));
  EXPECT_TRUE(log.Slice(LogIndex(15), LogIndex(14), 100).empty());
}

TEST(Log, LastWithTermAtMost_FindsTheLastEntryThatMayAgree) {
  const Log log = LogWith({3, 3, 5, 5, 8});
  EXPECT_EQ(log.LastWithTermAtMost(LogIndex(15), Term(9)), LogIndex(15));
  EXPECT_EQ(log.LastWithTermAtMost(LogIndex(99), Term(7)), LogIndex(14));
  EXPECT_EQ(log.LastWithTermAtMost(LogIndex(13), Term(5)), LogIndex(13));
  EXPECT_EQ(log.LastWithTermAtMost(LogIndex(15), Term(4)), LogIndex(12));
  EXPECT_EQ(log.LastWithTermAtMost(LogIndex(15), Term(2)), LogIndex(10));
  EXPECT_EQ(log.LastWithTermAtMost(LogIndex(15), Term(1)), LogIndex(9));
  EXPECT_EQ(log.LastWithTermAtMost(LogIndex(4), Term(1)), LogIndex(4));
}

TEST(Log, Bytes_FollowWhatIsAppendedAndDropped) {
  Log log(LogIndex(9), Term(1));
  EXPECT_EQ(log.bytes(), 0u);
  for (uint64_t i = 10; i < 20; ++i) {
    log.Append(
        Entry{Term(1), LogIndex(i), EntryType::kCommand, Payload(std::string(i, 'x'))});
  }
  EXPECT_EQ(log.bytes(), 145 + 10 * kEntryOverheadBytes);
  log.TruncateFrom(LogIndex(18));
  EXPECT_EQ(log.bytes(), 108 + 8 * kEntryOverheadBytes);
  log.CompactTo(LogIndex(12));
  EXPECT_EQ(log.bytes(), 75 + 5 * kEntryOverheadBytes);
  log.CompactTo(LogIndex(17));
  EXPECT_EQ(log.bytes(), 0u);
}

TEST(LogDeathTest, MisuseByTheCaller_EndsTheProcess) {
  Log log = LogWith({3});
  EXPECT_DEATH(log.Append(Command(13, 3)), "entry 13 after 11");
  EXPECT_DEATH(log.Append(Command(12, 2)), "term 2 after 3");
  EXPECT_DEATH((void)log.At(LogIndex(10)), "no entry 10");
  EXPECT_DEATH(log.TruncateFrom(LogIndex(10)), "outside of the log");
}

TEST(Configuration, Quorum_IsMoreThanHalf) {
  for (uint64_t n = 1; n <= 7; ++n) {
    std::vector<NodeId> voters;
    for (uint64_t i = 1; i <= n; ++i) voters.push_back(NodeId(i));
    const Configuration configuration(voters);
    const size_t quorum = n / 2 + 1;
    EXPECT_EQ(configuration.QuorumSize(), quorum);
    for (uint64_t holding = 0; holding <= n; ++holding) {
      EXPECT_EQ(configuration.HasQuorum(
                    [holding](NodeId node) { return node.value() <= holding; }),
                holding >= quorum);
    }
    // Voter i has reached 10 i; the value of a quorum is the QuorumSize()-th highest.
    EXPECT_EQ(configuration.QuorumValue([](NodeId node) { return 10 * node.value(); }),
              10 * (n - quorum + 1));
  }
}

TEST(Configuration, Voters_AreCountedOnce) {
  const Configuration configuration({NodeId(3), NodeId(1), NodeId(3)});
  EXPECT_EQ(configuration.voters(), (std::vector<NodeId>{NodeId(1), NodeId(3)}));
  EXPECT_TRUE(configuration.IsVoter(NodeId(3)));
  EXPECT_FALSE(configuration.IsVoter(NodeId(2)));
  EXPECT_FALSE(Configuration().HasQuorum([](NodeId) { return true; }));
}

}  // namespace
}  // namespace concordat::raft
