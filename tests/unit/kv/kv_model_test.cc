// Random branches against a plain map. Strict two-phase locking promises that what
// committed branches saw and wrote is the same as if they had run one after another in
// the order in which they prepared: at that moment each held all its locks.
#include <algorithm>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/random.h"
#include "tests/unit/kv/kv_fixture.h"

namespace concordat::participant::kv {
namespace {

using wire::Code;
using wire::KvVerb;

using Map = std::map<std::string, std::string>;

// One call and its answer.
struct Step {
  std::vector<wire::KvOperation> operations;
  wire::ExecuteReply reply;
};

struct History {
  std::vector<Step> steps;
  bool committed = false;
};

struct Running {
  BranchId id;
  uint64_t age = 0;
  std::unique_ptr<Call> call;
  size_t history = 0;
};

// The meaning of the verbs in the simplest form.
class Model {
 public:
  void Replay(const History& history) {
    for (const Step& step : history.steps) ReplayStep(step);
  }
  Map map;

 private:
  void ReplayStep(const Step& step) {
    const Map before = map;
    for (size_t i = 0; i < step.operations.size(); ++i) {
      wire::KvResult result;
      const bool ok = ReplayOperation(step.operations[i], &result);
      if (!ok) {
        ASSERT_EQ(step.reply.result.code, Code::CONDITION_FAILED);
        map = before;
        return;
      }
      if (step.reply.result.code == Code::OK) Compare(result, step.reply.kv[i]);
    }
    ASSERT_EQ(step.reply.result.code, Code::OK) << step.reply.result.message;
  }

  static void Compare(const wire::KvResult& want, const wire::KvResult& got) {
    ASSERT_EQ(want.sum, got.sum);
    ASSERT_EQ(want.pairs.size(), got.pairs.size());
    for (size_t i = 0; i < want.pairs.size(); ++i) {
      ASSERT_EQ(want.pairs[i].key, got.pairs[i].key);
      ASSERT_EQ(want.pairs[i].value, got.pairs[i].value);
    }
  }

  bool ReplayOperation(const wire::KvOperation& op, wire::KvResult* result) {
    const auto it = map.find(op.key);
    switch (op.verb) {
      case KvVerb::GET:
        if (it != map.end()) AddPair(*it, result);
        return true;
      case KvVerb::PUT:
        map[op.key] = op.value;
        return true;
      case KvVerb::DELETE:
        map.erase(op.key);
        return true;
      case KvVerb::ADD_IF_AT_LEAST: {
        int64_t present = 0;
        if (it != map.end() && !absl::SimpleAtoi(it->second, &present)) ADD_FAILURE();
        if (op.__isset.at_least && present + op.delta < op.at_least) return false;
        result->__set_sum(present + op.delta);
        map[op.key] = std::to_string(present + op.delta);
        return true;
      }
      case KvVerb::COMPARE_AND_SET:
        if (op.__isset.expected != (it != map.end())) return false;
        if (it != map.end() && it->second != op.expected) return false;
        map[op.key] = op.value;
        return true;
      case KvVerb::RANGE:
        for (const auto& pair : map) {
          if (pair.first < op.key || (!op.end_key.empty() && pair.first >= op.end_key)) {
            continue;
          }
          if (result->pairs.size() < static_cast<size_t>(op.limit)) AddPair(pair, result);
        }
        return true;
    }
    return false;
  }

  static void AddPair(const std::pair<const std::string, std::string>& pair,
                      wire::KvResult* result) {
    wire::KvPair& out = result->pairs.emplace_back();
    out.key = pair.first;
    out.value = pair.second;
  }
};

class KvModelTest : public KvTest {
 protected:
  void RunSeed(uint64_t seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    random_ = Random(seed);
    Open();
    for (int i = 0; i < 400 && !HasFailure(); ++i) {
      Collect();
      if (random_.Below(100) == 0) {
        CrashAndRecover();
      } else if (random_.Below(100) == 0) {
        ASSERT_TRUE(rm_->Checkpoint().ok());
      } else if (running_.size() < 6 && random_.Percent(40)) {
        Begin();
      } else {
        Act();
      }
    }
    Finish();
  }

 private:
  static std::string Key(uint64_t n) { return absl::StrCat("k", n); }

  void Begin() {
    Running branch;
    branch.age = ++last_age_;
    branch.id = Start(branch.age);
    branch.history = histories_.size();
    histories_.emplace_back();
    running_.push_back(std::move(branch));
  }

  wire::KvOperation RandomOperation() {
    const std::string key = Key(random_.Below(8));
    const std::string value = std::to_string(random_.Below(20));
    switch (random_.Below(8)) {
      case 0:
        return Put(key, value);
      case 1:
        return Delete(key);
      case 2:
        return CompareAndSet(key, value, "7");
      case 3:
        return CompareAndSet(key, std::nullopt, value);
      case 4:
        return Range(Key(random_.Below(8)), Key(9), 1 + random_.Below(4));
      case 5:
        return Add(key, random_.Between(-9, 9), 0);
      case 6:
        return Add(key, random_.Between(-9, 9));
      default:
        return Get(key);
    }
  }

  static wire::KvOperation Range(std::string from, std::string to, uint64_t limit) {
    return kv::Range(std::move(from), std::move(to), static_cast<int32_t>(limit));
  }

  // One branch that does not wait does something.
  void Act() {
    std::vector<size_t> free;
    for (size_t i = 0; i < running_.size(); ++i) {
      if (running_[i].call == nullptr) free.push_back(i);
    }
    if (free.empty()) return Unblock();
    const size_t index = free[random_.Below(free.size())];
    const uint64_t choice = random_.Below(10);
    if (choice < 6) {
      std::vector<wire::KvOperation> operations;
      for (uint64_t i = 0; i <= random_.Below(3); ++i) {
        operations.push_back(RandomOperation());
      }
      running_[index].call = KvTest::Begin(running_[index].id, std::move(operations));
    } else if (choice < 7) {
      Rollback(running_[index].id);
      Remove(index);
    } else {
      End(index, choice == 7);
    }
  }

  void Remove(size_t index) {
    running_.erase(running_.begin() + static_cast<ptrdiff_t>(index));
  }

  void End(size_t index, bool one_phase) {
    const BranchId id = running_[index].id;
    const size_t history = running_[index].history;
    Remove(index);
    if (one_phase) {
      const OnePhase outcome = CommitOnePhase(id).outcome;
      if (outcome == OnePhase::kConflict) return;  // wounded
      histories_[history].committed = true;
      order_.push_back(history);
      return;
    }
    const Vote vote = Prepare(id).vote;
    if (vote == Vote::kConflict) return;
    order_.push_back(history);
    histories_[history].committed = vote == Vote::kReadOnly || random_.Percent(80);
    if (vote == Vote::kReadOnly) return;
    prepared_.emplace_back(id, history);
    if (random_.Percent(70)) SettleOne();
  }

  void SettleOne() {
    const auto [id, history] = prepared_.back();
    prepared_.pop_back();
    const FinishResult result = histories_[history].committed ? Commit(id) : Rollback(id);
    ASSERT_EQ(result.state, FinishState::kDone) << result.detail;
  }

  // Collects the answers that have come.
  void Collect() {
    if (!prepared_.empty() && random_.Percent(30)) SettleOne();
    for (size_t i = running_.size(); i-- > 0;) {
      Running& branch = running_[i];
      if (branch.call == nullptr || !branch.call->reply.ready()) continue;
      Step step{branch.call->request.kv, branch.call->reply.Get()};
      branch.call.reset();
      if (step.reply.result.code == Code::CONFLICT) {
        ++conflicts_;
        Remove(i);
      } else if (step.reply.result.code == Code::INVALID) {
        FAIL() << step.reply.result.message;
      } else {
        histories_[branch.history].steps.push_back(std::move(step));
      }
    }
  }

  // All branches wait, or there is none. They wait for an answer that is there already,
  // or for a branch in doubt; anything else is a deadlock.
  void Unblock() {
    for (const Running& branch : running_) {
      if (branch.call->reply.ready()) return;
    }
    if (!prepared_.empty()) return SettleOne();
    // A branch that is committed in one phase releases its locks on the log's thread.
    for (int i = 0; i < 1000; ++i) {
      for (const Running& branch : running_) {
        if (branch.call->reply.WaitFor(Duration::Millis(1))) return;
      }
    }
    ASSERT_TRUE(running_.empty()) << "all wait: a deadlock";
  }

  void CrashAndRecover() {
    Restart();
    running_.clear();
    std::vector<BranchId> expected;
    for (const auto& [id, history] : prepared_) expected.push_back(id);
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(in_doubt_, expected);
  }

  void Finish() {
    while (!prepared_.empty()) SettleOne();
    for (const Running& branch : running_) Rollback(branch.id);
    Model model;
    for (const size_t history : order_) {
      if (histories_[history].committed) model.Replay(histories_[history]);
    }
    for (uint64_t i = 0; i < 8; ++i) {
      const auto it = model.map.find(Key(i));
      ASSERT_EQ(Read(Key(i)), it == model.map.end() ? "(none)" : it->second);
    }
    committed_ += order_.size();
  }

 protected:
  size_t conflicts_ = 0;
  size_t committed_ = 0;

 private:
  Random random_{0};
  uint64_t last_age_ = 0;
  std::vector<Running> running_;
  std::vector<std::pair<BranchId, size_t>> prepared_;
  std::vector<History> histories_;
  std::vector<size_t> order_;
};

// Each seed is a test of its own, so that one that fails names itself.
class KvModelSeedTest : public KvModelTest, public ::testing::WithParamInterface<int> {};

TEST_P(KvModelSeedTest, CommittedBranches_AreSerializable) {
  RunSeed(static_cast<uint64_t>(GetParam()));
  EXPECT_GT(committed_, 20u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, KvModelSeedTest, ::testing::Range(1, 61));

}  // namespace
}  // namespace concordat::participant::kv
