// A switch of our own over SQLite, loaded as a library, driven through every verb and
// every code that the specification has for it.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <sqlite3.h>

#include <future>
#include <thread>

#include "absl/strings/escaping.h"
#include "coordinator/base/fault_env.h"
#include "participant/resources/xa/codes.h"
#include "tests/unit/xa/fixture.h"

namespace concordat::participant::xa {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class XaTest : public XaFixture {
 protected:
  // Makes the switch's next call return a code: at once, or after its work.
  static void Plan(const char* call, int code, bool after) {
    Symbol<void(const char*, int, int)>("sqlite_switch_plan")(call, code, after ? 1 : 0);
  }
  static int Closes() { return Symbol<int()>("sqlite_switch_closes")(); }
  template <class Function>
  static Function* Symbol(const char* name) {
    void* library = dlopen(XA_SQLITE_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    CONCORDAT_CHECK(library != nullptr) << dlerror();
    return reinterpret_cast<Function*>(dlsym(library, name));
  }
  std::string Balance() { return Read("get a"); }

  // Runs SQL in a session of its own, without the switch.
  void Sql(const std::string& sql) const {
    sqlite3* file = nullptr;
    ASSERT_EQ(sqlite3_open(options_.open_info.c_str(), &file), SQLITE_OK);
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(file, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK)
        << error;
    sqlite3_close(file);
  }
};

TEST_F(XaTest, TwoPhases_CommitShowsAfterCommitOnly) {
  ASSERT_TRUE(Open().ok());
  const BranchId branch = Begin(1, "add a 5");
  EXPECT_EQ(Balance(), "0");
  EXPECT_EQ(Prepare(branch), Vote::kPrepared);
  EXPECT_EQ(Balance(), "0");
  EXPECT_EQ(Commit(branch), FinishState::kDone);
  EXPECT_EQ(Balance(), "5");
  EXPECT_EQ(LookUp(branch), Evidence::kCommitted);
  EXPECT_EQ(Commit(branch), FinishState::kDone) << "idempotent";
  EXPECT_EQ(Balance(), "5");
  EXPECT_EQ(manager_->flush_count(), 0u);
}

TEST_F(XaTest, Rollback_OfActiveAndOfPrepared_LeavesNothing) {
  ASSERT_TRUE(Open().ok());
  const BranchId active = Begin(1, "add a 5");
  EXPECT_EQ(Rollback(active), FinishState::kDone);
  const BranchId prepared = Begin(2, "add a 7");
  EXPECT_EQ(Prepare(prepared), Vote::kPrepared);
  EXPECT_EQ(LookUp(prepared), Evidence::kPrepared);
  EXPECT_EQ(Rollback(prepared), FinishState::kDone);
  EXPECT_EQ(LookUp(prepared), Evidence::kNone);
  EXPECT_EQ(Rollback(prepared), FinishState::kDone) << "idempotent";
  EXPECT_EQ(Balance(), "0");
}

TEST_F(XaTest, NothingWritten_VotesReadOnly) {
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Prepare(Begin(1, "get a")), Vote::kReadOnly);
  const BranchId idle = MakeBranch(2);
  ASSERT_TRUE(manager_->Start(idle, {}).ok());
  EXPECT_EQ(Prepare(idle), Vote::kReadOnly);
  EXPECT_EQ(CommitOnePhase(Begin(3, "get a")), OnePhase::kReadOnly);
  EXPECT_EQ(manager_->flush_count(), 0u);
}

TEST_F(XaTest, OnePhase_TheDecisionIsOnDiskFirst) {
  ASSERT_TRUE(Open().ok());
  const BranchId branch = Begin(1, "add a 5");
  EXPECT_EQ(CommitOnePhase(branch), OnePhase::kCommitted);
  EXPECT_EQ(Balance(), "5");
  EXPECT_EQ(manager_->flush_count(), 1u);
  EXPECT_EQ(LookUp(branch), Evidence::kCommittedAlone);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(LookUp(branch), Evidence::kCommittedAlone) << "after a restart";
}

TEST_F(XaTest,
       OnePhase_TheResourceManagerFailsBehindTheDecision_CommittedAtTheNextStart) {
  ASSERT_TRUE(Open().ok());
  const BranchId branch = Begin(1, "add a 5");
  Plan("xa_commit", XAER_RMFAIL, false);
  EXPECT_EQ(CommitOnePhase(branch), OnePhase::kUnknown);
  EXPECT_EQ(Balance(), "0");
  const auto prepared = Open();
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  EXPECT_THAT(*prepared, IsEmpty()) << "it is not in doubt";
  EXPECT_EQ(Balance(), "5");
  EXPECT_EQ(LookUp(branch), Evidence::kCommittedAlone);
}

TEST_F(XaTest, OnePhase_TheAnswerIsLost_CommittedOnce) {
  ASSERT_TRUE(Open().ok());
  const BranchId branch = Begin(1, "add a 5");
  Plan("xa_commit", XAER_RMFAIL, true);
  EXPECT_EQ(CommitOnePhase(branch), OnePhase::kUnknown);
  EXPECT_EQ(LookUp(branch), Evidence::kCommittedAlone);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Balance(), "5");
}

TEST_F(XaTest, OnePhase_RolledBackAllTheSame_IsSaidAndLeavesNoEvidence) {
  ASSERT_TRUE(Open().ok());
  const BranchId branch = Begin(1, "add a 5");
  Plan("xa_commit", XAER_RMERR, false);
  EXPECT_EQ(CommitOnePhase(branch), OnePhase::kRefused);
  EXPECT_NE(LookUp(branch), Evidence::kCommittedAlone);
}

TEST_F(XaTest, Work_Refused_TheBranchLivesOn) {
  ASSERT_TRUE(Open().ok());
  const BranchId branch = Begin(1, "add a 5");
  const wire::ExecuteReply reply = Execute(branch, "add b -1");
  EXPECT_EQ(reply.result.code, wire::Code::CONDITION_FAILED);
  EXPECT_EQ(reply.result.message, "not enough");
  EXPECT_EQ(Prepare(branch), Vote::kPrepared);
  EXPECT_EQ(Commit(branch), FinishState::kDone);
  EXPECT_EQ(Balance(), "5");
}

TEST_F(XaTest, Work_ConflictOrFailure_EndsTheBranchAndFreesTheThread) {
  options_.threads = 1;
  ASSERT_TRUE(Open().ok());
  const BranchId first = Begin(1, "add a 5");
  EXPECT_EQ(Execute(first, "conflict").result.code, wire::Code::CONFLICT);
  EXPECT_EQ(Execute(first, "get a").result.code, wire::Code::BRANCH_GONE);
  const BranchId second = Begin(2, "add a 5");
  EXPECT_EQ(Execute(second, "fail").result.code, wire::Code::RESOURCE_ERROR);
  EXPECT_EQ(Prepare(second), Vote::kLost);
  EXPECT_EQ(Balance(), "0");
}

TEST_F(XaTest, Work_ThatIsNotOpaque_IsRefused) {
  ASSERT_TRUE(Open().ok());
  const BranchId branch = Begin(1, "get a");
  wire::ExecuteRequest request;
  request.__isset.sql = true;
  Later<wire::ExecuteReply> done;
  manager_->Execute(branch, request, done.callback());
  EXPECT_EQ(done.Get().result.code, wire::Code::INVALID);
}

TEST_F(XaTest, Start_RolledBackOrFailing_IsSaid) {
  ASSERT_TRUE(Open().ok());
  Plan("xa_start", XA_RBDEADLOCK, false);
  ASSERT_TRUE(manager_->Start(MakeBranch(1), {}).ok());
  wire::ExecuteReply reply = Execute(MakeBranch(1), "get a");
  EXPECT_EQ(reply.result.code, wire::Code::CONFLICT);
  EXPECT_THAT(reply.result.message, HasSubstr("XA_RBDEADLOCK"));
  Plan("xa_start", XAER_RMFAIL, false);
  ASSERT_TRUE(manager_->Start(MakeBranch(2), {}).ok());
  EXPECT_EQ(Execute(MakeBranch(2), "get a").result.code, wire::Code::RESOURCE_ERROR);
  EXPECT_EQ(Balance(), "0") << "the thread opens the resource manager anew";
}

TEST_F(XaTest, Scenario101_PrepareRolledBack_SaysWhetherItMayGoWellAnotherTime) {
  ASSERT_TRUE(Open().ok());
  const BranchId branch = Begin(1, "add a 5");
  Plan("xa_prepare", XA_RBINTEGRITY, false);
  EXPECT_EQ(Prepare(branch), Vote::kRefused);
  const BranchId ended = Begin(2, "add a 5");
  Plan("xa_end", XA_RBTIMEOUT, true);
  EXPECT_EQ(Prepare(ended), Vote::kLost);
  const BranchId deadlocked = Begin(3, "add a 5");
  Plan("xa_prepare", XA_RBDEADLOCK, false);
  EXPECT_EQ(Prepare(deadlocked), Vote::kConflict);
  EXPECT_EQ(Balance(), "0");
}

TEST_F(XaTest, Prepare_TheAnswerIsLost_IsFoundOutNotGuessed) {
  ASSERT_TRUE(Open().ok());
  const BranchId there = Begin(1, "add a 5");
  Plan("xa_prepare", XAER_RMFAIL, true);
  EXPECT_EQ(Prepare(there), Vote::kUnavailable);
  EXPECT_EQ(Prepare(there), Vote::kPrepared);
  EXPECT_EQ(Commit(there), FinishState::kDone);

  const BranchId lost = Begin(2, "add a 7");
  Plan("xa_prepare", XAER_RMFAIL, false);
  EXPECT_EQ(Prepare(lost), Vote::kUnavailable);
  Plan("xa_recover", XAER_RMFAIL, false);
  EXPECT_EQ(Prepare(lost), Vote::kUnavailable);
  EXPECT_EQ(Prepare(lost), Vote::kLost);
  EXPECT_EQ(Balance(), "5");
}

TEST_F(XaTest, Commit_TheAnswerIsLost_IsRepeatedAndDoneOnce) {
  ASSERT_TRUE(Open().ok());
  const BranchId branch = Begin(1, "add a 5");
  EXPECT_EQ(Prepare(branch), Vote::kPrepared);
  Plan("xa_commit", XAER_RMFAIL, true);
  EXPECT_EQ(Commit(branch), FinishState::kRetry);
  EXPECT_EQ(Commit(branch), FinishState::kDone);
  EXPECT_EQ(Balance(), "5");
}

TEST_F(XaTest, AfterXaerRmfail_TheResourceManagerIsOpenedAnew) {
  ASSERT_TRUE(Open().ok());
  const BranchId branch = Begin(1, "add a 5");
  EXPECT_EQ(Prepare(branch), Vote::kPrepared);
  const int closes = Closes();
  Plan("xa_commit", XA_RETRY, false);
  EXPECT_EQ(Commit(branch), FinishState::kRetry);
  EXPECT_EQ(Closes(), closes);
  Plan("xa_commit", XAER_RMFAIL, false);
  EXPECT_EQ(Commit(branch), FinishState::kRetry);
  EXPECT_EQ(Closes(), closes + 1);
  EXPECT_EQ(Commit(branch), FinishState::kDone);
}

TEST(EvidenceLogTest, Scenario78_FolderWithoutItsLog_IsRefused) {
  FaultEnv env(1);
  {
    EvidenceLog log("/xa", &env);
    ASSERT_TRUE(log.Open(ClusterId(7)).ok());
    log.Close();
  }
  const auto files = env.List("/xa/wal");
  ASSERT_TRUE(files.ok());
  for (const std::string& file : *files) ASSERT_TRUE(env.Remove("/xa/wal/" + file).ok());
  const absl::Status missing = EvidenceLog("/xa", &env).Open(ClusterId(7));
  EXPECT_TRUE(absl::IsFailedPrecondition(missing)) << missing;
}

TEST(EvidenceLogTest, WhatWasDecidedAloneSurvivesTheLossOfPower) {
  FaultEnv env(1);
  {
    EvidenceLog log("/evidence", &env);
    ASSERT_TRUE(log.Open(kCluster).ok());
    ASSERT_TRUE(log.WriteAlone(MakeBranch(1)).ok());
    ASSERT_TRUE(log.WriteAlone(MakeBranch(2)).ok());
    ASSERT_TRUE(log.WriteUndone(MakeBranch(2)).ok());
    log.NoteCommitted(MakeBranch(3));
    EXPECT_EQ(log.Find(MakeBranch(3)), Evidence::kCommitted);
  }
  env.Crash(FaultEnv::Unsynced::kDropAll);
  EvidenceLog log("/evidence", &env);
  ASSERT_TRUE(log.Open(kCluster).ok());
  EXPECT_EQ(log.Find(MakeBranch(1)), Evidence::kCommittedAlone);
  EXPECT_EQ(log.Find(MakeBranch(2)), Evidence::kNone);
  EXPECT_EQ(log.Find(MakeBranch(3)), Evidence::kNone) << "nobody waited for it";
}

TEST_F(XaTest, Commit_XaRetry_IsRetry) {
  ASSERT_TRUE(Open().ok());
  const BranchId branch = Begin(1, "add a 5");
  EXPECT_EQ(Prepare(branch), Vote::kPrepared);
  Plan("xa_commit", XA_RETRY, false);
  EXPECT_EQ(Commit(branch), FinishState::kRetry);
  Plan("xa_commit", XAER_RMERR, false);
  EXPECT_EQ(Commit(branch), FinishState::kHeuristicRollback) << "xa_commit, RETURN VALUE";
}

TEST_F(XaTest, Heuristic_IsToldUntilTheWatermarkHasPassed) {
  ASSERT_TRUE(Open().ok());
  const BranchId branch = Begin(1, "add a 5");
  EXPECT_EQ(Prepare(branch), Vote::kPrepared);
  Sql("UPDATE prepared SET heuristic = 6");  // XA_HEURRB
  EXPECT_EQ(Commit(branch), FinishState::kHeuristicRollback);
  const auto again = Open();
  ASSERT_TRUE(again.ok());
  EXPECT_THAT(*again, ElementsAre(branch)) << "it keeps it until xa_forget";
  EXPECT_EQ(Commit(branch), FinishState::kHeuristicRollback);
  manager_->ForgetBelow(Gtid{GroupId(1), Term(1), 2});
  EXPECT_TRUE(testing::WaitUntil(10, [&] { return LookUp(branch) == Evidence::kNone; }));
  EXPECT_EQ(Balance(), "0");
}

TEST_F(XaTest, Heuristic_EachKind) {
  ASSERT_TRUE(Open().ok());
  const auto commit = [this](uint64_t number, int code) {
    const BranchId branch = Begin(number, "add a 5");
    EXPECT_EQ(Prepare(branch), Vote::kPrepared);
    Sql("UPDATE prepared SET heuristic = " + std::to_string(code));
    const FinishState finish = Commit(branch);
    Sql("DELETE FROM prepared");
    return finish;
  };
  EXPECT_EQ(commit(1, XA_HEURCOM), FinishState::kDone);
  EXPECT_EQ(commit(2, XA_HEURMIX), FinishState::kHeuristicMixed);
  EXPECT_EQ(commit(3, XA_HEURHAZ), FinishState::kHeuristicHazard);
  const BranchId told = Begin(4, "add a 5");
  EXPECT_EQ(Prepare(told), Vote::kPrepared);
  Sql("UPDATE prepared SET heuristic = 7");
  EXPECT_EQ(Rollback(told), FinishState::kHeuristicCommit);
  Sql("UPDATE prepared SET heuristic = 6");
  EXPECT_EQ(Rollback(told), FinishState::kDone);
  EXPECT_EQ(LookUp(told), Evidence::kNone)
      << "what went the way it was told is forgotten";
}

TEST_F(XaTest, Restart_PreparedBranchesOfOursAreInDoubt_OthersAreLeftAlone) {
  ASSERT_TRUE(Open().ok());
  const BranchId branch = Begin(1, "add a 5");
  EXPECT_EQ(Prepare(branch), Vote::kPrepared);
  Begin(2, "add a 100");  // active: lost
  Sql("INSERT INTO prepared SELECT zeroblob(152), 'a 9', 0");
  BranchId neighbours = MakeBranch(3);
  neighbours.resource = "neighbour";
  for (const XID& xid : {ToXid(ClusterId(1), branch), ToXid(kCluster, neighbours)}) {
    const std::string bytes(reinterpret_cast<const char*>(&xid), sizeof xid);
    Sql("INSERT INTO prepared SELECT x'" + absl::BytesToHexString(bytes) + "', 'a 9', 0");
  }
  const auto prepared = Open();
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  EXPECT_THAT(*prepared, ElementsAre(branch));
  EXPECT_EQ(Commit(branch), FinishState::kDone);
  EXPECT_EQ(Balance(), "5");
  EXPECT_EQ(LookUp(MakeBranch(2)), Evidence::kNone);
}

TEST_F(XaTest, ManyPrepared_AllAreFoundPageByPage) {
  ASSERT_TRUE(Open().ok());
  for (uint64_t i = 1; i <= 150; ++i) {
    EXPECT_EQ(Prepare(Begin(i, "add a 1")), Vote::kPrepared);
  }
  const auto prepared = Open();
  ASSERT_TRUE(prepared.ok());
  EXPECT_EQ(prepared->size(), 150u);
}

TEST_F(XaTest, MoreBranchesThanLanes_Wait_AndOneThatWaitsCanBeRolledBack) {
  options_.threads = 1;
  ASSERT_TRUE(Open().ok());
  const BranchId first = Begin(1, "add a 1");
  wire::ExecuteRequest request;
  request.__set_opaque("add a 2");
  Later<wire::ExecuteReply> second;
  ASSERT_TRUE(manager_->Start(MakeBranch(2), {}).ok());
  manager_->Execute(MakeBranch(2), request, second.callback());
  Later<wire::ExecuteReply> third;
  ASSERT_TRUE(manager_->Start(MakeBranch(3), {}).ok());
  manager_->Execute(MakeBranch(3), request, third.callback());
  EXPECT_FALSE(second.WaitFor(Duration::Millis(50)));
  EXPECT_EQ(Rollback(MakeBranch(2)), FinishState::kDone);
  EXPECT_EQ(second.Get().result.code, wire::Code::BRANCH_GONE);
  EXPECT_FALSE(third.ready());
  EXPECT_EQ(Prepare(first), Vote::kPrepared);
  EXPECT_EQ(third.Get().result.code, wire::Code::OK) << "the thread is free";
  EXPECT_EQ(Commit(first), FinishState::kDone) << "ends need no thread of the work's";
}

TEST_F(XaTest, Close_RollsBackActiveAndAnswersWhoWaits) {
  options_.threads = 1;
  ASSERT_TRUE(Open().ok());
  Begin(1, "add a 1");
  wire::ExecuteRequest request;
  request.__set_opaque("add a 2");
  Later<wire::ExecuteReply> waiting;
  ASSERT_TRUE(manager_->Start(MakeBranch(2), {}).ok());
  manager_->Execute(MakeBranch(2), request, waiting.callback());
  manager_->Close();
  EXPECT_EQ(waiting.Get().result.code, wire::Code::UNAVAILABLE);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Prepare(Begin(1, "get a")), Vote::kReadOnly) << "its id is free again";
}

TEST_F(XaTest, ForgetBelow_DropsEvidence) {
  ASSERT_TRUE(Open().ok());
  const BranchId old = Begin(1, "add a 1", 1);
  EXPECT_EQ(CommitOnePhase(old), OnePhase::kCommitted);
  const BranchId later = Begin(2, "add a 1", 5);
  EXPECT_EQ(CommitOnePhase(later), OnePhase::kCommitted);
  manager_->ForgetBelow(Gtid{GroupId(1), Term(1), 5});
  EXPECT_EQ(LookUp(old), Evidence::kNone);
  EXPECT_EQ(LookUp(later), Evidence::kCommittedAlone);
}

TEST_F(XaTest, Open_WhatCannotBeDriven_IsRefusedWithTheReason) {
  const auto why = [this](const Library& library) {
    return std::string(Open(library).status().message());
  };
  Library words;
  words.xa = "sqlite_dynamic_switch";
  EXPECT_THAT(why(words), HasSubstr("TMREGISTER"));
  words.xa = "sqlite_new_switch";
  EXPECT_THAT(why(words), HasSubstr("version 1"));
  words.xa = "no_such_switch";
  EXPECT_THAT(why(words), HasSubstr("no_such_switch"));
  words = Library();
  words.work = "no_such_work";
  EXPECT_THAT(why(words), HasSubstr("no_such_work"));
  words = Library();
  words.library = "/no/such/library.so";
  EXPECT_THAT(why(words), HasSubstr("/no/such/library.so"));
  options_.open_info = "/no/such/folder/x.db";
  EXPECT_THAT(why(Library()), HasSubstr("xa_open returned -3: XAER_RMERR"));
  options_.open_info = std::string(MAXINFOSIZE, 'x');
  EXPECT_THAT(why(Library()), HasSubstr("at most 255"));
}

TEST_F(XaTest, Open_EvidenceOfAnotherCluster_IsRefused) {
  ASSERT_TRUE(Open().ok());
  const std::string id = manager_->store_id();
  EXPECT_FALSE(id.empty());
  EXPECT_THAT(std::string(Open({}, ClusterId(1)).status().message()),
              HasSubstr("another cluster"));
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(manager_->store_id(), id);
}

TEST_F(XaTest, Generation_IsKeptWithTheEvidence) {
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(manager_->generation(), 0u);
  std::promise<absl::Status> marked;
  manager_->SetGeneration(17, [&](absl::Status status) { marked.set_value(status); });
  EXPECT_TRUE(marked.get_future().get().ok());
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(manager_->generation(), 17u);
}

TEST_F(XaTest, Start_WithIsolationOrTooMany_IsRefused) {
  options_.max_branches = 1;
  ASSERT_TRUE(Open().ok());
  StartOptions isolated;
  isolated.isolation = "serializable";
  EXPECT_EQ(manager_->Start(MakeBranch(1), isolated).code(),
            absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(manager_->Start(MakeBranch(1), {}).ok());
  EXPECT_EQ(manager_->Start(MakeBranch(2), {}).code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace concordat::participant::xa
