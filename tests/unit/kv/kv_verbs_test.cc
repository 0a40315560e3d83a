// What the verbs do, within one branch and between branches.
#include "tests/unit/kv/kv_fixture.h"

namespace concordat::participant::kv {
namespace {

using wire::Code;

TEST_F(KvTest, Put_IsReadBackInTheBranchAndAfterCommitByOthers) {
  Open();
  const BranchId id = Start(1);
  wire::ExecuteReply reply = Execute(id, {Get("a"), Put("a", "1"), Get("a")});
  ASSERT_EQ(reply.result.code, Code::OK);
  EXPECT_TRUE(reply.kv[0].pairs.empty());
  EXPECT_EQ(reply.kv[2].pairs[0].value, "1");
  EXPECT_EQ(reply.kv[2].pairs[0].version, 0);
  EXPECT_EQ(Prepare(id).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(id).state, FinishState::kDone);
  EXPECT_EQ(Read("a"), "1");
}

TEST_F(KvTest, Versions_GrowWithEveryChangeAlsoOverADeletion) {
  Open();
  int64_t last = 0;
  uint64_t sequence = 0;
  for (int i = 0; i < 3; ++i) {
    Write(++sequence, {Put("a", "same")});
    const BranchId id = Start(++sequence);
    const int64_t version = Execute(id, {Get("a")}).kv[0].pairs[0].version;
    EXPECT_GT(version, last);
    last = version;
    Prepare(id);
    Write(++sequence, {Delete("a")});
  }
}

TEST_F(KvTest, Rollback_LeavesNothing) {
  Open();
  Write(1, {Put("a", "1"), Put("b", "1")});
  const BranchId id = Start(2);
  MustExecute(id, {Put("a", "2"), Delete("b"), Put("c", "2")});
  EXPECT_EQ(Rollback(id).state, FinishState::kDone);
  EXPECT_EQ(Read("a"), "1");
  EXPECT_EQ(Read("b"), "1");
  EXPECT_EQ(Read("c"), "(none)");
  EXPECT_EQ(rm_->stats().locked_keys, 0u);
}

TEST_F(KvTest, RollbackAfterPrepare_LeavesNothing) {
  Open();
  Write(1, {Put("a", "1")});
  const BranchId id = Start(2);
  MustExecute(id, {Put("a", "2")});
  EXPECT_EQ(Prepare(id).vote, Vote::kPrepared);
  EXPECT_EQ(Rollback(id).state, FinishState::kDone);
  EXPECT_EQ(Read("a"), "1");
  Restart();
  EXPECT_TRUE(in_doubt_.empty());
  EXPECT_EQ(Read("a"), "1");
}

TEST_F(KvTest, AddIfAtLeast_RefusesToOverdraw) {
  Open();
  Write(1, {Put("account", "100")});
  const BranchId id = Start(2);
  wire::ExecuteReply reply = Execute(id, {Add("account", -60, 0)});
  ASSERT_EQ(reply.result.code, Code::OK);
  EXPECT_EQ(reply.kv[0].sum, 40);
  reply = Execute(id, {Add("account", -41, 0)});
  EXPECT_EQ(reply.result.code, Code::CONDITION_FAILED);
  reply = Execute(id, {Add("account", -40, 0)});
  EXPECT_EQ(reply.kv[0].sum, 0);
}

TEST_F(KvTest, AddIfAtLeast_NoValueCountsAsZeroAndNoBoundIsNoBound) {
  Open();
  const BranchId id = Start(1);
  EXPECT_EQ(Execute(id, {Add("n", -5)}).kv[0].sum, -5);
  EXPECT_EQ(Execute(id, {Add("m", -1, 0)}).result.code, Code::CONDITION_FAILED);
}

TEST_F(KvTest, AddIfAtLeast_OverflowIsRefused) {
  Open();
  Write(1, {Put("max", "9223372036854775807"), Put("min", "-9223372036854775808")});
  const BranchId id = Start(2);
  EXPECT_EQ(Execute(id, {Add("max", 1)}).result.code, Code::CONDITION_FAILED);
  EXPECT_EQ(Execute(id, {Add("min", -1)}).result.code, Code::CONDITION_FAILED);
  EXPECT_EQ(Execute(id, {Add("max", -1)}).kv[0].sum, INT64_MAX - 1);
}

TEST_F(KvTest, AddIfAtLeast_OfSomethingElseThanAnIntegerIsInvalid) {
  Open();
  for (const std::string value :
       {"", " 1", "1 ", "1.5", "x", "+1", "0x1", "9223372036854775808"}) {
    SCOPED_TRACE(value);
    const BranchId id = Start(++last_number_ + 10);
    MustExecute(id, {Put("k", value)});
    EXPECT_EQ(Execute(id, {Add("k", 1)}).result.code, Code::INVALID);
    Rollback(id);
  }
}

TEST_F(KvTest, CompareAndSet_NeedsTheExpectedValue) {
  Open();
  const BranchId id = Start(1);
  EXPECT_EQ(Execute(id, {CompareAndSet("k", "1", "2")}).result.code,
            Code::CONDITION_FAILED);
  MustExecute(id, {CompareAndSet("k", std::nullopt, "1")});
  EXPECT_EQ(Execute(id, {CompareAndSet("k", std::nullopt, "2")}).result.code,
            Code::CONDITION_FAILED);
  EXPECT_EQ(Execute(id, {CompareAndSet("k", "0", "2")}).result.code,
            Code::CONDITION_FAILED);
  MustExecute(id, {CompareAndSet("k", "1", "2")});
}

TEST_F(KvTest, FailedOperation_UndoesItsCallAndNothingElse) {
  Open();
  Write(1, {Put("a", "1"), Put("d", "1")});
  const BranchId id = Start(2);
  MustExecute(id, {Put("a", "2"), Put("b", "2")});
  const wire::ExecuteReply reply =
      Execute(id, {Put("a", "3"), Put("b", "3"), Delete("d"), Put("c", "3"),
                   Add("account", -1, 0), Put("e", "never")});
  EXPECT_EQ(reply.result.code, Code::CONDITION_FAILED);
  EXPECT_EQ(reply.result.message.substr(0, 12), "operation 5:");
  EXPECT_FALSE(reply.__isset.kv);
  EXPECT_EQ(Prepare(id).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(id).state, FinishState::kDone);
  EXPECT_EQ(Read("a"), "2");
  EXPECT_EQ(Read("b"), "2");
  EXPECT_EQ(Read("c"), "(none)");
  EXPECT_EQ(Read("d"), "1");
}

TEST_F(KvTest, Range_MergesOwnWritesWithCommittedRows) {
  Open();
  Write(1, {Put("a", "1"), Put("b", "1"), Put("d", "1"), Put("z", "1")});
  const BranchId id = Start(2);
  MustExecute(id, {Delete("a"), Put("b", "2"), Put("c", "2")});
  const auto pairs = Execute(id, {Range("a", "z")}).kv[0].pairs;
  ASSERT_EQ(pairs.size(), 3u);
  EXPECT_EQ(pairs[0].key, "b");
  EXPECT_EQ(pairs[0].value, "2");
  EXPECT_EQ(pairs[1].key, "c");
  EXPECT_EQ(pairs[2].key, "d");
  EXPECT_EQ(Execute(id, {Range("a", "")}).kv[0].pairs.size(), 4u);
  EXPECT_EQ(Execute(id, {Range("a", "", 2)}).kv[0].pairs.size(), 2u);
  EXPECT_EQ(Execute(id, {Range("a", "", 0)}).result.code, Code::INVALID);
}

TEST_F(KvTest, ReadOnlyBranch_VotesReadOnlyWithoutAFlush) {
  Open();
  Write(1, {Put("a", "1")});
  const uint64_t flushes = rm_->flush_count();
  const BranchId id = Start(2);
  MustExecute(id, {Get("a"), Range("", ""), Delete("not there")});
  EXPECT_EQ(Prepare(id).vote, Vote::kReadOnly);
  EXPECT_EQ(rm_->flush_count(), flushes);
  EXPECT_EQ(rm_->stats().locked_keys, 0u);
  EXPECT_EQ(rm_->stats().branches, 0u);
  const BranchId alone = Start(3);
  MustExecute(alone, {Get("a")});
  EXPECT_EQ(CommitOnePhase(alone).outcome, OnePhase::kReadOnly);
}

TEST_F(KvTest, WrongCalls_AreInvalidAndTheBranchLivesOn) {
  options_.shard.operations.max_key_bytes = 10;
  options_.shard.operations.max_value_bytes = 10000;
  Open();
  const BranchId id = Start(1);
  EXPECT_EQ(Execute(id, {Put(std::string(11, 'k'), "v")}).result.code, Code::INVALID);
  EXPECT_EQ(Execute(id, {Put("k", std::string(10001, 'v'))}).result.code, Code::INVALID);
  wire::KvOperation no_value = Get("k");
  no_value.verb = wire::KvVerb::PUT;
  EXPECT_EQ(Execute(id, {no_value}).result.code, Code::INVALID);
  // Together more than a branch may write.
  MustExecute(id, {Put("a", std::string(9000, 'v'))});
  EXPECT_EQ(Execute(id, {Put("b", std::string(9000, 'v'))}).result.code, Code::INVALID);
  Call sql;
  sql.request.__set_sql({});
  rm_->Execute(id, sql.request, sql.reply.callback());
  EXPECT_EQ(sql.reply.Get().result.code, Code::INVALID);
  EXPECT_EQ(Prepare(id).vote, Vote::kPrepared);
}

TEST_F(KvTest, Start_KnowsItsIsolation) {
  Open();
  const BranchId id{MakeGtid(1), "bank", Incarnation(9), 1000};
  EXPECT_TRUE(absl::IsInvalidArgument(rm_->Start(id, {MakeGtid(1), "snapshot"})));
  EXPECT_TRUE(rm_->Start(id, {MakeGtid(1), "serializable"}).ok());
}

// --- between branches ---

TEST_F(KvTest, YoungerBranch_WaitsForTheOlderOne) {
  Open();
  const BranchId older = Start(1);
  const BranchId younger = Start(2);
  MustExecute(older, {Put("k", "old")});
  const auto call = Begin(younger, {Get("k"), Put("k", "young")});
  EXPECT_FALSE(call->reply.WaitFor(Duration::Millis(20)));
  EXPECT_EQ(Prepare(older).vote, Vote::kPrepared);
  EXPECT_FALSE(call->reply.WaitFor(Duration::Millis(20)));
  EXPECT_EQ(Commit(older).state, FinishState::kDone);
  EXPECT_EQ(call->reply.Get().kv[0].pairs[0].value, "old");
}

TEST_F(KvTest, YoungerBranch_LosesToTheOlderAndIsToldAtItsNextCall) {
  Open();
  const BranchId older = Start(1);
  const BranchId by_execute = Start(2);
  const BranchId by_prepare = Start(3);
  const BranchId by_commit = Start(4);
  const BranchId by_rollback = Start(5);
  MustExecute(by_execute, {Put("a", "x")});
  MustExecute(by_prepare, {Put("b", "x")});
  MustExecute(by_commit, {Put("c", "x")});
  MustExecute(by_rollback, {Put("d", "x")});
  MustExecute(older, {Add("a", 1), Add("b", 1), Add("c", 1), Add("d", 1)});
  EXPECT_EQ(Execute(by_execute, {Get("z")}).result.code, Code::CONFLICT);
  EXPECT_EQ(Execute(by_execute, {Get("z")}).result.code, Code::BRANCH_GONE);
  EXPECT_EQ(Prepare(by_prepare).vote, Vote::kConflict);
  EXPECT_EQ(CommitOnePhase(by_commit).outcome, OnePhase::kConflict);
  EXPECT_EQ(Rollback(by_rollback).state, FinishState::kDone);
  EXPECT_EQ(Prepare(older).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(older).state, FinishState::kDone);
  EXPECT_EQ(rm_->stats().branches, 0u);
  EXPECT_EQ(Read("b"), "1");
}

TEST_F(KvTest, WaitingBranch_ThatIsWounded_GetsConflict) {
  Open();
  const BranchId oldest = Start(1);
  const BranchId older = Start(2);
  const BranchId younger = Start(3);
  MustExecute(older, {Put("a", "1")});
  MustExecute(younger, {Put("b", "1")});
  const auto waits = Begin(younger, {Put("a", "2")});
  EXPECT_FALSE(waits->reply.ready());
  MustExecute(oldest, {Put("b", "2")});
  EXPECT_EQ(waits->reply.Get().result.code, Code::CONFLICT);
  EXPECT_EQ(rm_->stats().branches, 2u);
}

TEST_F(KvTest, PreparedBranch_IsNeverWounded) {
  Open();
  const BranchId older = Start(1);
  const BranchId younger = Start(2);
  MustExecute(younger, {Put("k", "young")});
  EXPECT_EQ(Prepare(younger).vote, Vote::kPrepared);
  const auto call = Begin(older, {Get("k")});
  EXPECT_FALSE(call->reply.WaitFor(Duration::Millis(20)));
  EXPECT_EQ(Commit(younger).state, FinishState::kDone);
  EXPECT_EQ(call->reply.Get().kv[0].pairs[0].value, "young");
}

TEST_F(KvTest, RollbackWhileACallWaits_EndsTheCall) {
  Open();
  const BranchId older = Start(1);
  const BranchId younger = Start(2);
  MustExecute(older, {Put("k", "1")});
  const auto call = Begin(younger, {Put("k", "2")});
  EXPECT_EQ(Rollback(younger).state, FinishState::kDone);
  EXPECT_EQ(call->reply.Get().result.code, Code::BRANCH_GONE);
}

// Half of a range must never look like all of it.
TEST_F(KvTest, Range_OfMorePairsThanTheShardAllows_IsRefusedNotTruncated) {
  options_.shard.operations.max_range_pairs = 3;
  Open();
  Write(1, {Put("a", "1"), Put("b", "2"), Put("c", "3")});
  const BranchId id = Start(10);
  EXPECT_EQ(Execute(id, {Range("a", "")}).kv.at(0).pairs.size(), 3u);
  EXPECT_EQ(Execute(id, {Range("a", "", 3)}).kv.at(0).pairs.size(), 3u);
  const auto too_large = Execute(id, {Range("a", "", 4)});
  EXPECT_EQ(too_large.result.code, Code::INVALID);
  EXPECT_NE(too_large.result.message.find("1 to 3"), std::string::npos);
  MustExecute(id, {Put("d", "4")});
  const auto too_many = Execute(id, {Range("a", "")});
  EXPECT_EQ(too_many.result.code, Code::INVALID);
  EXPECT_NE(too_many.result.message.find("more than 3 pairs"), std::string::npos);
  EXPECT_EQ(Execute(id, {Range("b", "")}).kv.at(0).pairs.size(), 3u);
  EXPECT_EQ(Execute(id, {Range("a", "", 2)}).kv.at(0).pairs.size(), 2u);
}

TEST_F(KvTest, BranchThatLocksTooManyKeys_IsRefusedAndLives) {
  options_.shard.max_branch_locks = 3;
  Open();
  const BranchId id = Start(10);
  MustExecute(id, {Put("a", "1"), Get("b"), Range("c", "d")});
  const auto reply = Execute(id, {Get("e")});
  EXPECT_EQ(reply.result.code, Code::INVALID);
  EXPECT_NE(reply.result.message.find("more than 3 keys"), std::string::npos);
  EXPECT_EQ(Prepare(id).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(id).state, FinishState::kDone);
}

TEST_F(KvTest, Range_SeesNoPhantoms) {
  Open();
  Write(1, {Put("a", "1"), Put("c", "1")});
  const BranchId scanner = Start(2);
  EXPECT_EQ(Execute(scanner, {Range("a", "z")}).kv[0].pairs.size(), 2u);
  const BranchId writer = Start(3);
  const auto call = Begin(writer, {Put("b", "new")});
  EXPECT_FALSE(call->reply.WaitFor(Duration::Millis(20)));
  EXPECT_EQ(Execute(scanner, {Range("a", "z")}).kv[0].pairs.size(), 2u);
  EXPECT_EQ(Prepare(scanner).vote, Vote::kReadOnly);
  EXPECT_EQ(call->reply.Get().result.code, Code::OK);
}

TEST_F(KvTest, Range_WithALimit_LocksOnlyWhatItHasSeen) {
  Open();
  Write(1, {Put("a", "1"), Put("c", "1"), Put("e", "1")});
  const BranchId scanner = Start(2);
  EXPECT_EQ(Execute(scanner, {Range("a", "", 2)}).kv[0].pairs.size(), 2u);
  const BranchId writer = Start(3);
  MustExecute(writer, {Put("d", "new")});
  const auto call = Begin(writer, {Put("b", "new")});
  EXPECT_FALSE(call->reply.WaitFor(Duration::Millis(20)));
}

TEST_F(KvTest, Range_WaitsForAnInsertInIt) {
  Open();
  const BranchId writer = Start(1);
  MustExecute(writer, {Put("b", "new")});
  const BranchId scanner = Start(2);
  const auto call = Begin(scanner, {Range("a", "z")});
  EXPECT_FALSE(call->reply.WaitFor(Duration::Millis(20)));
  EXPECT_EQ(Prepare(writer).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(writer).state, FinishState::kDone);
  EXPECT_EQ(call->reply.Get().kv[0].pairs.size(), 1u);
}

TEST_F(KvTest, OnePhaseCommit_IsSeenByNobodyBeforeItIsDurable) {
  Open();
  Mutex mutex;
  ConditionVariable changed;
  bool hold = true;
  env_.SetSyncHook([&] {
    MutexLock lock(&mutex);
    while (hold) changed.Wait(&mutex);
  });
  const BranchId id = Start(1);
  MustExecute(id, {Put("k", "1")});
  Later<OnePhaseResult> done;
  rm_->CommitOnePhase(id, done.callback());
  const BranchId reader = Start(2);
  const auto read = Begin(reader, {Get("k")});
  EXPECT_FALSE(read->reply.WaitFor(Duration::Millis(30)));
  EXPECT_FALSE(done.ready());
  {
    MutexLock lock(&mutex);
    hold = false;
    changed.NotifyAll();
  }
  EXPECT_EQ(done.Get().outcome, OnePhase::kCommitted);
  EXPECT_EQ(read->reply.Get().kv[0].pairs[0].value, "1");
  env_.SetSyncHook(nullptr);
}

TEST_F(KvTest, SecondBranchOfTheSameTransaction_IsAConflictAtOnce) {
  Open();
  const BranchId a = Start(1);
  const BranchId b = Start(1);
  MustExecute(a, {Put("k", "1")});
  EXPECT_EQ(Execute(b, {Put("k", "2")}).result.code, Code::CONFLICT);
}

// The answer would not fit into a frame: the caller would not even learn its branch's id.
TEST_F(KvTest, AnswerThatIsTooLarge_IsRefusedAndTheCallChangesNothing) {
  const std::string large(500 << 10, 'v');
  options_ = KvOptions();
  Open();
  Write(1, {Put("a", large), Put("b", large)});
  const BranchId id = Start(2);
  const wire::ExecuteReply reply = Execute(id, {Put("c", "1"), Get("a"), Get("b")});
  EXPECT_EQ(reply.result.code, Code::INVALID);
  EXPECT_NE(reply.result.message.find("operation 3: the answer"), std::string::npos);
  MustExecute(id, {Get("a")});
  EXPECT_EQ(Prepare(id).vote, Vote::kReadOnly);
}

}  // namespace
}  // namespace concordat::participant::kv
