#include "coordinator/txn/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/txn/harness.h"

namespace concordat::txn {
namespace {

using ::testing::HasSubstr;

const Gtid kGtid = G(7, 0x2a);

std::vector<Record> Samples() {
  return {
      StagedRecord{kGtid, {A(kGtid), B(kGtid)}, 10'000, CommitMode::kParallel},
      StagedRecord{kGtid, {}, 1, CommitMode::kDecided},
      DecidedRecord{kGtid, Outcome::kCommitted, AbortCause::kNone, "", ""},
      DecidedRecord{kGtid, Outcome::kAborted, AbortCause::kRefused, "no money", "ann"},
      EndedRecord{{kGtid, G(7, 0x2b), G(8, 1)}},
      EndedRecord{},
      EnlistedRecord{C(kGtid)},
      WatermarkRecord{G(6, 0)},
      HeuristicRecord{A(kGtid), Heuristic::kMixed, "half of it"},
      HeuristicRecord{A(kGtid), Heuristic::kForgotten, "by ann"},
      StagedRecord{kGtid, {A(kGtid)}, 1, CommitMode::kDecided, /*all_prepared=*/true},
      DecidedRecord{
          kGtid, Outcome::kCommitted, AbortCause::kNone, "", "", {A(kGtid), B(kGtid)}},
      DecidedRecord{kGtid, Outcome::kAborted, kLastAbortCause, "", ""},
  };
}

TEST(Record, EveryKind_EncodedAndDecoded_IsTheSame) {
  for (const Record& record : Samples()) {
    const auto decoded = DecodeRecord(EncodeRecord(record));
    ASSERT_TRUE(decoded.ok()) << decoded.status() << " for " << Describe(record);
    EXPECT_EQ(*decoded, record) << Describe(*decoded);
  }
}

TEST(Record, EveryTruncation_IsAnError) {
  for (const Record& record : Samples()) {
    const std::string bytes = EncodeRecord(record);
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(DecodeRecord(std::string_view(bytes).substr(0, size)).ok())
          << Describe(record) << " cut to " << size << " of " << bytes.size();
    }
  }
}

TEST(Record, TrailingByte_IsAnError) {
  for (const Record& record : Samples()) {
    const auto decoded = DecodeRecord(EncodeRecord(record) + '\0');
    EXPECT_EQ(decoded.status().code(), absl::StatusCode::kDataLoss) << Describe(record);
  }
}

TEST(Record, AnyByteChanged_NeverCrashesAndNeverDecodesToTheSame) {
  for (const Record& record : Samples()) {
    const std::string bytes = EncodeRecord(record);
    for (size_t i = 0; i < bytes.size(); ++i) {
      for (const int flip : {0x01, 0x80, 0xff}) {
        std::string changed = bytes;
        changed[i] = static_cast<char>(changed[i] ^ flip);
        const auto decoded = DecodeRecord(changed);
        if (decoded.ok()) {
          EXPECT_NE(*decoded, record) << "byte " << i;
        }
      }
    }
  }
}

// The number of branches is declared in the record: no memory for what is not there.
TEST(Record, HugeCount_IsAnErrorAndAllocatesNothing) {
  ByteWriter out;
  out.U8(kRecordVersion);
  out.U8(1);
  Encode(kGtid, &out);
  out.U8(0);
  out.Varint(1000);
  out.Varint(uint64_t{1} << 60);
  EXPECT_EQ(DecodeRecord(out.str()).status().code(), absl::StatusCode::kDataLoss);
}

TEST(Record, CommitWithACause_IsAnError) {
  std::string bytes = EncodeRecord(DecidedRecord{kGtid, Outcome::kCommitted});
  bytes[bytes.size() - 4] = 1;  // cause, before two empty texts and no branches
  EXPECT_FALSE(DecodeRecord(bytes).ok());
}

TEST(Record, AbortWithReadOnlyBranches_IsAnError) {
  DecidedRecord abort{kGtid, Outcome::kAborted, AbortCause::kTimedOut};
  abort.read_only = {A(kGtid)};
  EXPECT_FALSE(DecodeRecord(EncodeRecord(abort)).ok());
}

TEST(Record, Scenario50_UnknownKind_IsRefusedAndSaysUpgrade) {
  std::string bytes = EncodeRecord(WatermarkRecord{kGtid});
  bytes[1] = 7;
  const auto decoded = DecodeRecord(bytes);
  EXPECT_EQ(decoded.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(decoded.status().message()), HasSubstr("upgrade"));
  bytes[1] = 0;
  EXPECT_EQ(DecodeRecord(bytes).status().code(), absl::StatusCode::kUnimplemented);
}

TEST(Record, Scenario50_UnknownVersion_IsRefusedWhateverFollows) {
  const auto decoded = DecodeRecord(std::string("\x02\x01whatever", 10));
  EXPECT_EQ(decoded.status().code(), absl::StatusCode::kUnimplemented);
}

TEST(Record, Scenario50_CoreThatCannotReadARecord_SaysSoAndChangesNothing) {
  Core core(kGroup, CoreOptions());
  const std::vector<std::string> before = SnapshotOf(&core);
  const auto status = core.Apply(LogIndex(1), "\x01\x63", Timestamp());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(SnapshotOf(&core), before);
  EXPECT_EQ(core.table().last_applied(), LogIndex(0));
}

// A vote, a cause or a mode that a newer version added is not taken for another one.
TEST(Record, UnknownEnumValues_AreErrors) {
  std::string staged = EncodeRecord(StagedRecord{kGtid, {}, 1, CommitMode::kDecided});
  staged[5] = 3;  // mode, after version, kind and the gtid's three bytes
  EXPECT_FALSE(DecodeRecord(staged).ok());
  std::string decided = EncodeRecord(
      DecidedRecord{kGtid, Outcome::kAborted, AbortCause::kTimedOut, "", ""});
  decided[6] = static_cast<char>(static_cast<int>(kLastAbortCause) + 1);
  EXPECT_FALSE(DecodeRecord(decided).ok());
  decided[6] = 1;
  decided[5] = 3;  // outcome
  EXPECT_FALSE(DecodeRecord(decided).ok());
}

TEST(Record, BadResourceNameInABranch_IsAnError) {
  std::string bytes = EncodeRecord(EnlistedRecord{A(kGtid)});
  const size_t at = bytes.find("bank-a");
  ASSERT_NE(at, std::string::npos);
  bytes[at] = '/';
  EXPECT_FALSE(DecodeRecord(bytes).ok());
}

TEST(Record, Describe_NamesEveryField) {
  const auto samples = Samples();
  EXPECT_EQ(Describe(samples[0]),
            "STAGED 1.7.2a mode=parallel timeout_ms=10000 "
            "branches=[1.7.2a/bank-a/5f3c.1 1.7.2a/bank-b/5f3c.1]");
  EXPECT_EQ(Describe(samples[2]), "DECIDED 1.7.2a committed");
  EXPECT_EQ(Describe(samples[3]),
            "DECIDED 1.7.2a aborted cause=refused by='ann' detail='no money'");
  EXPECT_EQ(Describe(samples[4]), "ENDED 1.7.2a 1.7.2b 1.8.1");
  EXPECT_EQ(Describe(samples[6]), "ENLISTED 1.7.2a/bank-c/5f3c.1");
  EXPECT_EQ(Describe(samples[7]), "WATERMARK 1.6.0");
  EXPECT_EQ(Describe(samples[8]),
            "HEURISTIC 1.7.2a/bank-a/5f3c.1 mixed detail='half of it'");
  EXPECT_EQ(Describe(samples[11]),
            "DECIDED 1.7.2a committed read-only=[1.7.2a/bank-a/5f3c.1 "
            "1.7.2a/bank-b/5f3c.1]");
}

TEST(RecordDeathTest, BranchOfAnotherGtid_IsAProgrammersError) {
  EXPECT_DEATH(
      (void)EncodeRecord(StagedRecord{kGtid, {A(G(7, 1))}, 1, CommitMode::kDecided}),
      "in a record of");
}

}  // namespace
}  // namespace concordat::txn
