// A process that serves a file is killed with SIGKILL in the middle of its writes. The
// next one must find every promise kept and nothing half done.
//
// The child works on branches one after another. Each moves 1 from account 1 to account 2
// and writes its number into a journal table, and the child reports over a pipe what it
// was answered. It is killed in place of its n-th write or flush.
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <map>
#include <thread>

#include "coordinator/base/random.h"
#include "tests/unit/sqlite/fault_vfs.h"
#include "tests/unit/sqlite/support.h"

namespace concordat::participant {
namespace {

constexpr const char* kCrashSchema =
    "CREATE TABLE IF NOT EXISTS account(id INTEGER PRIMARY KEY, balance INTEGER NOT "
    "NULL);"
    "CREATE TABLE IF NOT EXISTS journal(number INTEGER PRIMARY KEY);"
    "INSERT OR IGNORE INTO account VALUES(1,100000),(2,0);";

// The last thing that the child reported about a branch.
enum class Said : char {
  kStarted = 's',
  kPrepared = 'p',
  kCommitting = 'c',
  kDone = 'd',
  kAloneSent = 'o',
  kAlone = 'a',
  kRolledBack = 'r'
};

struct Word {
  uint32_t branch;
  Said said;
};

class CrashTest : public SqliteFixture {
 protected:
  void SetUp() override {
    SqliteFixture::SetUp();
    options_.vfs = FaultVfs::kName;
    options_.schema_sql = kCrashSchema;
    options_.checkpoint_pages = 20;  // so that some happen during the test
    FaultVfs::Get();
  }

  void Say(int fd, uint32_t branch, Said said) {
    const Word word{branch, said};
    if (write(fd, &word, sizeof(word)) != sizeof(word)) _exit(1);
  }

  // Never returns.
  void Child(int fd, int64_t kill_at, uint64_t first) {
    if (!TryOpen().ok()) _exit(1);
    FaultVfs::Get().KillAt(kill_at);
    for (uint64_t n = first;; ++n) {
      const auto number = static_cast<uint32_t>(n);
      const BranchId id = Begin(n);
      (void)call_->Execute(
          id, {Sql("UPDATE account SET balance=balance-1 WHERE id=1"),
               Sql("INSERT INTO journal VALUES(?)", {Int(static_cast<int64_t>(n))})});
      (void)call_->Execute(id, {Sql("UPDATE account SET balance=balance+1 WHERE id=2")});
      Say(fd, number, Said::kStarted);
      if (n % 3 == 0) {
        Say(fd, number, Said::kAloneSent);
        if (call_->CommitOnePhase(id).outcome != OnePhase::kCommitted) _exit(1);
        Say(fd, number, Said::kAlone);
        continue;
      }
      if (call_->Prepare(id).vote != Vote::kPrepared) _exit(1);
      Say(fd, number, Said::kPrepared);
      if (n % 7 == 0) {
        if (call_->Rollback(id).state != FinishState::kDone) _exit(1);
        Say(fd, number, Said::kRolledBack);
        continue;
      }
      Say(fd, number, Said::kCommitting);
      if (call_->Commit(id).state != FinishState::kDone) _exit(1);
      Say(fd, number, Said::kDone);
    }
  }

  // Runs a child until it is killed. Returns what it reported last about each branch.
  std::map<uint32_t, Said> RunChild(int64_t kill_at, uint64_t first) {
    int fds[2];
    EXPECT_EQ(pipe(fds), 0);
    const pid_t child = fork();
    if (child == 0) {
      close(fds[0]);
      Child(fds[1], kill_at, first);
    }
    close(fds[1]);
    std::map<uint32_t, Said> said;
    Word word;
    while (read(fds[0], &word, sizeof(word)) == sizeof(word))
      said[word.branch] = word.said;
    close(fds[0]);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
    return said;
  }

  bool InJournal(uint32_t branch) {
    return Query("SELECT count(*) FROM journal WHERE number=" + std::to_string(branch)) ==
           "1";
  }

  // What was reported about one branch must agree with the file as it is now.
  void CheckBranch(uint32_t branch, Said said, bool listed) {
    const BranchId id = MakeBranch(branch);
    const Evidence evidence = call_->LookUp(id);
    switch (said) {
      case Said::kStarted:
        // Killed before the vote was reported: prepared or gone (scenarios 23, 24).
        EXPECT_EQ(evidence, listed ? Evidence::kPrepared : Evidence::kNone);
        break;
      case Said::kPrepared:  // perhaps a rollback was under way
        if (branch % 7 == 0) break;
        [[fallthrough]];
      case Said::kCommitting:
        EXPECT_TRUE(listed || evidence == Evidence::kCommitted) << "promise broken";
        break;
      case Said::kDone:
        EXPECT_EQ(evidence, Evidence::kCommitted);
        break;
      case Said::kAloneSent:
        EXPECT_TRUE(evidence == Evidence::kCommittedAlone || evidence == Evidence::kNone);
        break;
      case Said::kAlone:
        EXPECT_EQ(evidence, Evidence::kCommittedAlone);
        break;
      case Said::kRolledBack:
        EXPECT_EQ(evidence, Evidence::kNone);
        EXPECT_FALSE(listed);
        break;
    }
    const bool committed =
        evidence == Evidence::kCommitted || evidence == Evidence::kCommittedAlone;
    EXPECT_EQ(InJournal(branch), committed) << "applied without evidence, or the reverse";
  }

  // Opens the file after a crash, checks it, ends what is prepared, checks the sums.
  void CheckAndSettle(const std::map<uint32_t, Said>& said) {
    const auto listed = TryOpen();
    ASSERT_TRUE(listed.ok()) << listed.status();
    for (const auto& [branch, word] : said) {
      const bool is_listed =
          std::find(listed->begin(), listed->end(), MakeBranch(branch)) != listed->end();
      CheckBranch(branch, word, is_listed);
    }
    for (const BranchId& id : *listed) {
      const bool commit =
          said.contains(static_cast<uint32_t>(id.gtid.sequence)) &&
          said.at(static_cast<uint32_t>(id.gtid.sequence)) == Said::kCommitting;
      const FinishResult r = commit ? call_->Commit(id) : call_->Rollback(id);
      EXPECT_EQ(r.state, FinishState::kDone) << r.detail;
    }
    const std::string moved = Query("SELECT count(*) FROM journal");
    EXPECT_EQ(Query("SELECT balance FROM account WHERE id=2"), moved);
    EXPECT_EQ(Query("SELECT sum(balance) FROM account"), "100000");
    EXPECT_EQ(Query("SELECT count(*) FROM concordat_branches"), "0");
    EXPECT_EQ(Query("PRAGMA integrity_check"), "ok");
    rm_.reset();
  }
};

TEST_F(CrashTest, Scenario23And24And25And36_KilledAtEveryWriteAndFlush_EachAppliedOnce) {
  // One round of branches has a few dozen writes and flushes.
  for (int64_t kill_at = 1; kill_at <= 80; ++kill_at) {
    SCOPED_TRACE("killed at operation " + std::to_string(kill_at));
    path_ = folder_.File("crash" + std::to_string(kill_at) + ".db");
    CheckAndSettle(RunChild(kill_at, 1));
    if (HasFailure()) return;
  }
}

TEST_F(CrashTest, Scenario36_KilledAgainAndAgain_OneFileStaysWhole) {
  Random random(36);
  uint64_t first = 1;
  for (int crash = 0; crash < 40; ++crash) {
    const auto kill_at = static_cast<int64_t>(1 + random.Below(200));
    SCOPED_TRACE("crash " + std::to_string(crash));
    const auto said = RunChild(kill_at, first);
    if (!said.empty()) first = said.rbegin()->first + 1;
    ++first;  // one may have been started without a report
    CheckAndSettle(said);
    if (HasFailure()) return;
  }
  EXPECT_GT(first, 200u);
}

TEST_F(CrashTest, Scenario25_KilledAtAnyMoment_AnsweredCommitsAreThere) {
  // Killed from outside, at a moment that is independent of writes.
  for (int round = 0; round < 15; ++round) {
    path_ = folder_.File("kill" + std::to_string(round) + ".db");
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    const pid_t child = fork();
    if (child == 0) {
      close(fds[0]);
      Child(fds[1], 0, 1);
    }
    close(fds[1]);
    std::map<uint32_t, Said> said;
    Word word;
    std::thread killer;
    while (read(fds[0], &word, sizeof(word)) == sizeof(word)) {
      if (said.empty()) {
        killer = std::thread([child, round] {
          std::this_thread::sleep_for(std::chrono::milliseconds(1 + round * 3));
          kill(child, SIGKILL);
        });
      }
      said[word.branch] = word.said;
    }
    killer.join();
    close(fds[0]);
    waitpid(child, nullptr, 0);
    CheckAndSettle(said);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace concordat::participant
