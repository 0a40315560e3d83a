// How long a snapshot of the transactions holds up the loop: when it is taken, while its
// portions are encoded on another thread, and when one is put into place.
//
//   snapshot_bench [OUTCOMES ...]         1,000,000 and 4,000,000 when none is said
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/base/check.h"
#include "coordinator/txn/core.h"
#include "tests/support/processes.h"

namespace concordat::bench {
using namespace concordat::testing;  // NOLINT
namespace {

constexpr GroupId kGroup{1};
constexpr size_t kEndedAtOnce = 256;

// Applies transactions of two branches, from the first record to the last.
class Load {
 public:
  explicit Load(txn::Core* core) : core_(core) {}

  void RunOne() {
    const Gtid gtid{kGroup, Term(1), ++sequence_};
    const std::vector<BranchId> branches = {{gtid, "bank-a", Incarnation(7), sequence_},
                                            {gtid, "bank-b", Incarnation(9), sequence_}};
    Apply(txn::StagedRecord{gtid, branches, 10'000, CommitMode::kDecided});
    Apply(txn::DecidedRecord{gtid, Outcome::kCommitted});
    ended_.gtids.push_back(gtid);
    if (ended_.gtids.size() < kEndedAtOnce) return;
    Apply(ended_);
    ended_.gtids.clear();
  }
  [[nodiscard]] LogIndex index() const { return index_; }

 private:
  void Apply(const txn::Record& record) {
    index_ = index_.Next();
    const absl::Status applied =
        core_->Apply(index_, txn::EncodeRecord(record), Timestamp());
    CONCORDAT_CHECK(applied.ok()) << applied.message();
  }

  txn::Core* core_;
  LogIndex index_;
  uint64_t sequence_ = 0;
  txn::EndedRecord ended_;
};

void Measure(size_t outcomes) {
  txn::Core core(kGroup, txn::CoreOptions());
  Load load(&core);
  for (size_t i = 0; i < outcomes; ++i) load.RunOne();

  const double begun = NowSeconds();
  std::unique_ptr<group::SnapshotSource> source = core.TakeSnapshot();
  const LogIndex at = load.index();
  const double taken = NowSeconds();
  std::vector<std::string> portions;
  double encoded = 0;
  std::thread encoder([&] {
    while (auto portion = source->Next()) portions.push_back(*std::move(portion));
    source.reset();
    encoded = NowSeconds();
  });
  double longest = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double before = NowSeconds();
    load.RunOne();
    longest = std::max(longest, NowSeconds() - before);
  }
  encoder.join();
  size_t bytes = 0;
  for (const std::string& portion : portions) bytes += portion.size();

  std::unique_ptr<group::SnapshotRestore> restore = core.BeginRestore(at);
  const double restoring = NowSeconds();
  for (const std::string& portion : portions) {
    CONCORDAT_CHECK(restore->Append(portion).ok());
  }
  CONCORDAT_CHECK(restore->Finish().ok());
  const double restored = NowSeconds();
  restore->Install();
  const double installed = NowSeconds();
  restore.reset();
  const double dropped = NowSeconds();
  std::printf("%8zu outcomes, %.1f MB in %zu portions\n", outcomes,
              static_cast<double>(bytes) / 1e6, portions.size());
  std::printf(
      "  on the loop:   taken %.2f ms; longest transaction meanwhile %.2f ms; "
      "installed %.3f ms\n",
      (taken - begun) * 1e3, longest * 1e3, (installed - restored) * 1e3);
  std::printf(
      "  on the thread: encoded %.0f ms; restored %.0f ms; old state let go %.0f "
      "ms\n",
      (encoded - taken) * 1e3, (restored - restoring) * 1e3, (dropped - installed) * 1e3);
  std::fflush(stdout);
}

}  // namespace
}  // namespace concordat::bench

int main(int argc, char** argv) {
  if (argc == 1) {
    concordat::bench::Measure(1'000'000);
    concordat::bench::Measure(4'000'000);
  }
  for (int i = 1; i < argc; ++i) {
    concordat::bench::Measure(std::strtoull(argv[i], nullptr, 10));
  }
  return 0;
}
