// A KV bank behind an interface whose methods a test can bend.
#ifndef TESTS_UNIT_CLIENT_FORWARDING_BANK_H_
#define TESTS_UNIT_CLIENT_FORWARDING_BANK_H_

#include <string>
#include <utility>
#include <vector>

#include "participant/resources/kv/kv_resource_manager.h"
#include "tests/unit/client/banks.h"

namespace concordat::client {

class ForwardingBank : public participant::ResourceManager {
 public:
  template <class T>
  using Callback = participant::Callback<T>;

  explicit ForwardingBank(const std::string& dir) : bank_(dir, SmallBank()) {}

  [[nodiscard]] std::string_view kind() const override { return bank_.kind(); }
  void Recover(ClusterId cluster,
               Callback<absl::StatusOr<std::vector<BranchId>>> done) override {
    bank_.Recover(cluster, std::move(done));
  }
  absl::Status Start(const BranchId& branch,
                     const participant::StartOptions& options) override {
    return bank_.Start(branch, options);
  }
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done) override {
    bank_.Execute(branch, request, std::move(done));
  }
  void End(const BranchId& branch) override { bank_.End(branch); }
  void Prepare(const BranchId& branch,
               Callback<participant::PrepareResult> done) override {
    bank_.Prepare(branch, std::move(done));
  }
  void Commit(const BranchId& branch, Callback<participant::FinishResult> done) override {
    bank_.Commit(branch, std::move(done));
  }
  void CommitOnePhase(const BranchId& branch,
                      Callback<participant::OnePhaseResult> done) override {
    bank_.CommitOnePhase(branch, std::move(done));
  }
  void Rollback(const BranchId& branch,
                Callback<participant::FinishResult> done) override {
    bank_.Rollback(branch, std::move(done));
  }
  void LookUp(const BranchId& branch, Callback<participant::Evidence> done) override {
    bank_.LookUp(branch, std::move(done));
  }
  void ForgetBelow(const Gtid& watermark) override { bank_.ForgetBelow(watermark); }
  void Close() override { bank_.Close(); }

 private:
  participant::kv::KvResourceManager bank_;
};

}  // namespace concordat::client

#endif  // TESTS_UNIT_CLIENT_FORWARDING_BANK_H_
