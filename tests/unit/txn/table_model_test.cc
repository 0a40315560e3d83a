// The table against a naive reading of the rules: for every question the model scans
// the whole history of records.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "coordinator/base/random.h"
#include "coordinator/txn/table.h"
#include "tests/unit/txn/harness.h"

namespace concordat::txn {
namespace {

// Remembers every record and thinks slowly.
class NaiveTable {
 public:
  struct Verdict {
    TxnState state = TxnState::kUnknown;
    Outcome outcome = Outcome::kAborted;
    AbortCause cause = AbortCause::kNone;
    CommitMode mode = CommitMode::kDecided;
    std::set<BranchId> set;
  };

  void Apply(const Record& record) {
    const auto* water = std::get_if<WatermarkRecord>(&record);
    const Gtid capped = water == nullptr ? Gtid{} : Capped(water->gtid);
    Record& kept = history_.emplace_back();
    kept = record;
    if (water != nullptr) std::get<WatermarkRecord>(kept).gtid = capped;
  }

  [[nodiscard]] Verdict Ask(const Gtid& gtid) const {
    Verdict v;
    bool ended = false;
    for (const Record& record : history_) Step(record, gtid, &v, &ended);
    if (v.state == TxnState::kDecided && (ended || v.set.empty())) {
      v.state = TxnState::kEnded;
    }
    return v;
  }

  [[nodiscard]] Gtid watermark() const {
    Gtid highest = G(0, 0);
    for (const Record& record : history_) {
      if (const auto* water = std::get_if<WatermarkRecord>(&record)) {
        highest = std::max(highest, water->gtid);
      }
    }
    return highest;
  }

 private:
  static void Step(const Record& record, const Gtid& gtid, Verdict* v, bool* ended) {
    const bool open = v->state == TxnState::kUnknown || v->state == TxnState::kEnlisted;
    if (v->state == TxnState::kForgotten) return;
    if (const auto* staged = std::get_if<StagedRecord>(&record)) {
      if (staged->gtid != gtid || !open) return;
      v->state = TxnState::kStaged;
      v->mode = staged->mode;
      const bool enlisted_more =
          std::any_of(v->set.begin(), v->set.end(), [staged](const BranchId& enlisted) {
            return std::find(staged->branches.begin(), staged->branches.end(),
                             enlisted) == staged->branches.end();
          });
      v->set.insert(staged->branches.begin(), staged->branches.end());
      if (!staged->all_prepared || enlisted_more) return;
      v->state = TxnState::kDecided;
      v->outcome = Outcome::kCommitted;
    } else if (const auto* enlisted = std::get_if<EnlistedRecord>(&record)) {
      if (enlisted->branch.gtid != gtid || !open) return;
      v->state = TxnState::kEnlisted;
      v->set.insert(enlisted->branch);
    } else if (const auto* decided = std::get_if<DecidedRecord>(&record)) {
      if (decided->gtid != gtid || v->state == TxnState::kDecided) return;
      if (open && decided->outcome == Outcome::kCommitted) return;
      v->state = TxnState::kDecided;
      v->outcome = decided->outcome;
      v->cause = decided->cause;
    } else if (const auto* end = std::get_if<EndedRecord>(&record)) {
      if (v->state != TxnState::kDecided) return;
      const auto& gtids = end->gtids;
      *ended = *ended || std::find(gtids.begin(), gtids.end(), gtid) != gtids.end();
    } else if (const auto* water = std::get_if<WatermarkRecord>(&record)) {
      if (gtid <= water->gtid) v->state = TxnState::kForgotten;
    }
  }

  [[nodiscard]] Gtid Capped(Gtid wanted) const {
    std::set<Gtid> named;
    for (const Record& record : history_) {
      if (const auto* staged = std::get_if<StagedRecord>(&record)) {
        named.insert(staged->gtid);
      }
    }
    for (const Gtid& gtid : named) {
      const Verdict v = Ask(gtid);
      const bool holds =
          v.state == TxnState::kStaged ||
          (v.state == TxnState::kDecided && v.outcome == Outcome::kCommitted);
      if (holds && gtid <= wanted) wanted = G(gtid.term.value(), gtid.sequence - 1);
    }
    return std::max(wanted, watermark());
  }

  std::vector<Record> history_;
};

class TableModelTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  Gtid AnyGtid() { return G(1 + random_.Below(3), 1 + random_.Below(6)); }
  BranchId AnyBranch(const Gtid& g) {
    const BranchId all[] = {A(g), B(g), C(g)};
    return all[random_.Below(3)];
  }
  std::vector<BranchId> AnyBranches(const Gtid& g) {
    std::vector<BranchId> branches;
    for (uint64_t i = random_.Below(4); i > 0; --i) branches.push_back(AnyBranch(g));
    return branches;
  }

  Record AnyStaged(const Gtid& g) {
    StagedRecord record{g, AnyBranches(g), random_.Below(9),
                        static_cast<CommitMode>(1 + random_.Below(2))};
    record.all_prepared = !record.branches.empty() && random_.Percent(30);
    return record;
  }

  Record AnyRecord() {
    const Gtid g = AnyGtid();
    switch (random_.Below(12)) {
      case 0:
      case 1:
      case 2:
        return AnyStaged(g);
      case 3:
      case 4:
        return DecidedRecord{g, Outcome::kCommitted, AbortCause::kNone, "", ""};
      case 5:
      case 6:
        return DecidedRecord{g, Outcome::kAborted,
                             static_cast<AbortCause>(1 + random_.Below(7)), "x", ""};
      case 7:
      case 8:
        return EndedRecord{{g, AnyGtid()}};
      case 9:
      case 10:
        return EnlistedRecord{AnyBranch(g)};
      default:
        return random_.Percent(20) ? WatermarkRecord{g} : WatermarkRecord{G(1, 0)};
    }
  }

  void Compare(const TransactionTable& table) {
    ASSERT_EQ(table.watermark(), naive_.watermark());
    for (uint64_t term = 1; term <= 3; ++term) {
      for (uint64_t sequence = 1; sequence <= 6; ++sequence) {
        const Gtid g = G(term, sequence);
        const auto verdict = naive_.Ask(g);
        ASSERT_EQ(table.StateOf(g), verdict.state) << g;
        CompareSettled(table, g, verdict);
      }
    }
  }

  static void CompareSettled(const TransactionTable& table, const Gtid& g,
                             const NaiveTable::Verdict& verdict) {
    const bool settled =
        verdict.state == TxnState::kDecided || verdict.state == TxnState::kEnded;
    const auto found = table.FindSettled(g);
    ASSERT_EQ(found.has_value(), settled) << g;
    if (settled) {
      ASSERT_EQ(found->outcome, verdict.outcome) << g;
      ASSERT_EQ(found->cause, verdict.cause) << g;
    }
    for (const BranchId& branch : {A(g), B(g), C(g)}) {
      const bool member = settled && verdict.outcome == Outcome::kCommitted &&
                          verdict.set.contains(branch);
      ASSERT_EQ(table.InCommittedSet(branch), member) << branch;
    }
    const auto* entry = table.FindLive(g);
    if (verdict.state == TxnState::kStaged) {
      ASSERT_EQ(entry->mode, verdict.mode) << g;
      ASSERT_EQ(std::set<BranchId>(entry->branches.begin(), entry->branches.end()),
                verdict.set);
    }
  }

  Random random_{GetParam()};
  NaiveTable naive_;
};

TEST_P(TableModelTest, AnyRecords_AgreeWithTheNaiveReadingAndWithASnapshot) {
  TransactionTable table(kGroup);
  TransactionTable restored(kGroup);
  // Taken at some point, and looked at when everything is over.
  std::unique_ptr<group::SnapshotSource> early;
  std::string seen_then;
  for (uint64_t index = 1; index <= 120; ++index) {
    if (index == 60) {
      early = table.TakeSnapshot();
      seen_then = EncodeSnapshot(&table);
    }
    const Record record = AnyRecord();
    SCOPED_TRACE(Describe(record));
    table.Apply(LogIndex(index), record);
    restored.Apply(LogIndex(index), record);
    naive_.Apply(record);
    Compare(table);
    if (HasFatalFailure()) return;
    ASSERT_EQ(table.Hash(), restored.Hash());
    if (random_.Percent(10)) {
      auto copy = DecodeSnapshot(EncodeSnapshot(&restored));
      ASSERT_TRUE(copy.ok()) << copy.status();
      restored = *std::move(copy);
    }
  }
  EXPECT_EQ(EncodeSnapshot(&table), EncodeSnapshot(&restored));
  ByteWriter seen_now;
  while (const auto portion = early->Next()) seen_now.Bytes(*portion);
  EXPECT_EQ(seen_now.str(), seen_then);
}

INSTANTIATE_TEST_SUITE_P(Seeds, TableModelTest, ::testing::Range<uint64_t>(1, 201));

}  // namespace
}  // namespace concordat::txn
