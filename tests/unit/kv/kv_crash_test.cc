// The power fails at every step of a workload: what was acknowledged is there, what was
// prepared is in doubt with its locks, and there is nothing else.
#include <pthread.h>

#include <atomic>
#include <map>
#include <set>
#include <stdexcept>
#include <thread>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "tests/unit/kv/kv_fixture.h"

namespace concordat::participant::kv {
namespace {

struct PowerOff : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::atomic<bool> power_is_off{false};
std::thread::id test_thread;

// The machine loses power: the thread that notices it ends, as all others would.
void OnStorageFailed(std::string_view what) {
  power_is_off = true;
  if (std::this_thread::get_id() == test_thread) throw PowerOff(std::string(what));
  pthread_exit(nullptr);
}

// What a branch was asked, and what it has answered.
enum class Asked : uint8_t { kNothing, kPrepare, kCommit, kRollback, kOnePhase };
struct Fate {
  std::vector<std::string> keys;
  Asked asked = Asked::kNothing;
  bool prepared = false;  // acknowledged
  bool ended = false;     // commit, rollback or one-phase commit acknowledged
};

class KvCrashTest : public KvTest {
 protected:
  KvCrashTest() {
    test_thread = std::this_thread::get_id();
    before_ = SetFatalIoHandlerForTest(OnStorageFailed);
  }
  ~KvCrashTest() override {
    rm_.reset();
    SetFatalIoHandlerForTest(before_);
  }

  template <class T>
  static T Wait(Later<T> later) {
    for (int i = 0; i < 100'000; ++i) {
      if (later.WaitFor(Duration::Millis(1))) return later.Get();
      if (power_is_off) throw PowerOff("while waiting");
    }
    throw std::logic_error("no answer, and the power is on");
  }

  void OpenOrDie(FaultEnv* env) {
    rm_ = std::make_unique<KvResourceManager>("/kv", env, options_);
    Later<absl::StatusOr<std::vector<BranchId>>> recovered;
    rm_->Recover(kCluster, recovered.callback());
    const auto result = Wait(recovered);
    if (!result.ok()) throw PowerOff(std::string(result.status().message()));
    in_doubt_ = *result;
  }

  BranchId Work(std::vector<std::string> keys) {
    const BranchId id = Start(++sequence_);
    fates_[id].keys = keys;
    Call call;
    std::vector<wire::KvOperation> operations;
    for (const std::string& key : keys) operations.push_back(Put(key, ToString(id)));
    call.request.__set_kv(std::move(operations));
    rm_->Execute(id, call.request, call.reply.callback());
    CONCORDAT_CHECK(call.reply.Get().result.code == wire::Code::OK);
    return id;
  }
  void Prepare(const BranchId& id) {
    fates_[id].asked = Asked::kPrepare;
    Later<PrepareResult> vote;
    rm_->Prepare(id, vote.callback());
    CONCORDAT_CHECK(Wait(vote).vote == Vote::kPrepared);
    fates_[id].prepared = true;
  }
  void Commit(const BranchId& id) {
    fates_[id].asked = Asked::kCommit;
    order_.push_back(id);
    Later<FinishResult> done;
    rm_->Commit(id, done.callback());
    CONCORDAT_CHECK(Wait(done).state == FinishState::kDone);
    fates_[id].ended = true;
  }
  void Rollback(const BranchId& id) {
    fates_[id].asked = Asked::kRollback;
    Later<FinishResult> done;
    rm_->Rollback(id, done.callback());
    CONCORDAT_CHECK(Wait(done).state == FinishState::kDone);
    fates_[id].ended = true;
  }
  void OnePhase(const BranchId& id) {
    fates_[id].asked = Asked::kOnePhase;
    order_.push_back(id);
    Later<OnePhaseResult> done;
    rm_->CommitOnePhase(id, done.callback());
    CONCORDAT_CHECK(Wait(done).outcome == participant::OnePhase::kCommitted);
    fates_[id].ended = true;
  }

  // Each branch writes two keys of its own and one that all share.
  void Workload(FaultEnv* env) {
    OpenOrDie(env);
    std::vector<BranchId> held;
    for (int i = 0; i < 24; ++i) {
      const BranchId id = Work({absl::StrCat("a", i), absl::StrCat("b", i),
                                i % 4 == 3 ? absl::StrCat("c", i) : "shared"});
      switch (i % 4) {
        case 0:
          OnePhase(id);
          break;
        case 1:
          Prepare(id);
          Commit(id);
          break;
        case 2:
          Prepare(id);
          Rollback(id);
          break;
        case 3:
          Prepare(id);
          held.push_back(id);
          break;
      }
      if (i == 9 || i == 17) CONCORDAT_CHECK(rm_->Checkpoint().ok());
      if (i == 13) Commit(held[0]);
      if (i == 19) Rollback(held[1]);
    }
  }

  // Called after the crash: the state of each branch fits what it was asked and answered.
  void Check() {
    const std::set<BranchId> in_doubt(in_doubt_.begin(), in_doubt_.end());
    for (auto& [id, fate] : fates_) {
      SCOPED_TRACE(ToString(id));
      const Evidence evidence = LookUp(id);
      const bool there = in_doubt.contains(id);
      EXPECT_EQ(there, evidence == Evidence::kPrepared);
      switch (fate.asked) {
        case Asked::kNothing:
          EXPECT_EQ(evidence, Evidence::kNone);
          break;
        case Asked::kPrepare:
          if (fate.prepared) {
            EXPECT_TRUE(there);
          } else {
            EXPECT_TRUE(there || evidence == Evidence::kNone);
          }
          break;
        case Asked::kCommit:
          EXPECT_TRUE(evidence == Evidence::kCommitted || (there && !fate.ended));
          break;
        case Asked::kRollback:
          EXPECT_TRUE(evidence == Evidence::kNone || (there && !fate.ended));
          break;
        case Asked::kOnePhase:
          EXPECT_TRUE(evidence == Evidence::kCommittedAlone ||
                      (evidence == Evidence::kNone && !fate.ended));
          break;
      }
      committed_[id] =
          evidence == Evidence::kCommitted || evidence == Evidence::kCommittedAlone;
      if (there) CheckLocks(fate);
    }
  }

  void CheckLocks(const Fate& fate) {
    const BranchId reader = Start(++sequence_);
    const auto call = Begin(reader, {Get(fate.keys[0])});
    EXPECT_FALSE(call->reply.WaitFor(Duration::Micros(200)));
    KvTest::Rollback(reader);
  }

  // Ends the branches in doubt as they were to be ended, and reads everything.
  void SettleAndRead() {
    for (const BranchId& id : in_doubt_) {
      const bool commit = fates_[id].asked == Asked::kCommit;
      committed_[id] = commit;
      const FinishResult result = commit ? KvTest::Commit(id) : KvTest::Rollback(id);
      ASSERT_EQ(result.state, FinishState::kDone) << result.detail;
    }
    std::string shared = "(none)";
    for (const BranchId& id : order_) {
      if (committed_[id] && fates_[id].keys[2] == "shared") shared = ToString(id);
    }
    EXPECT_EQ(Read("shared"), shared);
    for (const auto& [id, fate] : fates_) {
      for (const std::string& key : fate.keys) {
        if (key == "shared") continue;
        EXPECT_EQ(Read(key), committed_[id] ? ToString(id) : "(none)") << key;
      }
    }
  }

  // False: the workload ended before the power failed.
  bool RunUntil(uint64_t operation, uint64_t seed) {
    FaultEnv env(seed);
    power_is_off = false;
    fates_.clear();
    order_.clear();
    committed_.clear();
    env.PowerOffAfter(operation);
    bool finished = false;
    try {
      Workload(&env);
      finished = true;
    } catch (const PowerOff&) {
    }
    rm_.reset();
    env.Crash();
    power_is_off = false;
    OpenOrDie(&env);
    Check();
    SettleAndRead();
    rm_.reset();
    return !finished;
  }

  FatalIoHandler before_ = nullptr;
  uint64_t sequence_ = 0;
  std::map<BranchId, Fate> fates_;
  std::vector<BranchId> order_;  // in the order of the commits that were asked for
  std::map<BranchId, bool> committed_;
};

TEST_F(KvCrashTest, PowerOffAtEveryStep_KeepsWhatWasAcknowledgedAndNothingElse) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    uint64_t operation = 0;
    while (RunUntil(operation, seed * 1000 + operation) && !HasFailure()) ++operation;
    SCOPED_TRACE(absl::StrCat("seed ", seed, " operation ", operation));
    ASSERT_FALSE(HasFailure());
    EXPECT_GT(operation, 60u) << "the workload is too short to show anything";
  }
}

}  // namespace
}  // namespace concordat::participant::kv
