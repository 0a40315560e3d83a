// Scenarios 39 and 40: what a crash may leave is truncated, everything else is reported.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/unit/wal/log_fixture.h"
#include "wal/directory.h"
#include "wal/sector.h"

namespace concordat::wal {
namespace {

using ::testing::HasSubstr;

LogOptions TinyLog() {
  LogOptions options = SmallLog();
  options.segment_bytes = 8192;
  return options;
}

std::vector<uint32_t> Segments(FileEnv* env) {
  auto listing = ListLog(env, "/log");
  CONCORDAT_CHECK(listing.ok());
  return listing->segments;
}

void Overwrite(FileEnv* env, const std::string& path, uint64_t offset,
               std::string_view bytes) {
  auto file = env->Open(path);
  CONCORDAT_CHECK(file.ok() && (*file)->WriteAt(offset, bytes).ok() &&
                  (*file)->Sync().ok());
}

// The offset after the file's last sector of this generation.
uint64_t EndOfBatches(FileEnv* env, const std::string& path, uint32_t generation) {
  const std::string bytes = *ReadWholeFile(env, path);
  uint64_t end = 0;
  for (uint64_t at = 0; at < bytes.size(); at += kSectorBytes) {
    if (SectorGeneration(bytes.data() + at) == generation) end = at + kSectorBytes;
  }
  return end;
}

// A log that has recycled files, whose last segment is half full, and whose records have
// all been promised.
std::unique_ptr<FaultEnv> PromisedLog(uint64_t* first, uint64_t* last) {
  auto env = std::make_unique<FaultEnv>(7);
  Opened a = OpenLog(env.get(), TinyLog());
  AppendRange(a.log.get(), 1, 60, 2);
  a.log->ReleaseBefore(Lsn(50));
  AppendRange(a.log.get(), 61, 99, 2);
  *first = a.log->first_lsn().value();
  *last = 99;
  a.log.reset();
  env->Crash(FaultEnv::Unsynced::kDropAll);
  return env;
}

TEST(LogDamage, BitFlipAtEveryPromisedByte_IsReportedWithFileAndOffset) {
  uint64_t first = 0;
  uint64_t last = 0;
  auto env = PromisedLog(&first, &last);
  ASSERT_EQ(OpenLog(env->Clone(1).get(), TinyLog()).entries, EntriesOfRange(first, last));
  const std::vector<uint32_t> segments = Segments(env.get());
  ASSERT_GE(segments.size(), 3u);
  ASSERT_GT(segments.front(), 1u);
  for (const uint32_t generation : segments) {
    const std::string path = SegmentPath("/log", generation);
    const uint64_t end = EndOfBatches(env.get(), path, generation);
    ASSERT_GT(end, 1024u);
    // A sealed segment may end with sectors that no batch ever used.
    for (uint64_t offset = 0; offset < end; ++offset) {
      auto copy = env->Clone(1);
      copy->FlipBit(path, offset, static_cast<int>((offset * 5 + generation) % 8));
      Opened b = OpenLog(copy.get(), TinyLog());
      ASSERT_EQ(b.status.code(), absl::StatusCode::kDataLoss)
          << path << " " << offset << " " << b.status;
      ASSERT_THAT(b.status.ToString(),
                  HasSubstr(absl::StrCat(path, " at offset ",
                                         offset / kSectorBytes * kSectorBytes, ":")));
    }
  }
}

TEST(LogDamage, EveryBitOfTheLastBatch_IsReportedWhenFlipped) {
  FaultEnv env(3);
  {
    Opened a = OpenLog(&env, TinyLog());
    AppendRange(a.log.get(), 1, 4, 4);
  }
  const std::string path = SegmentPath("/log", 1);
  const uint64_t end = EndOfBatches(&env, path, 1);
  for (uint64_t offset = kSectorBytes; offset < end; ++offset) {
    for (int bit = 0; bit < 8; ++bit) {
      auto copy = env.Clone(1);
      copy->FlipBit(path, offset, bit);
      ASSERT_EQ(OpenLog(copy.get(), TinyLog()).status.code(), absl::StatusCode::kDataLoss)
          << offset << " " << bit;
    }
  }
}

TEST(LogDamage, BitFlipBehindTheTail_NeverCostsARecord) {
  uint64_t first = 0;
  uint64_t last = 0;
  auto env = PromisedLog(&first, &last);
  const uint32_t generation = Segments(env.get()).back();
  const std::string path = SegmentPath("/log", generation);
  for (uint64_t offset = EndOfBatches(env.get(), path, generation); offset < 8192;
       offset += 3) {
    auto copy = env->Clone(1);
    copy->FlipBit(path, offset, 2);
    Opened b = OpenLog(copy.get(), TinyLog());
    if (!b.status.ok()) {
      // The sector where the next batch would begin: it might have been promised.
      ASSERT_EQ(b.status.code(), absl::StatusCode::kDataLoss);
      continue;
    }
    ASSERT_EQ(b.entries, EntriesOfRange(first, last)) << offset;
    AppendRange(b.log.get(), last + 1, last + 30, 3);
    b.log.reset();
    ASSERT_EQ(OpenLog(copy.get(), TinyLog()).entries, EntriesOfRange(first, last + 30));
  }
}

TEST(LogDamage, BitFlipInIdentity_IsReported) {
  FaultEnv env(3);
  OpenLog(&env).log.reset();
  const uint64_t size = ReadWholeFile(&env, "/log/IDENTITY")->size();
  for (uint64_t offset = 0; offset < size; ++offset) {
    for (int bit = 0; bit < 8; ++bit) {
      auto copy = env.Clone(1);
      copy->FlipBit("/log/IDENTITY", offset, bit);
      ASSERT_EQ(OpenLog(copy.get()).status.code(), absl::StatusCode::kDataLoss) << offset;
    }
  }
}

// Builds a log with `promised` records and one unsynced batch of several sectors, and
// tries every set of this batch's sectors that a crash can leave.
void TryEveryTear(bool recycled) {
  FaultEnv env(5);
  uint64_t next = 1;
  {
    Opened a = OpenLog(&env, TinyLog());
    if (recycled) {
      // Goes on to the third sector of a segment that was another one before.
      for (; Segments(&env).back() < 12; ++next) {
        AppendRange(a.log.get(), next, next);
        a.log->ReleaseBefore(Lsn(next));
      }
    }
    AppendRange(a.log.get(), next, next + 2, 1);
    next += 3;
  }
  const uint32_t generation = Segments(&env).back();
  const std::string path = SegmentPath("/log", generation);
  const uint64_t tail = EndOfBatches(&env, path, generation);
  const std::string before = *ReadWholeFile(&env, path);
  uint64_t first = 0;
  {
    Opened a = OpenLog(&env, TinyLog());
    first = a.entries.front().lsn.value();
    uint64_t to = next;
    for (size_t bytes = 0; bytes < 2400; ++to) bytes += PayloadOf(to).size();
    AppendRange(a.log.get(), next, to, 1000);
  }
  ASSERT_EQ(Segments(&env).back(), generation);
  const std::string after = *ReadWholeFile(&env, path);
  const uint64_t sectors = (EndOfBatches(&env, path, generation) - tail) / kSectorBytes;
  ASSERT_GE(sectors, 5u);
  ASSERT_LE(sectors, 9u);
  const auto old = std::string_view(before).substr(tail, sectors * kSectorBytes);
  ASSERT_EQ(std::count(old.begin(), old.end(), '\0') < static_cast<ptrdiff_t>(old.size()),
            recycled);
  for (uint64_t mask = 0; mask + 1 < uint64_t{1} << sectors; ++mask) {
    auto copy = env.Clone(mask);
    for (uint64_t i = 0; i < sectors; ++i) {
      if ((mask >> i & 1) != 0) continue;
      const uint64_t offset = tail + i * kSectorBytes;
      Overwrite(copy.get(), path, offset,
                std::string_view(before).substr(offset, kSectorBytes));
    }
    Opened b = OpenLog(copy.get(), TinyLog());
    ASSERT_TRUE(b.status.ok()) << mask << " " << b.status;
    ASSERT_EQ(b.entries, EntriesOfRange(first, next - 1)) << mask;
    // What was truncated must not come back, whatever is written in its place.
    AppendRange(b.log.get(), next, next, 1);
    b.log.reset();
    ASSERT_EQ(OpenLog(copy.get(), TinyLog()).entries, EntriesOfRange(first, next))
        << mask;
  }
}

TEST(LogDamage, TornTail_EverySubsetOfItsSectors_IsTruncated) { TryEveryTear(false); }

TEST(LogDamage, TornTailInARecycledSegment_EverySubsetOfItsSectors_IsTruncated) {
  TryEveryTear(true);
}

TEST(LogDamage, BatchMissingBeforeALaterOne_IsReportedNotTruncated) {
  FaultEnv env(5);
  {
    Opened a = OpenLog(&env, TinyLog());
    AppendRange(a.log.get(), 1, 5, 1);
  }
  // Record 3's batch is gone without a trace, as if its write had been lost.
  const std::string path = SegmentPath("/log", 1);
  const std::string bytes = *ReadWholeFile(&env, path);
  uint64_t at = 0;
  for (uint64_t offset = 512; offset < bytes.size(); offset += kSectorBytes) {
    if (GetU64(bytes.data() + offset + kSectorHeaderBytes + 8) == 3) at = offset;
  }
  ASSERT_NE(at, 0u);
  Overwrite(&env, path, at, std::string(kSectorBytes, '\0'));
  Opened b = OpenLog(&env, TinyLog());
  EXPECT_EQ(b.status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(b.status.ToString(), HasSubstr(absl::StrCat("offset ", at)));
  EXPECT_THAT(b.status.ToString(), HasSubstr("proves that it was flushed"));
}

TEST(LogDamage, ZeroFilledFromEveryOffset_LeavesAPrefixOrIsReported) {
  FaultEnv env(5);
  {
    Opened a = OpenLog(&env, TinyLog());
    AppendRange(a.log.get(), 1, 12, 3);
  }
  const std::string path = SegmentPath("/log", 1);
  const uint64_t end = EndOfBatches(&env, path, 1);
  size_t cuts = 0;
  for (uint64_t offset = 0; offset <= 8192; ++offset) {
    auto copy = env.Clone(1);
    copy->ZeroFrom(path, offset);
    Opened b = OpenLog(copy.get(), TinyLog());
    if (offset >= end) {
      ASSERT_EQ(b.entries, EntriesOfRange(1, 12)) << offset;
      continue;
    }
    // Whole sectors missing from the end look like an unsynced batch. A missing part of a
    // sector does not, unless that part was zero anyway.
    if (!b.status.ok()) {
      ASSERT_EQ(b.status.code(), absl::StatusCode::kDataLoss) << offset;
      continue;
    }
    ++cuts;
    ASSERT_EQ(b.entries.size() % 3, 0u) << offset;
    ASSERT_EQ(b.entries, EntriesOfRange(1, b.entries.size())) << offset;
  }
  EXPECT_GT(cuts, 5u);
}

TEST(LogDamage, FileOfEveryTruncatedLength_IsReported) {
  FaultEnv env(5);
  {
    Opened a = OpenLog(&env, TinyLog());
    AppendRange(a.log.get(), 1, 12, 3);
  }
  const std::string path = SegmentPath("/log", 1);
  for (uint64_t size = 0; size < 8192; ++size) {
    auto copy = env.Clone(1);
    copy->Resize(path, size);
    Opened b = OpenLog(copy.get(), TinyLog());
    ASSERT_EQ(b.status.code(), absl::StatusCode::kDataLoss) << size;
    ASSERT_THAT(b.status.ToString(), HasSubstr(path));
  }
}

TEST(LogDamage, MissingSegment_IsReported) {
  uint64_t first = 0;
  uint64_t last = 0;
  auto env = PromisedLog(&first, &last);
  const std::vector<uint32_t> segments = Segments(env.get());
  for (size_t i = 0; i + 1 < segments.size(); ++i) {
    auto copy = env->Clone(1);
    ASSERT_TRUE(copy->Remove(SegmentPath("/log", segments[i])).ok());
    Opened b = OpenLog(copy.get(), TinyLog());
    // The oldest ones may be missing when the release covers them.
    if (b.status.ok()) {
      ASSERT_LE(b.entries.front().lsn, Lsn(50));
    } else {
      ASSERT_EQ(b.status.code(), absl::StatusCode::kDataLoss);
      ASSERT_THAT(b.status.ToString(), HasSubstr("missing"));
    }
  }
  auto copy = env->Clone(1);
  ASSERT_TRUE(copy->Remove(SegmentPath("/log", segments[segments.size() - 2])).ok());
  EXPECT_EQ(OpenLog(copy.get(), TinyLog()).status.code(), absl::StatusCode::kDataLoss);
}

TEST(LogDamage, AllSegmentsOrTheIdentityMissing_IsReported) {
  uint64_t first = 0;
  uint64_t last = 0;
  auto env = PromisedLog(&first, &last);
  auto copy = env->Clone(1);
  for (const uint32_t n : Segments(copy.get())) {
    ASSERT_TRUE(copy->Remove(SegmentPath("/log", n)).ok());
  }
  EXPECT_EQ(OpenLog(copy.get(), TinyLog()).status.code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(env->Remove("/log/IDENTITY").ok());
  Opened b = OpenLog(env.get(), TinyLog());
  EXPECT_EQ(b.status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(b.status.ToString(), HasSubstr("IDENTITY is missing"));
}

TEST(LogDamage, SegmentUnderAnotherNumber_IsReported) {
  uint64_t first = 0;
  uint64_t last = 0;
  auto env = PromisedLog(&first, &last);
  const std::vector<uint32_t> segments = Segments(env.get());
  const std::string a = SegmentPath("/log", segments[0]);
  const std::string b = SegmentPath("/log", segments[1]);
  ASSERT_TRUE(env->Rename(a, "/log/x").ok());
  ASSERT_TRUE(env->Rename(b, a).ok());
  ASSERT_TRUE(env->Rename("/log/x", b).ok());
  EXPECT_EQ(OpenLog(env.get(), TinyLog()).status.code(), absl::StatusCode::kDataLoss);
}

TEST(LogDamage, SegmentOfAnotherLog_IsReported) {
  FaultEnv env(5);
  AppendRange(OpenLog(&env, TinyLog()).log.get(), 1, 5);
  LogOptions other = TinyLog();
  other.dir = "/other";
  AppendRange(OpenLog(&env, other).log.get(), 1, 5);
  ASSERT_TRUE(env.Rename(SegmentPath("/other", 1), SegmentPath("/log", 1)).ok());
  EXPECT_EQ(OpenLog(&env, TinyLog()).status.code(), absl::StatusCode::kDataLoss);
}

// A recycled file still holds good sectors from its earlier use.
TEST(LogDamage, RecycledSegmentsOldBytes_AreNeverTakenForRecords) {
  FaultEnv env(5);
  Opened a = OpenLog(&env, TinyLog());
  for (uint64_t n = 1; n <= 400; ++n) {
    AppendRange(a.log.get(), n, n);
    a.log->ReleaseBefore(Lsn(n));
    if (n % 7 != 0) continue;
    a.log.reset();
    env.Crash(FaultEnv::Unsynced::kDropAll);
    a = OpenLog(&env, TinyLog());
    ASSERT_TRUE(a.status.ok()) << n << " " << a.status;
    ASSERT_EQ(a.log->next_lsn(), Lsn(n + 1));
    ASSERT_EQ(a.entries, EntriesOfRange(a.entries.front().lsn.value(), n));
  }
  EXPECT_GT(Segments(&env).back(), 20u);
}

}  // namespace
}  // namespace concordat::wal
