// A KV shard on a disk that can fail, and calls that wait for their answers.
#ifndef TESTS_UNIT_KV_KV_FIXTURE_H_
#define TESTS_UNIT_KV_KV_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/base/check.h"
#include "coordinator/base/fault_env.h"
#include "coordinator/base/mutex.h"
#include "participant/resources/kv/kv_resource_manager.h"
#include "tests/support/later.h"

namespace concordat::participant::kv {

using testing::Later;

inline wire::KvOperation Get(std::string key) {
  wire::KvOperation op;
  op.verb = wire::KvVerb::GET;
  op.key = std::move(key);
  return op;
}
inline wire::KvOperation Put(std::string key, std::string value) {
  wire::KvOperation op;
  op.verb = wire::KvVerb::PUT;
  op.key = std::move(key);
  op.__set_value(std::move(value));
  return op;
}
inline wire::KvOperation Delete(std::string key) {
  wire::KvOperation op;
  op.verb = wire::KvVerb::DELETE;
  op.key = std::move(key);
  return op;
}
inline wire::KvOperation Add(std::string key, int64_t delta,
                             std::optional<int64_t> at_least = std::nullopt) {
  wire::KvOperation op;
  op.verb = wire::KvVerb::ADD_IF_AT_LEAST;
  op.key = std::move(key);
  op.__set_delta(delta);
  if (at_least) op.__set_at_least(*at_least);
  return op;
}
inline wire::KvOperation CompareAndSet(std::string key,
                                       std::optional<std::string> expected,
                                       std::string value) {
  wire::KvOperation op;
  op.verb = wire::KvVerb::COMPARE_AND_SET;
  op.key = std::move(key);
  if (expected) op.__set_expected(*expected);
  op.__set_value(std::move(value));
  return op;
}
inline wire::KvOperation Range(std::string from, std::string to,
                               std::optional<int32_t> limit = std::nullopt) {
  wire::KvOperation op;
  op.verb = wire::KvVerb::RANGE;
  op.key = std::move(from);
  op.__set_end_key(std::move(to));
  if (limit) op.__set_limit(*limit);
  return op;
}

// A request that is valid as long as its call.
struct Call {
  wire::ExecuteRequest request;
  Later<wire::ExecuteReply> reply;
};

class KvTest : public ::testing::Test {
 protected:
  static constexpr ClusterId kCluster{77};

  static KvOptions SmallOptions() {
    KvOptions options;
    options.shard.max_branch_bytes = 16 << 10;
    options.segment_bytes = 64 << 10;
    options.reserve_bytes = 64 << 10;
    options.queue_bytes = 64 << 10;
    options.checkpoint_bytes = 1ull << 40;  // only when a test asks
    return options;
  }

  ~KvTest() override { rm_.reset(); }

  absl::Status TryOpen(ClusterId cluster = kCluster) {
    rm_ = std::make_unique<KvResourceManager>("/kv", &env_, options_);
    Later<absl::StatusOr<std::vector<BranchId>>> recovered;
    rm_->Recover(cluster, recovered.callback());
    const auto result = recovered.Get();
    if (result.ok()) in_doubt_ = *result;
    return result.status();
  }
  void Open() {
    const absl::Status status = TryOpen();
    ASSERT_TRUE(status.ok()) << status;
  }
  // As after kill -9: everything that was written is there, and we have closed nothing
  // properly.
  void Restart() {
    rm_.reset();
    Open();
  }

  static Gtid MakeGtid(uint64_t sequence) { return Gtid{GroupId(1), Term(3), sequence}; }
  BranchId Start(uint64_t sequence) {
    const BranchId id{MakeGtid(sequence), "bank", Incarnation(9), ++last_number_};
    const absl::Status status = rm_->Start(id, {MakeGtid(sequence), ""});
    EXPECT_TRUE(status.ok()) << status;
    return id;
  }
  std::unique_ptr<Call> Begin(const BranchId& id, std::vector<wire::KvOperation> ops) {
    auto call = std::make_unique<Call>();
    call->request.__set_kv(std::move(ops));
    rm_->Execute(id, call->request, call->reply.callback());
    return call;
  }
  wire::ExecuteReply Execute(const BranchId& id, std::vector<wire::KvOperation> ops) {
    return Begin(id, std::move(ops))->reply.Get();
  }
  void MustExecute(const BranchId& id, std::vector<wire::KvOperation> ops) {
    const wire::ExecuteReply reply = Execute(id, std::move(ops));
    ASSERT_EQ(reply.result.code, wire::Code::OK) << reply.result.message;
  }
  PrepareResult Prepare(const BranchId& id) {
    Later<PrepareResult> result;
    rm_->End(id);
    rm_->Prepare(id, result.callback());
    return result.Get();
  }
  FinishResult Commit(const BranchId& id) {
    Later<FinishResult> result;
    rm_->Commit(id, result.callback());
    return result.Get();
  }
  FinishResult Rollback(const BranchId& id) {
    Later<FinishResult> result;
    rm_->Rollback(id, result.callback());
    return result.Get();
  }
  OnePhaseResult CommitOnePhase(const BranchId& id) {
    Later<OnePhaseResult> result;
    rm_->End(id);
    rm_->CommitOnePhase(id, result.callback());
    return result.Get();
  }
  Evidence LookUp(const BranchId& id) {
    Later<Evidence> result;
    rm_->LookUp(id, result.callback());
    return result.Get();
  }
  // A committed transaction of its own.
  void Write(uint64_t sequence, std::vector<wire::KvOperation> ops) {
    const BranchId id = Start(sequence);
    MustExecute(id, std::move(ops));
    ASSERT_EQ(Prepare(id).vote, Vote::kPrepared);
    ASSERT_EQ(Commit(id).state, FinishState::kDone);
  }
  // What is committed; waits for locks.
  std::string Read(const std::string& key) {
    const BranchId id = Start(++read_sequence_);
    const wire::ExecuteReply reply = Execute(id, {Get(key)});
    EXPECT_EQ(reply.result.code, wire::Code::OK) << reply.result.message;
    EXPECT_EQ(Prepare(id).vote, Vote::kReadOnly);
    const auto& pairs = reply.kv.at(0).pairs;
    return pairs.empty() ? "(none)" : pairs[0].value;
  }

  FaultEnv env_{1};
  KvOptions options_ = SmallOptions();
  std::unique_ptr<KvResourceManager> rm_;
  std::vector<BranchId> in_doubt_;
  uint64_t last_number_ = 0;
  uint64_t read_sequence_ = 1'000'000;  // younger than all others
};

}  // namespace concordat::participant::kv

#endif  // TESTS_UNIT_KV_KV_FIXTURE_H_
