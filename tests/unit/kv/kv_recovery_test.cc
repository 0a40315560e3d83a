// Restarts, crashes, checkpoints and full disks.
#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/unit/kv/kv_fixture.h"

namespace concordat::participant::kv {
namespace {

using wire::Code;

TEST_F(KvTest, Scenario24_PreparedBranch_IsInDoubtAfterRestartWithItsLocks) {
  Open();
  Write(1, {Put("k", "1")});
  const BranchId id = Start(2);
  MustExecute(id, {Put("k", "2"), Put("new", "2")});
  EXPECT_EQ(Prepare(id).vote, Vote::kPrepared);
  Restart();
  EXPECT_EQ(in_doubt_, std::vector<BranchId>{id});
  EXPECT_EQ(LookUp(id), Evidence::kPrepared);
  const BranchId other = Start(1);  // older, and still has to wait
  const auto call = Begin(other, {Get("k"), Get("new")});
  EXPECT_FALSE(call->reply.WaitFor(Duration::Millis(20)));
  EXPECT_EQ(Commit(id).state, FinishState::kDone);
  const wire::ExecuteReply reply = call->reply.Get();
  EXPECT_EQ(reply.kv[0].pairs[0].value, "2");
  EXPECT_EQ(reply.kv[1].pairs[0].value, "2");
}

TEST_F(KvTest, Scenario23_BranchThatHadNotPrepared_IsNotThereAfterRestart) {
  Open();
  const BranchId id = Start(1);
  MustExecute(id, {Put("k", "1")});
  Restart();
  EXPECT_TRUE(in_doubt_.empty());
  EXPECT_EQ(LookUp(id), Evidence::kNone);
  EXPECT_EQ(Prepare(id).vote, Vote::kLost);
  EXPECT_EQ(Read("k"), "(none)");
}

TEST_F(KvTest, Scenario25_CommittedBranch_LeavesEvidenceOverARestart) {
  Open();
  const BranchId two = Start(1);
  MustExecute(two, {Put("a", "1")});
  Prepare(two);
  EXPECT_EQ(Commit(two).state, FinishState::kDone);
  const BranchId one = Start(2);
  MustExecute(one, {Put("b", "1")});
  EXPECT_EQ(CommitOnePhase(one).outcome, OnePhase::kCommitted);
  const BranchId none = Start(3);
  MustExecute(none, {Put("c", "1")});
  Prepare(none);
  EXPECT_EQ(Rollback(none).state, FinishState::kDone);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(LookUp(two), Evidence::kCommitted);
    EXPECT_EQ(LookUp(one), Evidence::kCommittedAlone);
    EXPECT_EQ(LookUp(none), Evidence::kNone);
    if (i == 0) Restart();
  }
  EXPECT_EQ(Read("a"), "1");
  EXPECT_EQ(Read("b"), "1");
}

TEST_F(KvTest, Evidence_IsForgottenBelowTheWatermarkInBlocks) {
  Open();
  const BranchId old = Start(10);
  MustExecute(old, {Put("a", "1")});
  CommitOnePhase(old);
  const BranchId young = Start(5000);
  MustExecute(young, {Put("b", "1")});
  CommitOnePhase(young);
  rm_->ForgetBelow(MakeGtid(4000));
  EXPECT_EQ(LookUp(old), Evidence::kNone);
  EXPECT_EQ(LookUp(young), Evidence::kCommittedAlone);
  rm_->ForgetBelow(Gtid{GroupId(2), Term(9), 1'000'000});  // of another group
  EXPECT_EQ(LookUp(young), Evidence::kCommittedAlone);
}

TEST_F(KvTest, Checkpoint_HoldsEverything) {
  Open();
  Write(1, {Put("a", "1"), Put("b", "1"), Put("empty", "")});
  Write(2, {Delete("b")});
  const BranchId prepared = Start(3);
  MustExecute(prepared, {Put("a", "2")});
  Prepare(prepared);
  const BranchId alone = Start(4);
  MustExecute(alone, {Put("c", "1")});
  CommitOnePhase(alone);
  ASSERT_TRUE(rm_->Checkpoint().ok());
  Write(5, {Put("after", "1")});
  Restart();
  EXPECT_EQ(in_doubt_, std::vector<BranchId>{prepared});
  EXPECT_EQ(LookUp(alone), Evidence::kCommittedAlone);
  EXPECT_EQ(Read("b"), "(none)");
  EXPECT_EQ(Read("empty"), "");
  EXPECT_EQ(Read("c"), "1");
  EXPECT_EQ(Read("after"), "1");
  EXPECT_EQ(Commit(prepared).state, FinishState::kDone);
  Restart();
  EXPECT_EQ(Read("a"), "2");
}

TEST_F(KvTest, Checkpoint_LetsGoOfTheLog) {
  options_.checkpoint_bytes = 300 << 10;
  Open();
  const std::string value(4000, 'v');
  for (uint64_t i = 1; i <= 1000; ++i) Write(i, {Put(absl::StrCat(i % 20), value)});
  // 4 MB were written; about one checkpoint and the reserve are kept.
  EXPECT_LT(env_.used_bytes(), 2u << 20);
  Restart();
  EXPECT_EQ(rm_->stats().rows, 20u);
  EXPECT_EQ(Read("7"), value);
}

TEST_F(KvTest, Checkpoint_CountsWhatEarlierLivesHaveWritten) {
  options_.checkpoint_bytes = 300 << 10;
  Open();
  uint64_t sequence = 0;
  for (int life = 0; life < 8; ++life) {
    for (int i = 0; i < 25; ++i) Write(++sequence, {Put("k", std::string(4000, 'v'))});
    Restart();
  }
  EXPECT_TRUE(env_.OpenReadOnly("/kv/checkpoint").ok());
}

TEST_F(KvTest, Checkpoint_MadeWhileOthersCommit_IsConsistent) {
  Open();
  // Large rows, so that a checkpoint takes several chunks, with commits between them.
  const std::string padding(3000, 'p');
  uint64_t sequence = 0;
  for (int i = 0; i < 300; ++i) Write(++sequence, {Put(absl::StrCat("row", i), padding)});
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    // The sum over the two accounts never changes.
    uint64_t number = 1'000'000;
    int64_t moved = 0;
    while (!stop.load()) {
      const BranchId id{MakeGtid(500'000 + ++number), "bank", Incarnation(10), number};
      ASSERT_TRUE(rm_->Start(id, {id.gtid, ""}).ok());
      MustExecute(id, {Add("row-a", -1), Put(absl::StrCat("row", number % 300), padding),
                       Add("zzz", 1), Delete(absl::StrCat("row", (number + 7) % 300))});
      if (number % 2 == 0) {
        ASSERT_EQ(CommitOnePhase(id).outcome, OnePhase::kCommitted);
      } else {
        ASSERT_EQ(Prepare(id).vote, Vote::kPrepared);
        ASSERT_EQ(Commit(id).state, FinishState::kDone);
      }
      ++moved;
    }
    ASSERT_GT(moved, 10);
  });
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(rm_->Checkpoint().ok());
    // The disk as a kill would leave it now.
    const std::unique_ptr<FaultEnv> disk = env_.Clone(static_cast<uint64_t>(i));
    KvResourceManager twin("/kv", disk.get(), options_);
    Later<absl::StatusOr<std::vector<BranchId>>> recovered;
    twin.Recover(kCluster, recovered.callback());
    const auto prepared = recovered.Get();
    ASSERT_TRUE(prepared.ok()) << prepared.status();
    for (const BranchId& branch : *prepared) {
      Later<FinishResult> done;
      twin.Commit(branch, done.callback());
      ASSERT_EQ(done.Get().state, FinishState::kDone);
    }
    const BranchId reader{MakeGtid(1), "bank", Incarnation(11), 1};
    ASSERT_TRUE(twin.Start(reader, {reader.gtid, ""}).ok());
    Call call;
    call.request.__set_kv({Add("row-a", 0), Add("zzz", 0)});
    twin.Execute(reader, call.request, call.reply.callback());
    const wire::ExecuteReply reply = call.reply.Get();
    ASSERT_EQ(reply.result.code, Code::OK);
    EXPECT_EQ(reply.kv[0].sum + reply.kv[1].sum, 0);
  }
  stop = true;
  writer.join();
}

// Threads wait in their flushes, except those that may pass. A thread may still be
// leaving its flush when the test has ended, so the state is shared.
class HeldFlushes {
 public:
  explicit HeldFlushes(FaultEnv* env) : env_(env) {
    env->SetSyncHook([state = state_] { state->Wait(); });
  }
  ~HeldFlushes() {
    env_->SetSyncHook(nullptr);
    MutexLock lock(&state_->mutex);
    state_->held = false;
    state_->changed.NotifyAll();
  }
  // Called on the thread that may pass.
  void MayPass() {
    MutexLock lock(&state_->mutex);
    state_->may_pass = std::this_thread::get_id();
  }
  void AwaitWaiting(int count) {
    for (int i = 0; i < 5000; ++i) {
      {
        MutexLock lock(&state_->mutex);
        if (state_->waiting >= count) return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ADD_FAILURE() << "nobody flushes";
  }

 private:
  struct State {
    void Wait() {
      MutexLock lock(&mutex);
      if (std::this_thread::get_id() == may_pass) return;
      ++waiting;
      while (held) changed.Wait(&mutex);
    }
    Mutex mutex;
    ConditionVariable changed;
    std::thread::id may_pass;
    bool held = true;
    int waiting = 0;
  };
  FaultEnv* const env_;
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

TEST_F(KvTest, Checkpoint_BegunDuringAOnePhaseCommit_HoldsIt) {
  Open();
  const BranchId id = Start(1);
  MustExecute(id, {Put("k", "1")});
  Later<OnePhaseResult> done;
  std::thread checkpoint;
  {
    HeldFlushes held(&env_);
    rm_->CommitOnePhase(id, done.callback());
    held.AwaitWaiting(1);  // the log's flush; the commit is not visible yet
    checkpoint = std::thread([this] { EXPECT_TRUE(rm_->Checkpoint().ok()); });
    held.AwaitWaiting(2);  // the checkpoint has been through rows and evidence
  }
  checkpoint.join();
  EXPECT_EQ(done.Get().outcome, OnePhase::kCommitted);
  Restart();
  EXPECT_EQ(LookUp(id), Evidence::kCommittedAlone);
  EXPECT_EQ(Read("k"), "1");
}

TEST_F(KvTest, Checkpoint_IsNotInstalledBeforeTheCommitsInItAreDurable) {
  Open();
  const BranchId id = Start(1);
  MustExecute(id, {Put("k", "1")});
  EXPECT_EQ(Prepare(id).vote, Vote::kPrepared);
  Later<FinishResult> done;
  std::thread checkpoint;
  {
    HeldFlushes held(&env_);
    rm_->Commit(id, done.callback());
    held.AwaitWaiting(1);
    checkpoint = std::thread([&] {
      held.MayPass();
      EXPECT_TRUE(rm_->Checkpoint().ok());
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_TRUE(env_.OpenReadOnly("/kv/checkpoint.new").ok());
    EXPECT_FALSE(env_.OpenReadOnly("/kv/checkpoint").ok());
    EXPECT_FALSE(done.ready());
  }
  checkpoint.join();
  EXPECT_EQ(done.Get().state, FinishState::kDone);
  EXPECT_TRUE(env_.OpenReadOnly("/kv/checkpoint").ok());
}

TEST_F(KvTest, DamagedCheckpoint_IsReportedAndNotServed) {
  Open();
  Write(1, {Put("a", "1")});
  ASSERT_TRUE(rm_->Checkpoint().ok());
  rm_.reset();
  const uint64_t size = ReadWholeFile(&env_, "/kv/checkpoint")->size();
  for (uint64_t offset = 0; offset < size; ++offset) {
    SCOPED_TRACE(offset);
    const std::unique_ptr<FaultEnv> disk = env_.Clone(offset);
    disk->FlipBit("/kv/checkpoint", offset, static_cast<int>(offset % 8));
    const auto state = ReadCheckpoint(disk.get(), "/kv");
    ASSERT_TRUE(absl::IsDataLoss(state.status())) << state.status();
    disk->FlipBit("/kv/checkpoint", offset, static_cast<int>(offset % 8));
    disk->Resize("/kv/checkpoint", offset);
    ASSERT_TRUE(absl::IsDataLoss(ReadCheckpoint(disk.get(), "/kv").status()));
  }
  env_.FlipBit("/kv/checkpoint", size / 2, 3);
  const absl::Status status = TryOpen();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_NE(status.message().find("/kv/checkpoint"), absl::string_view::npos);
}

TEST_F(KvTest, Folder_OfOthersIsRefused) {
  Open();
  rm_.reset();
  EXPECT_TRUE(absl::IsFailedPrecondition(TryOpen(ClusterId(78)))) << "another cluster";
  rm_.reset();
  ASSERT_TRUE(env_.Create("/kv/photo.jpg").ok());
  const absl::Status foreign = TryOpen();
  EXPECT_TRUE(absl::IsFailedPrecondition(foreign));
  EXPECT_NE(foreign.message().find("photo.jpg"), absl::string_view::npos);
  rm_.reset();
  ASSERT_TRUE(env_.Remove("/kv/photo.jpg").ok());
  Open();
  KvResourceManager second("/kv", &env_, options_);
  Later<absl::StatusOr<std::vector<BranchId>>> recovered;
  second.Recover(kCluster, recovered.callback());
  const absl::Status locked = recovered.Get().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(locked)) << locked;
}

// A missing mount must not make promises disappear.
TEST_F(KvTest, Scenario78_FolderWithoutItsLog_IsNotServedAsAnEmptyOne) {
  Open();
  rm_.reset();
  const auto files = env_.List("/kv/wal");
  ASSERT_TRUE(files.ok());
  for (const std::string& file : *files) ASSERT_TRUE(env_.Remove("/kv/wal/" + file).ok());
  const absl::Status missing = TryOpen();
  EXPECT_TRUE(absl::IsFailedPrecondition(missing)) << missing;
  EXPECT_NE(missing.message().find("/kv/wal does not hold log"), absl::string_view::npos);
  EXPECT_TRUE(env_.List("/kv/wal")->empty()) << "nothing was made";
}

TEST_F(KvTest, Close_RollsBackActiveBranchesAndKeepsPreparedOnes) {
  Open();
  const BranchId prepared = Start(1);
  MustExecute(prepared, {Put("a", "1")});
  Prepare(prepared);
  const BranchId active = Start(2);
  MustExecute(active, {Put("b", "1")});
  const BranchId waits = Start(3);
  const auto call = Begin(waits, {Put("b", "2")});
  Later<OnePhaseResult> committing;
  const BranchId alone = Start(4);
  MustExecute(alone, {Put("c", "1")});
  rm_->CommitOnePhase(alone, committing.callback());
  rm_->Close();
  EXPECT_EQ(call->reply.Get().result.code, Code::BRANCH_GONE);
  EXPECT_EQ(committing.Get().outcome, OnePhase::kCommitted);
  Restart();
  EXPECT_EQ(in_doubt_, std::vector<BranchId>{prepared});
  EXPECT_EQ(Read("b"), "(none)");
  EXPECT_EQ(Read("c"), "1");
}

TEST_F(KvTest, Scenario42_FullDisk_RefusesNewWorkAndFinishesWhatIsPromised) {
  Open();
  Write(1, {Put("a", "1")});
  std::vector<BranchId> prepared;
  for (uint64_t i = 2; i < 12; ++i) {
    prepared.push_back(Start(i));
    MustExecute(prepared.back(), {Put(absl::StrCat("k", i), std::string(3000, 'x'))});
    ASSERT_EQ(Prepare(prepared.back()).vote, Vote::kPrepared);
  }
  const BranchId early = Start(20);
  MustExecute(early, {Put("early", "1")});
  env_.SetCapacity(env_.used_bytes());
  // Fills what is left of the log. A branch may be refused at any step, but never hang.
  uint64_t sequence = 100;
  bool full = false;
  for (int i = 0; i < 1000 && !full; ++i) {
    const BranchId id{MakeGtid(++sequence), "bank", Incarnation(9), ++last_number_};
    const absl::Status started = rm_->Start(id, {id.gtid, ""});
    full = !started.ok();
    if (full) {
      EXPECT_TRUE(absl::IsResourceExhausted(started)) << started;
      break;
    }
    const Code::type code =
        Execute(id, {Put("fill", std::string(8000, 'x'))}).result.code;
    ASSERT_TRUE(code == Code::OK || code == Code::OVERLOADED);
    const Vote vote = Prepare(id).vote;
    if (vote == Vote::kPrepared) {
      ASSERT_EQ(Commit(id).state, FinishState::kDone);
    }
  }
  ASSERT_TRUE(full);
  EXPECT_EQ(Execute(early, {Put("early", "2")}).result.code, Code::OVERLOADED);
  EXPECT_EQ(Execute(early, {Get("a")}).result.code, Code::OK) << "reading needs no room";
  EXPECT_EQ(Prepare(early).vote, Vote::kRefused);
  for (size_t i = 0; i < prepared.size(); ++i) {
    const FinishResult result = i % 2 == 0 ? Commit(prepared[i]) : Rollback(prepared[i]);
    EXPECT_EQ(result.state, FinishState::kDone) << result.detail;
  }
  // There is room again.
  env_.SetCapacity(UINT64_MAX);
  absl::Status started;
  for (int i = 0; i < 500; ++i) {
    const BranchId id{MakeGtid(9999), "bank", Incarnation(9), ++last_number_};
    started = rm_->Start(id, {id.gtid, ""});
    if (started.ok()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(started.ok()) << started;
  Restart();
  EXPECT_TRUE(in_doubt_.empty());
  EXPECT_EQ(Read("k2"), std::string(3000, 'x'));
  EXPECT_EQ(Read("k3"), "(none)");
}

}  // namespace
}  // namespace concordat::participant::kv
