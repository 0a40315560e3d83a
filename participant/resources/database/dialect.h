// What one database does in its own way: how it says things, and which rules it has that
// others have not. What is done with it, and in which order, is the same for all
// (branch_executor.h, in_doubt_resolver.h, serving_lock.h, database_resource_manager.h).
//
// Statements are given, never run, and answers are read, never waited for: a dialect has
// no course of its own. Branch ids are those of the resource that Open has named.
// Thread-safe after TakeStartChecks, but for NewSession, OnCancelSent and Close, which
// are for the loop's thread.
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
  // The branch counts as one that has written, and is prepared.
  bool writes = false;
  // A function that it calls may write: the database is asked whether it has.
  bool may_write = false;
  // It gives any number of results. What stands behind it in the batch is hard to find
  // among them, so it stands alone in its call, and its call never prepares the branch.
  bool many_results = false;
};

// Statements that end a branch's transaction, or prepare it.
struct EndStatements {
  Batch statements;
  size_t end = 0;  // the one among them that does it
};

// When the database can say whether a branch has written.
enum class WriteQuestion : uint8_t {
  kWithEachCall,  // in the batch of the call, for next to nothing
  // Dear: before the branch's first statement, where that is not known from the branch
  // before, and at the branch's end, by a round trip of its own. Only branches are asked
  // for that seem to have read only.
  kAtItsEnd,
};

// The rules in which databases differ.
struct Rules {
  // For operators and for the registry: "postgresql".
  std::string_view kind;
  // In messages: "PostgreSQL", and how it calls the statements that prepare and commit.
  std::string_view name, prepare, commit;
  // Where another process may serve the resource that cannot be ended: "in this database
  // under another role".
  std::string_view out_of_reach;
  // What is said of a branch that wrote to a table that cannot roll back.
  std::string_view wrote_for_good = "";
  WriteQuestion write_question = WriteQuestion::kAtItsEnd;
  // A call that returns too many rows is interrupted, and undone. Otherwise its rows are
  // read to their end, and dropped.
  bool interrupts_long_answers = false;
  // When the statement that prepares or commits answers an error, it has certainly not
  // done it. Otherwise that is found out, as after a lost answer.
  bool end_error_is_proof = false;
  // A prepared branch belongs to the session that prepared it, for as long as that lives:
  // other sessions are told that it is not there. So the session stays with the branch,
  // and is the quickest to end it; and what an old session may still be at is not known
  // before that session is gone.
  bool prepared_stays_with_session = false;
  // A statement that ran for too long has an error of its own. Otherwise it looks like
  // one that was interrupted (IsInterruption), and the clock decides.
  bool tells_time_limit_apart = false;
};

// The answer to TryLock.
struct LockAnswer {
  bool taken = false;
  bool by_our_old_session = false;
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

  // INVALID_ARGUMENT: what is wrong with the URL.
  virtual absl::Status CheckUrl() const = 0;
  // "BEGIN ISOLATION LEVEL …", or what stands before it; of "", the default.
  // INVALID_ARGUMENT: not an isolation level.
  virtual absl::StatusOr<std::string> BeginSql(const std::string& isolation) const = 0;
  // Once, on the loop's thread. `lock_holder` is the session that holds the serving lock,
  // empty before there is one: each session for kSettle and kWork asks in its set-up,
  // when it has become known to others (OtherSessions), whether that still has it.
  virtual void Open(rpc::EventLoop* loop, const Owner& owner,
                    std::shared_ptr<const std::string> lock_holder,
                    Counters* counters) = 0;
  virtual std::shared_ptr<Session> NewSession(SessionUse use) = 0;
  // The last call, on the loop's thread.
  virtual void Close() {}

  // --- start-up checks, on the session of the serving lock

  virtual Batch StartChecks() const = 0;
  // The store's id (ResourceManager::store_id). FAILED_PRECONDITION, with what to change:
  // the server, the database or the role cannot serve branches. UNAVAILABLE: it could not
  // be found out. Logs what works but should not be left so.
  virtual absl::StatusOr<std::string> TakeStartChecks(const BatchResult& r) = 0;

  // --- a branch at work

  // INVALID_ARGUMENT, with what to do instead: it cannot run in a branch.
  virtual absl::StatusOr<ClientStatement> TakeStatement(
      const wire::SqlStatement& statement) const = 0;
  // Opens the branch's transaction in the session.
  virtual Batch Begin(const BranchId& branch, const std::string& begin_sql,
                      Session* session) const = 0;
  // See Rules::write_question.
  virtual Statement AskWritten() const = 0;
  // How much the session has written so far, in any form that is equal when it has
  // written nothing in between; with kWithEachCall empty when the branch has written
  // nothing.
  virtual std::string WrittenAnswer(const StatementResult& r) const = 0;

  // --- the end of a branch, in the session of its work

  // The branch's evidence, and its prepare. What it checks holds until the prepare.
  virtual EndStatements Prepare(const BranchId& branch) const = 0;
  // The same with a commit.
  virtual EndStatements CommitOnePhase(const BranchId& branch) const = 0;
  virtual Batch CommitReadOnly(const BranchId& branch) const = 0;
  virtual Batch RollBack(const BranchId& branch) const = 0;
  // When the first statement of RollBack has failed, because the transaction takes no
  // more work. Empty: there is no such case.
  virtual Batch RollBackFailed(const BranchId& /*branch*/) const { return {}; }

  // --- prepared branches

  // By its own session (only with Rules::prepared_stays_with_session), or by any.
  virtual Batch FinishInItsSession(const BranchId& /*branch*/, bool /*commit*/) const {
    return {};
  }
  virtual Batch Finish(const BranchId& branch, bool commit) const = 0;
  // As operators would name it in the database.
  virtual std::string NameOf(const BranchId& branch) const = 0;
  // First whether it is prepared, then, in a statement and a snapshot of its own, the
  // evidence: a branch that is committed in between is seen by the second. The answer
  // counts when all of them went well.
  virtual Batch LookUp(const BranchId& branch) const = 0;
  virtual Evidence EvidenceFrom(const BatchResult& r, const BranchId& branch) const = 0;
  virtual Statement ScanPrepared() const = 0;
  virtual PreparedScan PreparedFrom(const StatementResult& r) const = 0;
  // Deletes evidence that nobody asks about any more, some thousand rows at a time.
  virtual Batch Forget(const Gtid& below) const = 0;
  // As many as it deletes at a time: there may be more.
  virtual bool ForgotAFullBatch(const BatchResult& r) const = 0;

  // --- the store's generation

  // The last statement's first value; the row is made when there is none.
  virtual Batch ReadGeneration() const = 0;
  // Makes it `generation`, if it is `known` or larger.
  virtual Statement SetGeneration(uint64_t known, uint64_t generation) const = 0;
  virtual GenerationAnswer GenerationFrom(const BatchResult& r) const = 0;

  // --- sessions

  // One that has been interrupted answers its statement with an error (IsInterruption).
  virtual Statement Cancel(const SessionId& session) const = 0;
  // Called when the server has taken the request.
  virtual void OnCancelSent(const SessionId& /*session*/) {}
  // Whether the session is there. Ends it, if the database can do so in the same
  // statement; otherwise Kill does.
  virtual Statement AskSession(const SessionId& session) const = 0;
  virtual bool IsGone(const StatementResult& r) const = 0;
  // Ends a session; what it answers does not matter, for one looks again.
  virtual std::optional<Statement> Kill(std::string_view /*id*/) const {
    return std::nullopt;
  }

  // --- the serving lock

  // The ids of all other sessions of the resource, one a row, whoever opened them. Ends
  // them, if the database can do so in the same statement; otherwise Kill does.
  // `unprepared`: the database is not made ready for Concordat, and no session can have
  // said anything there.
  virtual Statement OtherSessions(bool unprepared) const = 0;
  // OtherSessions has failed because the database is not made ready: what the start-up
  // checks will say.
  virtual bool IsUnprepared(const StatementResult& /*failure*/) const { return false; }
  // `first`: this process has not had it yet, and waits a moment for it, if the database
  // can: the process before may reconnect at once, and would have the lock again.
  // `before`: our own session that had it; it may not have noticed that it was cut off,
  // and is ended here, or by Kill.
  virtual Batch TryLock(bool first, const SessionId& before) const = 0;
  virtual LockAnswer LockFrom(const BatchResult& r, const SessionId& before,
                              const SessionId& now) const = 0;
  // The lock is held: what else there is to do. Its answers do not matter.
  virtual Batch OnLocked() const { return {}; }

  // --- errors

  // How a failed statement of a call is answered. CONFLICT, RESOURCE_ERROR and TIMED_OUT
  // end the branch.
  virtual wire::Code::type Classify(const StatementResult& failure) const = 0;
  // It was interrupted: by us, by somebody, or, when the database does not tell that
  // apart, because it ran for too long.
  virtual bool IsInterruption(const StatementResult& failure) const = 0;
  // The server could not do it now, and may do it the next time.
  virtual bool IsTransient(const StatementResult& failure) const = 0;
  // The prepared branch is not where it was looked for. It proves nothing.
  virtual bool IsNotThere(const StatementResult& failure) const = 0;
  // What else is to be said of an end that has failed.
  virtual std::string Advice(const StatementResult& /*failure*/) const { return ""; }

  // --- extras

  // What an application says on a connection of its own to run the branch there. `begin`
  // is what BeginSql gives. UNIMPLEMENTED: this database has no such branches.
  virtual absl::StatusOr<wire::ApplicationManagedBranch> ApplicationManagedBranch(
      const BranchId& /*branch*/, const std::string& /*begin_sql*/) const {
    return absl::UnimplementedError("");
  }

 private:
  const Rules rules_;
};

// The code ends the branch.
[[nodiscard]] bool EndsBranch(wire::Code::type code);
// How a branch votes whose prepare, or commit in one phase, failed or was lost:
// kConflict, kLost, or kRefused, which would be refused again (scenario 101).
[[nodiscard]] Vote RefusalOf(const Dialect& dialect, const BatchResult& r);
// Why the statements of an end have not done it.
[[nodiscard]] std::string WhyNotEnded(const Dialect& dialect, const BatchResult& r);

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_DIALECT_H_
