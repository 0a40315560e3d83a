// What is particular to one database: its statements, the meaning of its answers, and the
// rules in which it differs from others. What is done with them, and in which order, is
// the same for all databases (branch_executor.h, in_doubt_resolver.h, serving_lock.h,
// database_resource_manager.h).
//
// A dialect makes statements and does not run them; it reads answers and does not wait
// for them. All branch ids are of the resource that Open has named. Thread-safe after
// TakeStartChecks, except for NewSession, OnCancelSent and Close, which are called on the
// loop's thread.
#ifndef PARTICIPANT_RESOURCES_DATABASE_DIALECT_H_
#define PARTICIPANT_RESOURCES_DATABASE_DIALECT_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "concordat_wire/participant_types.h"
#include "participant/resources/database/options.h"
#include "participant/resources/database/session.h"
#include "participant/resources/database/statement.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant::database {

using Batch = std::vector<Statement>;

// A client's statement that may run in a branch.
struct ClientStatement {
  Statement statement;
  // The branch then counts as one that has written, and is prepared at its end.
  bool writes = false;
  // A function that it calls may write, so the database is asked whether it has.
  bool may_write = false;
  // It returns any number of results. Those of statements that follow it in the batch
  // would be hard to tell from its own, so it is the only statement of its call, and its
  // call never prepares the branch.
  bool many_results = false;
};

// Statements that end a branch's transaction, or prepare it.
struct EndStatements {
  Batch statements;
  size_t end = 0;  // the index of the one that ends or prepares it
};

// When the database can say whether a branch has written.
enum class WriteQuestion : uint8_t {
  kWithEachCall,  // in the batch of the call, which costs next to nothing
  // The question costs more. It is asked before the branch's first statement, unless the
  // answer is known from the branch before, and in a round trip at the branch's end. It
  // is asked only for branches that seem to have only read.
  kAtItsEnd,
};

// The rules in which databases differ.
struct Rules {
  // The resource's kind, for operators and for the registry: "postgresql".
  std::string_view kind;
  // For messages: the database's name, "PostgreSQL", and its names of the statements that
  // prepare and commit.
  std::string_view name, prepare, commit;
  // Where a process that serves the resource, and that this one cannot end, may be: "in
  // this database under another role".
  std::string_view out_of_reach;
  // The message for a branch that wrote to a table that cannot roll back. Empty: the
  // database has no such tables.
  std::string_view wrote_for_good = "";
  WriteQuestion write_question = WriteQuestion::kAtItsEnd;
  // A call that returns too many rows is interrupted and undone. If false, its rows are
  // read to their end and dropped.
  bool interrupts_long_answers = false;
  // When the statement that prepares or commits returns an error, it has certainly not
  // done so. If false, that has to be found out, as after a lost answer.
  bool end_error_is_proof = false;
  // A prepared branch belongs to the session that prepared it for as long as that session
  // lives, and other sessions are told that the branch does not exist. So the session
  // stays with the branch, and is the quickest way to end it; and what an old session may
  // still be doing is not known before that session is gone.
  bool prepared_stays_with_session = false;
  // A statement that ran for too long has an error that no other cause has. If false, it
  // looks like one that was interrupted (IsInterruption), and the clock decides.
  bool tells_time_limit_apart = false;
};

// The answer to TryLock.
struct LockAnswer {
  bool taken = false;               // this session has the lock
  bool by_our_old_session = false;  // it does not: an old session of ours still has it
};

// The answer to SetGeneration.
enum class GenerationAnswer : uint8_t { kSet, kGoneBack, kUnknown };

class Dialect {
 public:
  explicit Dialect(const Rules& rules) : rules_(rules) {}
  virtual ~Dialect() = default;
  Dialect(const Dialect&) = delete;
  Dialect& operator=(const Dialect&) = delete;

  [[nodiscard]] const Rules& rules() const { return rules_; }

  // --- the database

  // INVALID_ARGUMENT: the URL is wrong; the text says how.
  virtual absl::Status CheckUrl() const = 0;
  // The SQL that begins a transaction of that isolation: "BEGIN ISOLATION LEVEL …", or
  // what has to precede it. Empty stands for the default. INVALID_ARGUMENT: there is no
  // such isolation level.
  virtual absl::StatusOr<std::string> BeginSql(const std::string& isolation) const = 0;
  // Called once, on the loop's thread. `lock_holder` is the id of the session that holds
  // the serving lock, and is empty before there is one. Each session for kSettle and
  // kWork asks in its set-up whether that session still has the lock, after others can
  // find it (OtherSessions).
  virtual void Open(rpc::EventLoop* loop, const Owner& owner,
                    std::shared_ptr<const std::string> lock_holder,
                    Counters* counters) = 0;
  virtual std::shared_ptr<Session> NewSession(SessionUse use) = 0;
  // The last call, on the loop's thread.
  virtual void Close() {}

  // --- start-up checks, in the session of the serving lock

  virtual Batch StartChecks() const = 0;
  // Returns the store's id (ResourceManager::store_id). FAILED_PRECONDITION: the server,
  // the database or the role cannot serve branches; the text says what to change.
  // UNAVAILABLE: it could not be found out. Logs a warning for settings that work but
  // should be changed.
  virtual absl::StatusOr<std::string> TakeStartChecks(const BatchResult& r) = 0;

  // --- a branch at work

  // INVALID_ARGUMENT: the statement cannot run in a branch; the text says what to do
  // instead.
  virtual absl::StatusOr<ClientStatement> TakeStatement(
      const wire::SqlStatement& statement) const = 0;
  // Opens the branch's transaction in the session.
  virtual Batch Begin(const BranchId& branch, const std::string& begin_sql,
                      Session* session) const = 0;
  // Asks how much was written; see Rules::write_question.
  virtual Statement AskWritten() const = 0;
  // How much the session has written so far. The form is the dialect's: two answers are
  // equal if nothing was written between them. With kWithEachCall it is empty when the
  // branch has written nothing.
  virtual std::string WrittenAnswer(const StatementResult& r) const = 0;

  // --- the end of a branch, in the session of its work

  // Writes the branch's evidence and prepares the branch. What the statements check holds
  // until the prepare.
  virtual EndStatements Prepare(const BranchId& branch) const = 0;
  // The same with a commit instead of the prepare.
  virtual EndStatements CommitOnePhase(const BranchId& branch) const = 0;
  virtual Batch CommitReadOnly(const BranchId& branch) const = 0;
  virtual Batch RollBack(const BranchId& branch) const = 0;
  // What to run when the first statement of RollBack has failed because the transaction
  // takes no more work. Empty: the database has no such case.
  virtual Batch RollBackFailed(const BranchId& /*branch*/) const { return {}; }

  // --- prepared branches

  // Ends a prepared branch in the session that prepared it. Only for databases with
  // Rules::prepared_stays_with_session.
  virtual Batch FinishInItsSession(const BranchId& /*branch*/, bool /*commit*/) const {
    return {};
  }
  // Ends a prepared branch in any other session.
  virtual Batch Finish(const BranchId& branch, bool commit) const = 0;
  // The name of the prepared branch in the database, as operators use it there.
  virtual std::string NameOf(const BranchId& branch) const = 0;
  // Asks first whether the branch is prepared, and then, in another statement with a new
  // snapshot, for its evidence: a branch that is committed in between is seen by the
  // second. The answer counts only if all statements succeeded.
  virtual Batch LookUp(const BranchId& branch) const = 0;
  virtual Evidence EvidenceFrom(const BatchResult& r, const BranchId& branch) const = 0;
  virtual Statement ScanPrepared() const = 0;
  virtual PreparedScan PreparedFrom(const StatementResult& r) const = 0;
  // Deletes evidence of transactions below `below`, at most some thousand rows at a time.
  virtual Batch Forget(const Gtid& below) const = 0;
  // It has deleted as many rows as it deletes at a time, so there may be more.
  virtual bool ForgotAFullBatch(const BatchResult& r) const = 0;

  // --- the store's generation

  // Reads the generation, which is the first value of the last statement's result. The
  // row is created if there is none.
  virtual Batch ReadGeneration() const = 0;
  // Sets the generation to `generation` if it is `known` or larger.
  virtual Statement SetGeneration(uint64_t known, uint64_t generation) const = 0;
  virtual GenerationAnswer GenerationFrom(const BatchResult& r) const = 0;

  // --- sessions

  // Interrupts what a session is doing. Its statement then returns an error for which
  // IsInterruption is true.
  virtual Statement Cancel(const SessionId& session) const = 0;
  // Called when the server has accepted the request of Cancel.
  virtual void OnCancelSent(const SessionId& /*session*/) {}
  // Asks whether the session exists. Also ends it, if the database can do so in the same
  // statement; otherwise Kill does.
  virtual Statement AskSession(const SessionId& session) const = 0;
  virtual bool IsGone(const StatementResult& r) const = 0;
  // Ends a session. Its answer does not matter, since the caller looks again whether the
  // session is gone. None: AskSession and OtherSessions end sessions themselves.
  virtual std::optional<Statement> Kill(std::string_view /*id*/) const {
    return std::nullopt;
  }

  // --- the serving lock

  // Returns the ids of all other sessions of the resource, one in each row, whichever
  // process opened them. Also ends them, if the database can do so in the same statement;
  // otherwise Kill does. `unprepared`: the database was not set up for Concordat, so that
  // no session can have registered itself there.
  virtual Statement OtherSessions(bool unprepared) const = 0;
  // OtherSessions has failed because the database was not set up for Concordat. The
  // start-up checks will report that.
  virtual bool IsUnprepared(const StatementResult& /*failure*/) const { return false; }
  // Tries to take the lock. `first`: this process has not had it yet, and waits a moment
  // for it if the database can wait: the process before it may reconnect at once, and
  // would otherwise get the lock again. `before`: our own session that had the lock. It
  // may not have noticed that it was cut off, and is ended here or by Kill.
  virtual Batch TryLock(bool first, const SessionId& before) const = 0;
  virtual LockAnswer LockFrom(const BatchResult& r, const SessionId& before,
                              const SessionId& now) const = 0;
  // What else is to be run once the lock is held. Its answers do not matter.
  virtual Batch OnLocked() const { return {}; }

  // --- errors

  // The code with which a call is answered when one of its statements failed so.
  // CONFLICT, RESOURCE_ERROR and TIMED_OUT end the branch.
  virtual wire::Code::type Classify(const StatementResult& failure) const = 0;
  // The statement was interrupted, by us or by somebody else; also because it ran for too
  // long, if the database does not tell that apart.
  virtual bool IsInterruption(const StatementResult& failure) const = 0;
  // The server could not run the statement now, but may be able to the next time.
  virtual bool IsTransient(const StatementResult& failure) const = 0;
  // The server knows no such prepared branch. That proves nothing.
  virtual bool IsNotThere(const StatementResult& failure) const = 0;
  // What is added to the message when the end of a branch has failed so.
  virtual std::string Advice(const StatementResult& /*failure*/) const { return ""; }

  // --- extras

  // The statements with which an application runs the branch on a connection of its own.
  // `begin_sql` is what BeginSql returned. UNIMPLEMENTED: this database has no such
  // branches.
  virtual absl::StatusOr<wire::ApplicationManagedBranch> ApplicationManagedBranch(
      const BranchId& /*branch*/, const std::string& /*begin_sql*/) const {
    return absl::UnimplementedError("");
  }

 private:
  const Rules rules_;
};

// Whether an answer with that code ends the branch.
[[nodiscard]] bool EndsBranch(wire::Code::type code);
// The vote of a branch whose prepare, or commit in one phase, failed or was lost:
// kConflict, kLost, or kRefused for what would be refused again (scenario 101).
[[nodiscard]] Vote RefusalOf(const Dialect& dialect, const BatchResult& r);
// Why the statements that were to end or prepare a branch have not done so.
[[nodiscard]] std::string WhyNotEnded(const Dialect& dialect, const BatchResult& r);

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_DIALECT_H_
