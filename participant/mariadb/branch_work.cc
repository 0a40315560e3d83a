// Calls: from a request to a reply.
#include "participant/mariadb/branch_work.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "participant/mariadb/branch_record.h"
#include "participant/mariadb/statement_check.h"
#include "participant/mariadb/value.h"

namespace concordat::participant::mariadb {

namespace {

wire::ExecuteReply MakeReply(wire::Code::type code, std::string message) {
  wire::ExecuteReply reply;
  reply.result.code = code;
  if (!message.empty()) reply.result.__set_message(std::move(message));
  return reply;
}

constexpr char kWroteForGood[] =
    "a statement wrote to a table whose engine cannot roll back, and that write stays; "
    "the branch is rolled back: ALTER TABLE … ENGINE=InnoDB";

bool WroteForGood(const BatchResult& r) {
  for (const Result& result : r.results) {
    if (result.wrote_for_good) return true;
  }
  return false;
}

}  // namespace

// When it is XA PREPARE that has failed, engine and binary log may be of two minds.
bool BranchWork::MayHavePrepared(const Branch& branch, const BatchResult& r) {
  return branch.prepare_at > 0 && r.FirstFailed() == branch.prepare_at + kXaPrepare;
}

BranchWork::BranchWork(const MariadbOptions* options, ClusterId cluster, Pool* pool,
                       Settler* settler, std::atomic<uint32_t>* count, Counters* counters)
    : options_(*options),
      cluster_(cluster),
      pool_(pool),
      settler_(settler),
      count_(count),
      counters_(counters) {}

BranchWork::~BranchWork() = default;

BranchWork::Branch* BranchWork::Find(const BranchId& id) {
  const auto it = branches_.find(id);
  return it == branches_.end() ? nullptr : it->second.get();
}

void BranchWork::Start(const BranchId& id, std::string isolation_sql) {
  auto branch = std::make_unique<Branch>();
  branch->id = id;
  branch->xid = XidSql(cluster_, id);
  branch->isolation_sql = std::move(isolation_sql);
  branches_.emplace(id, std::move(branch));
}

void BranchWork::GiveBack(Branch* branch, bool clean) {
  branch->open = false;
  branch->savepoint = false;
  if (branch->connection == nullptr) return;
  const ConnectionPtr connection = std::exchange(branch->connection, nullptr);
  if (!connection->alive() && branch->phase != Branch::Phase::kUncertain) {
    settler_->Abandon(connection->backend());
  }
  if (!clean || branch->tainted) {
    connection->Close("it is not used again");
  }
  branch->tainted = false;
  pool_->Release(connection);
}

void BranchWork::Remove(Branch* branch, bool clean) {
  const std::unique_ptr<Branch> out = std::move(branches_.at(branch->id));
  branches_.erase(out->id);
  count_->fetch_sub(1, std::memory_order_relaxed);
  GiveBack(out.get(), clean);
}

// --- a call begins ---

absl::Status BranchWork::Check(const wire::ExecuteRequest& request, Call* call) const {
  if (!request.__isset.sql || request.sql.empty()) {
    return absl::InvalidArgumentError("a MariaDB database takes SQL statements");
  }
  for (const wire::SqlStatement& item : request.sql) {
    const absl::StatusOr<StatementKind> kind = CheckStatement(item.sql);
    if (!kind.ok()) return kind.status();
    call->writes = call->writes || kind->writes;
    call->may_write = call->may_write || kind->may_write;
    call->taints = call->taints || kind->taints;
    // What stands behind a CALL is hard to find among the results.
    call->last = call->last && !kind->many_results;
    if (kind->many_results && request.sql.size() > 1) {
      return absl::InvalidArgumentError(
          "CALL may give any number of results: it stands alone in its call");
    }
    Statement statement{item.sql, {}, /*keep=*/true};
    for (const wire::Value& value : item.parameters) {
      absl::StatusOr<std::string> literal = ToLiteral(value);
      if (!literal.ok()) return literal.status();
      statement.params.push_back(*std::move(literal));
    }
    if (statement.params.size() > 65535) {
      return absl::InvalidArgumentError("more than 65535 parameters");
    }
    call->statements.push_back(std::move(statement));
  }
  return absl::OkStatus();
}

void BranchWork::Execute(const BranchId& id, const wire::ExecuteRequest& request,
                         Callback<wire::ExecuteReply> done) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->phase != Branch::Phase::kIdle) {
    return done(MakeReply(wire::Code::BRANCH_GONE, "the branch is over, or ending"));
  }
  Call call;
  call.last = request.__isset.prepare && request.prepare;
  if (const absl::Status s = Check(request, &call); !s.ok()) {
    return done(MakeReply(wire::Code::INVALID, std::string(s.message())));
  }
  branch->call = std::move(call);
  branch->execute_done = std::move(done);
  if (branch->connection == nullptr) {
    branch->phase = Branch::Phase::kWaiting;
    return pool_->Acquire([this, id](absl::StatusOr<ConnectionPtr> connection) {
      OnConnection(id, std::move(connection));
    });
  }
  if (!branch->connection->alive()) {
    return EndWith(
        branch, wire::Code::BRANCH_GONE,
        "the connection was lost, and the database has rolled the branch back");
  }
  RunCall(branch);
}

void BranchWork::OnConnection(const BranchId& id,
                              absl::StatusOr<ConnectionPtr> connection) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->phase != Branch::Phase::kWaiting) {
    if (connection.ok()) pool_->Release(*std::move(connection));
    return;
  }
  if (!connection.ok()) {
    branch->phase = Branch::Phase::kIdle;
    return Answer(branch,
                  absl::IsResourceExhausted(connection.status())
                      ? wire::Code::OVERLOADED
                      : wire::Code::UNAVAILABLE,
                  std::string(connection.status().message()));
  }
  branch->connection = *std::move(connection);
  RunCall(branch);
}

// A savepoint only where there is something to go back to: a branch of one call, which
// most are, pays nothing for it. It is kept until the next call, because what comes back
// may be too large.
void BranchWork::RunCall(Branch* branch) {
  branch->phase = Branch::Phase::kRunning;
  branch->opens = !branch->open;
  branch->tainted = branch->tainted || branch->call.taints;
  if (branch->call.writes) branch->connection->written_rows.clear();
  branch->asks = branch->opens && !branch->call.writes && branch->call.may_write &&
                 branch->connection->written_rows.empty();
  std::vector<Statement> batch;
  batch.reserve(branch->call.statements.size() + 6);
  if (branch->asks) batch.push_back(WrittenRowsQuery());
  if (branch->opens) {
    batch.push_back({branch->isolation_sql});
    batch.push_back(XaStart(branch->xid));
  } else {
    if (branch->savepoint) batch.push_back({"RELEASE SAVEPOINT concordat_call"});
    batch.push_back({"SAVEPOINT concordat_call"});
  }
  branch->savepoint = !branch->opens;
  branch->first = batch.size();
  for (const Statement& s : branch->call.statements) batch.push_back(s);
  // A branch that may have written nothing keeps its locks: it votes when it is asked.
  const bool prepares = branch->call.last && (branch->written || branch->call.writes);
  branch->prepare_at = prepares ? batch.size() : 0;
  if (prepares) {
    for (Statement& s : PrepareStatements(*branch)) batch.push_back(std::move(s));
  }
  branch->connection->Run(std::move(batch), [this, id = branch->id](BatchResult r) {
    OnCall(id, std::move(r));
  });
}

// --- a call ends ---

void BranchWork::OnCall(const BranchId& id, BatchResult r) {
  Branch* branch = Find(id);
  if (branch == nullptr) return;
  if (branch->rollback_done) return OnCallAfterRollback(branch, r);
  if (r.lost || MayHavePrepared(*branch, r)) return OnCallLost(branch, r);
  if (!r.ok()) return OnCallFailed(branch, r);
  if (branch->prepare_at > 0) return OnCallPrepared(branch, r);
  OnCallDone(branch, r);
}

// Its caller has been answered.
void BranchWork::OnCallAfterRollback(Branch* branch, const BatchResult& r) {
  branch->call_ended = true;
  branch->call_prepared = branch->prepare_at > 0 && r.ok();
  if (r.lost || MayHavePrepared(*branch, r)) {
    Callback<FinishResult> done = std::exchange(branch->rollback_done, nullptr);
    if (branch->prepare_at > 0) {
      BecomeUncertain(branch, r.Error());
      return RollBackUncertain(branch->id, std::move(done));
    }
    Remove(branch, /*clean=*/false);
    return done({Finish::kDone, ""});
  }
  if (branch->cancel_ended) RollBackCanceled(branch);
}

void BranchWork::OnCallLost(Branch* branch, const BatchResult& r) {
  if (branch->prepare_at == 0) {
    return EndWith(branch, wire::Code::RESOURCE_ERROR,
                   absl::StrCat(r.Error(), "; the branch is rolled back"));
  }
  // It may be prepared: found out when somebody wants to end it.
  BecomeUncertain(branch, r.Error());
  Answer(branch, wire::Code::UNKNOWN,
         absl::StrCat(r.Error(), "; roll the transaction back"));
}

// Prepared whatever there is to say of what it has done.
void BranchWork::OnCallPrepared(Branch* branch, const BatchResult& r) {
  const BranchId id = branch->id;
  wire::ExecuteReply reply = MakeReply(wire::Code::OK, "");
  if (!Collect(*branch, r, &reply)) reply = MakeReply(wire::Code::INVALID, TooManyRows());
  reply.__set_prepared(true);
  Callback<wire::ExecuteReply> done = std::exchange(branch->execute_done, nullptr);
  HandToSettler(branch);
  if (!WroteForGood(r)) return done(std::move(reply));
  settler_->End(id, /*commit=*/false, [done = std::move(done)](FinishResult end) mutable {
    if (end.finish == Finish::kDone) {
      return done(MakeReply(wire::Code::RESOURCE_ERROR, kWroteForGood));
    }
    wire::ExecuteReply failed = MakeReply(wire::Code::UNKNOWN, kWroteForGood);
    failed.__set_prepared(true);
    done(std::move(failed));
  });
}

std::string BranchWork::TooManyRows() const {
  return absl::StrCat("the rows of the call exceed max_result_bytes (",
                      options_.max_result_bytes, "), ", kMaxAnswerRows, " rows or ",
                      kMaxAnswerValues, " values: ask for fewer");
}

void BranchWork::OnCallDone(Branch* branch, const BatchResult& r) {
  if (WroteForGood(r)) return EndWith(branch, wire::Code::RESOURCE_ERROR, kWroteForGood);
  wire::ExecuteReply reply = MakeReply(wire::Code::OK, "");
  if (!Collect(*branch, r, &reply)) {
    return UndoCall(branch, wire::Code::INVALID, TooManyRows());
  }
  branch->open = true;
  if (branch->asks) branch->connection->written_rows = WrittenRows(r.results[0]);
  branch->written = branch->written || branch->call.writes;
  branch->may_write = branch->may_write || branch->call.may_write;
  branch->phase = Branch::Phase::kIdle;
  branch->call = {};
  std::exchange(branch->execute_done, nullptr)(std::move(reply));
}

bool BranchWork::Collect(const Branch& branch, const BatchResult& r,
                         wire::ExecuteReply* reply) const {
  uint64_t bytes = 0;
  uint64_t values = 0;
  reply->__isset.sql = true;
  reply->sql.resize(branch.call.statements.size());
  for (size_t i = 0; i < reply->sql.size(); ++i) {
    ToWire(r.results[branch.first + i], &reply->sql[i], &bytes);
    const wire::SqlResult& one = reply->sql[i];
    values += one.rows.size() * one.columns.size();
    if (bytes > options_.max_result_bytes || one.rows.size() > kMaxAnswerRows ||
        values > kMaxAnswerValues) {
      return false;
    }
  }
  return true;
}

void BranchWork::OnCallFailed(Branch* branch, const BatchResult& r) {
  const Result& failure = r.results[r.FirstFailed()];
  wire::Code::type code = Classify(failure);
  // It is our own statement: the session is not as it should be.
  if (r.FirstFailed() < branch->first) code = wire::Code::RESOURCE_ERROR;
  const bool prepare_failed =
      branch->prepare_at > 0 && r.FirstFailed() >= branch->prepare_at;
  if (prepare_failed && code != wire::Code::CONFLICT) code = wire::Code::RESOURCE_ERROR;
  if (EndsBranch(code)) return EndWith(branch, code, r.Error());
  UndoCall(branch, code, r.Error());
}

void BranchWork::UndoCall(Branch* branch, wire::Code::type code, std::string message) {
  std::vector<Statement> undo;
  if (branch->opens) {
    undo = {XaEnd(branch->xid), XaRollback(branch->xid)};
  } else {
    undo = {{"ROLLBACK TO SAVEPOINT concordat_call"}};
  }
  branch->connection->written_rows.clear();
  branch->connection->Run(std::move(undo), [this, id = branch->id, code,
                                            message = std::move(message)](BatchResult r) {
    Branch* b = Find(id);
    if (b == nullptr) return;
    if (b->rollback_done) return OnCall(id, std::move(r));
    if (!r.ok()) return EndWith(b, wire::Code::RESOURCE_ERROR, message);
    if (b->opens) GiveBack(b, !r.in_transaction);
    b->phase = Branch::Phase::kIdle;
    b->call = {};
    Answer(b, code, message);
  });
}

// Its transaction, if there is one left, goes first: when the caller hears of the end,
// the locks are free.
void BranchWork::EndWith(Branch* branch, wire::Code::type code, std::string message) {
  Callback<wire::ExecuteReply> done = std::move(branch->execute_done);
  branch->execute_done = nullptr;
  RollBackNow(branch,
              [done = std::move(done), code, message = std::move(message)](
                  FinishResult) mutable { done(MakeReply(code, std::move(message))); });
}

void BranchWork::Answer(Branch* branch, wire::Code::type code, std::string message) {
  std::exchange(branch->execute_done, nullptr)(MakeReply(code, std::move(message)));
}

}  // namespace concordat::participant::mariadb
