// A resource over a switch in a library, in a folder of its own, and calls that wait.
#ifndef TESTS_UNIT_XA_FIXTURE_H_
#define TESTS_UNIT_XA_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "participant/resources/xa/xa_resource_manager.h"
#include "tests/support/later.h"
#include "tests/support/processes.h"

namespace concordat::participant::xa {

using testing::Later;

inline constexpr ClusterId kCluster{0xc0ffee};

inline BranchId MakeBranch(uint64_t number, uint64_t sequence = 1) {
  BranchId branch;
  branch.gtid = Gtid{GroupId(1), Term(1), sequence};
  branch.resource = "ledger";
  branch.incarnation = Incarnation(7);
  branch.number = number;
  return branch;
}

// Names of the libraries that the tests are built with.
struct Library {
  std::string library = XA_SQLITE_LIBRARY;
  std::string xa = "sqlite_switch";
  std::string work_library;
  std::string work = "sqlite_work";
};

class XaFixture : public ::testing::Test {
 protected:
  XaFixture() : dir_("/tmp") {
    options_.resource = "ledger";
    options_.dir = dir_.path() + "/evidence";
    options_.open_info = dir_.path() + "/ledger.db";
  }
  ~XaFixture() override { Close(); }

  void Close() {
    if (manager_ != nullptr) manager_->Close();
    manager_.reset();
  }
  // A new incarnation of the resource.
  absl::StatusOr<std::vector<BranchId>> Open(const Library& words = {},
                                             ClusterId cluster = kCluster) {
    Close();
    const auto library =
        LoadSwitch(words.library, words.xa, words.work_library, words.work);
    if (!library.ok()) return library.status();
    manager_ = std::make_unique<XaResourceManager>(*library, options_);
    Later<absl::StatusOr<std::vector<BranchId>>> done;
    manager_->Recover(cluster, done.callback());
    return done.Get();
  }

  wire::ExecuteReply Execute(const BranchId& branch, const std::string& work) {
    wire::ExecuteRequest request;
    request.__set_opaque(work);
    Later<wire::ExecuteReply> done;
    manager_->Execute(branch, request, done.callback());
    return done.Get();
  }
  // A branch that has done this work.
  BranchId Begin(uint64_t number, const std::string& work, uint64_t sequence = 1) {
    const BranchId branch = MakeBranch(number, sequence);
    EXPECT_TRUE(manager_->Start(branch, {}).ok());
    const wire::ExecuteReply reply = Execute(branch, work);
    EXPECT_EQ(reply.result.code, wire::Code::OK) << reply.result.message;
    return branch;
  }
  Vote Prepare(const BranchId& branch) {
    Later<PrepareResult> done;
    manager_->Prepare(branch, done.callback());
    return done.Get().vote;
  }
  FinishState Commit(const BranchId& branch) {
    Later<FinishResult> done;
    manager_->Commit(branch, done.callback());
    return done.Get().state;
  }
  FinishState Rollback(const BranchId& branch) {
    Later<FinishResult> done;
    manager_->Rollback(branch, done.callback());
    return done.Get().state;
  }
  OnePhase CommitOnePhase(const BranchId& branch) {
    Later<OnePhaseResult> done;
    manager_->CommitOnePhase(branch, done.callback());
    return done.Get().outcome;
  }
  Evidence LookUp(const BranchId& branch) {
    Later<Evidence> done;
    manager_->LookUp(branch, done.callback());
    return done.Get();
  }
  // What a branch of its own reads.
  std::string Read(const std::string& work) {
    const BranchId branch = MakeBranch(++readers_ + 1'000'000);
    EXPECT_TRUE(manager_->Start(branch, {}).ok());
    const std::string answer = Execute(branch, work).opaque;
    EXPECT_EQ(Rollback(branch), FinishState::kDone);
    return answer;
  }

  testing::TempDir dir_;
  XaOptions options_;
  std::unique_ptr<XaResourceManager> manager_;
  uint64_t readers_ = 0;
};

}  // namespace concordat::participant::xa

#endif  // TESTS_UNIT_XA_FIXTURE_H_
