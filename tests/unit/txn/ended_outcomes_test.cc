#include "coordinator/txn/ended_outcomes.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/txn/harness.h"

namespace concordat::txn {
namespace {

struct Encoded {
  std::vector<std::string> owners;
  std::vector<std::string> blocks;
  friend bool operator==(const Encoded&, const Encoded&) = default;
};
Encoded EncodeAll(EndedOutcomes::Frozen frozen, size_t portion_bytes = 1000) {
  Encoded encoded;
  for (ByteWriter out; frozen.EncodeOwners(portion_bytes, &out); out = ByteWriter()) {
    encoded.owners.push_back(out.str());
  }
  for (ByteWriter out; frozen.EncodeBlocks(portion_bytes, &out); out = ByteWriter()) {
    encoded.blocks.push_back(out.str());
  }
  return encoded;
}
bool Decode(const Encoded& encoded, EndedOutcomes* copy) {
  for (const std::string& portion : encoded.owners) {
    ByteReader in(portion);
    if (!copy->DecodeOwners(&in) || !in.complete()) return false;
  }
  for (const std::string& portion : encoded.blocks) {
    ByteReader in(portion);
    if (!copy->DecodeBlocks(kGroup, &in) || !in.complete()) return false;
  }
  return copy->FinishDecoding();
}

TEST(EndedOutcomes, Committed_KnowsItsBranchesAndNoOthers) {
  EndedOutcomes ended;
  const Gtid g = G(3, 1000);
  ended.Add(g, Outcome::kCommitted, AbortCause::kNone, {A(g), B(g)});
  ASSERT_TRUE(ended.Find(g));
  EXPECT_EQ(ended.Find(g)->outcome, Outcome::kCommitted);
  EXPECT_TRUE(ended.ContainsCommitted(A(g)));
  EXPECT_TRUE(ended.ContainsCommitted(B(g)));
  EXPECT_FALSE(ended.ContainsCommitted(C(g)));
  EXPECT_FALSE(ended.ContainsCommitted(MakeBranch(g, "bank-a", 2)));
  BranchId other_life = A(g);
  other_life.incarnation = Incarnation(1);
  EXPECT_FALSE(ended.ContainsCommitted(other_life));
  EXPECT_FALSE(ended.ContainsCommitted(A(G(3, 1001))));
}

TEST(EndedOutcomes, Aborted_KeepsItsCauseAndNoBranches) {
  EndedOutcomes ended;
  const Gtid g = G(3, 5);
  ended.Add(g, Outcome::kAborted, AbortCause::kTimedOut, {A(g)});
  EXPECT_EQ(ended.Find(g)->outcome, Outcome::kAborted);
  EXPECT_EQ(ended.Find(g)->cause, AbortCause::kTimedOut);
  EXPECT_FALSE(ended.ContainsCommitted(A(g)));
  EXPECT_FALSE(ended.Find(G(3, 6)));
  EXPECT_FALSE(ended.Find(G(4, 5)));
}

TEST(EndedOutcomes, DropThrough_DropsWholeBlocksOnly) {
  EndedOutcomes ended;
  for (uint64_t s = 1; s <= 600; ++s) {
    ended.Add(G(2, s), Outcome::kCommitted, AbortCause::kNone, {A(G(2, s))});
  }
  ended.DropThrough(G(2, 254));
  EXPECT_EQ(ended.size(), 600u);
  ended.DropThrough(G(2, 255));  // block 0 holds 0..255
  EXPECT_EQ(ended.size(), 345u);
  EXPECT_FALSE(ended.Find(G(2, 255)));
  EXPECT_TRUE(ended.Find(G(2, 256)));
  ended.DropThrough(G(3, 0));
  EXPECT_EQ(ended.size(), 0u);
}

TEST(EndedOutcomes, WatermarkToKeep_LeavesAboutSoMany) {
  EndedOutcomes ended;
  for (uint64_t s = 1; s <= 1024; ++s) {
    ended.Add(G(2, s), Outcome::kAborted, AbortCause::kRefused, {});
  }
  EXPECT_FALSE(ended.WatermarkToKeep(1024));
  const auto watermark = ended.WatermarkToKeep(500);
  ASSERT_TRUE(watermark);
  ended.DropThrough(*watermark);
  EXPECT_LE(ended.size(), 500u);
  EXPECT_GE(ended.size(), 500u - 256u);
}

TEST(EndedOutcomes, EncodedAndDecoded_AnswersTheSame) {
  EndedOutcomes ended;
  for (uint64_t s = 1; s <= 300; ++s) {
    const Gtid g = G(s % 3 + 1, s);
    ended.Add(g, s % 5 == 0 ? Outcome::kAborted : Outcome::kCommitted,
              s % 5 == 0 ? AbortCause::kPresumed : AbortCause::kNone, {A(g), C(g)});
  }
  const Encoded encoded = EncodeAll(ended.Freeze());
  EXPECT_GT(encoded.blocks.size(), 2u) << "in portions";
  EndedOutcomes copy;
  ASSERT_TRUE(Decode(encoded, &copy));
  EXPECT_EQ(copy.size(), ended.size());
  for (uint64_t s = 1; s <= 300; ++s) {
    const Gtid g = G(s % 3 + 1, s);
    ASSERT_TRUE(copy.Find(g));
    EXPECT_EQ(copy.Find(g)->outcome, ended.Find(g)->outcome);
    EXPECT_EQ(copy.ContainsCommitted(C(g)), s % 5 != 0);
    EXPECT_FALSE(copy.ContainsCommitted(B(g)));
  }
  EXPECT_EQ(EncodeAll(copy.Freeze()), encoded);
}

TEST(EndedOutcomes, Frozen_ShowsWhatWasThereWhateverComesAfter) {
  EndedOutcomes ended;
  const auto add = [&ended](uint64_t s) {
    const Gtid g = G(2, s);
    ended.Add(g, Outcome::kCommitted, AbortCause::kNone,
              {MakeBranch(g, absl::StrCat("bank-", s), 1)});
  };
  for (uint64_t s = 1; s <= 600; s += 2) add(s);
  const Encoded expected = EncodeAll(ended.Freeze());
  EndedOutcomes::Frozen frozen = ended.Freeze();
  for (uint64_t s = 2; s <= 600; s += 2) add(s);
  EXPECT_NE(EncodeAll(ended.Freeze()), expected);
  ended.DropThrough(G(2, 300));
  EXPECT_EQ(EncodeAll(std::move(frozen)), expected);
  EXPECT_TRUE(ended.Find(G(2, 599))) << "nor does it change what goes on";
  EXPECT_FALSE(ended.Find(G(2, 5)));
}

TEST(EndedOutcomes, AMillionCommits_TakeUnderTwentyBytesEach) {
  EndedOutcomes ended;
  constexpr uint64_t kCount = 1'000'000;
  for (uint64_t s = 1; s <= kCount; ++s) {
    const Gtid g = G(2, s);
    ended.Add(g, Outcome::kCommitted, AbortCause::kNone,
              {MakeBranch(g, "bank-a", s), MakeBranch(g, "bank-b", s)});
  }
  EXPECT_LT(ended.bytes(), 20 * kCount) << ended.bytes();
}

TEST(EndedOutcomes, AMillionCommitsOfAThousandResources_TakeUnderTwentyBytesEach) {
  EndedOutcomes ended;
  constexpr uint64_t kCount = 1'000'000;
  for (uint64_t s = 1; s <= kCount; ++s) {
    const Gtid g = G(2, s);
    ended.Add(g, Outcome::kCommitted, AbortCause::kNone,
              {MakeBranch(g, absl::StrCat("bank-", s * 7 % 1000), s),
               MakeBranch(g, absl::StrCat("bank-", s * 11 % 1000), s)});
  }
  EXPECT_LT(ended.bytes(), 20 * kCount) << ended.bytes();
}

// A resource is another owner after each restart.
TEST(EndedOutcomes, OwnersGoWithTheLastBranchThatNamesThem) {
  EndedOutcomes ended;
  size_t bytes = 0;
  for (uint64_t s = 1; s <= 100'000; ++s) {
    const Gtid g = G(2, s);
    ended.Add(g, Outcome::kCommitted, AbortCause::kNone,
              {MakeBranch(g, absl::StrCat("bank-", s), 1)});
    if (s >= 1024) ended.DropThrough(G(2, s - 1024));
    if (s == 10'000) bytes = ended.bytes();
    ASSERT_TRUE(ended.ContainsCommitted(MakeBranch(g, absl::StrCat("bank-", s), 1)));
  }
  EXPECT_LE(ended.bytes(), 2 * bytes);
  const Gtid kept = G(2, 99'500);
  EndedOutcomes copy;
  ASSERT_TRUE(Decode(EncodeAll(ended.Freeze()), &copy));
  EXPECT_TRUE(copy.ContainsCommitted(MakeBranch(kept, "bank-99500", 1)));
  EXPECT_FALSE(copy.ContainsCommitted(MakeBranch(kept, "bank-99501", 1)));
  copy.DropThrough(G(3, 0));
  copy.Add(G(3, 1), Outcome::kCommitted, AbortCause::kNone, {A(G(3, 1))});
  EXPECT_TRUE(copy.ContainsCommitted(A(G(3, 1))));
}

TEST(EndedOutcomesDeathTest, EndingTwice_IsAProgrammersError) {
  EndedOutcomes ended;
  ended.Add(G(2, 1), Outcome::kAborted, AbortCause::kTimedOut, {});
  EXPECT_DEATH(ended.Add(G(2, 1), Outcome::kCommitted, AbortCause::kNone, {}),
               "ended twice");
}

}  // namespace
}  // namespace concordat::txn
