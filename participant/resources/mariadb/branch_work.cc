// Calls: from a request to a reply.
#include "participant/resources/mariadb/branch_work.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "participant/resources/mariadb/statement_check.h"
#include "participant/resources/mariadb/value.h"

namespace concordat::participant::mariadb {

using database::MakeReply;

bool WroteForGood(const BatchResult& r) {
  for (const Result& result : r.results) {
    if (result.wrote_for_good) return true;
  }
  return false;
}

void BranchTypes::ToWire(const BatchResult& r, size_t index, wire::SqlResult* result,
                         uint64_t* bytes) {
  if (r.too_large) {
    *bytes = std::numeric_limits<uint64_t>::max();
    return;
  }
  mariadb::ToWire(r.results[index], result, bytes);
}

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
    statement.writes = kind->writes;
    statement.taints = kind->taints;
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

std::vector<Statement> BranchWork::MakeBatch(Branch* branch) {
  // The connection is made as new afterwards (Recycle), not closed.
  branch->tainted = false;
  if (branch->call.writes) branch->connection->written_rows.clear();
  branch->asks = branch->opens && !branch->call.writes && branch->call.may_write &&
                 branch->connection->written_rows.empty();
  std::vector<Statement> batch;
  batch.reserve(branch->call.statements.size() + 6);
  if (branch->asks) batch.push_back(WrittenRowsQuery());
  if (branch->opens) {
    if (branch->connection->leaves_insert_id()) {
      Statement forget{"SET last_insert_id=0"};
      forget.changes_session = true;
      batch.push_back(std::move(forget));
      branch->connection->ForgetInsertId();
    }
    batch.push_back({branch->begin_sql});
    batch.push_back(XaStart(XidOf(*branch)));
  } else {
    if (branch->savepoint) batch.push_back({"RELEASE SAVEPOINT concordat_call"});
    batch.push_back({"SAVEPOINT concordat_call"});
  }
  branch->first = batch.size();
  for (const Statement& s : branch->call.statements) batch.push_back(s);
  if (branch->call.last && (branch->written || branch->call.writes)) {
    branch->prepare_at = batch.size();
    for (Statement& s : PrepareStatements(*branch)) batch.push_back(std::move(s));
  }
  return batch;
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
  branch->phase = Phase::kIdle;
  branch->call = {};
  std::exchange(branch->execute_done, nullptr)(std::move(reply));
}

// Prepared whatever there is to say of what it has done.
void BranchWork::OnCallPrepared(Branch* branch, const BatchResult& r) {
  const BranchId id = branch->id;
  wire::ExecuteReply reply = MakeReply(wire::Code::OK, "");
  if (!Collect(*branch, r, &reply)) reply = MakeReply(wire::Code::INVALID, TooManyRows());
  reply.__set_prepared(true);
  Callback<wire::ExecuteReply> done = std::exchange(branch->execute_done, nullptr);
  HandToSettler(branch, /*clean=*/true);
  if (!WroteForGood(r)) return done(std::move(reply));
  settler_->End(id, /*commit=*/false, [done = std::move(done)](FinishResult end) mutable {
    if (end.state == FinishState::kDone) {
      return done(MakeReply(wire::Code::RESOURCE_ERROR, kWroteForGood));
    }
    wire::ExecuteReply failed = MakeReply(wire::Code::UNKNOWN, kWroteForGood);
    failed.__set_prepared(true);
    done(std::move(failed));
  });
}

void BranchWork::OnCallFailed(Branch* branch, const BatchResult& r) {
  const Result& failure = r.results[r.FirstFailed()];
  wire::Code::type code = Classify(failure);
  // It is our own statement: the session is not as it should be.
  if (r.FirstFailed() < branch->first) code = wire::Code::RESOURCE_ERROR;
  const bool prepare_failed =
      branch->prepare_at > 0 && r.FirstFailed() >= branch->prepare_at;
  if (prepare_failed && RefusalOf(r) != Vote::kConflict) {
    code = wire::Code::RESOURCE_ERROR;
  }
  if (EndsBranch(code)) return EndWith(branch, code, r.Error());
  UndoCall(branch, code, r.Error());
}

std::vector<Statement> BranchWork::UndoStatements(const Branch& branch) {
  branch.connection->written_rows.clear();
  if (!branch.opens) return {{"ROLLBACK TO SAVEPOINT concordat_call"}};
  const std::string xid = XidOf(branch);
  return {XaEnd(xid), XaRollback(xid), ReleaseLocks()};
}

}  // namespace concordat::participant::mariadb
