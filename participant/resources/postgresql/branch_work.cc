// Calls: from a request to a reply.
#include "participant/resources/postgresql/branch_work.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "participant/resources/postgresql/statement_check.h"
#include "participant/resources/postgresql/value.h"

namespace concordat::participant::postgresql {

using database::MakeReply;

absl::Status BranchWork::Check(const wire::ExecuteRequest& request, Call* call) const {
  if (!request.__isset.sql || request.sql.empty()) {
    return absl::InvalidArgumentError("a PostgreSQL database takes SQL statements");
  }
  for (const wire::SqlStatement& item : request.sql) {
    const absl::StatusOr<StatementKind> kind = CheckStatement(item.sql);
    if (!kind.ok()) return kind.status();
    call->writes = call->writes || kind->writes;
    Statement statement{item.sql, {}, /*keep=*/true, /*to_sink=*/true};
    for (const wire::Value& value : item.parameters) {
      absl::StatusOr<Param> param = ToParam(value);
      if (!param.ok()) return param.status();
      statement.params.push_back(*std::move(param));
    }
    if (statement.params.size() > 65535) {
      return absl::InvalidArgumentError("more than 65535 parameters");
    }
    call->statements.push_back(std::move(statement));
  }
  return absl::OkStatus();
}

std::vector<Statement> BranchWork::MakeBatch(Branch* branch) {
  branch->asks = !branch->written && !branch->call.writes;
  std::vector<Statement> batch;
  batch.reserve(branch->call.statements.size() + 4);
  if (branch->savepoint) batch.emplace_back().sql = "RELEASE SAVEPOINT concordat_call";
  batch.emplace_back().sql =
      branch->opens ? branch->begin_sql : "SAVEPOINT concordat_call";
  branch->first = batch.size();
  for (const Statement& s : branch->call.statements) batch.push_back(s);
  if (branch->asks) {
    Statement& question = batch.emplace_back();
    // Not kept under a name, and with its schema: a client may have put something else
    // under either.
    question.sql = "SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL";
  } else if (branch->call.last) {
    branch->prepare_at = batch.size();
    for (Statement& s : PrepareStatements(branch->id)) batch.push_back(std::move(s));
  }
  return batch;
}

// --- rows, while they arrive ---

void BranchWork::SendCall(Branch* branch, std::vector<Statement> batch) {
  branch->rows.results.resize(branch->call.statements.size());
  const auto interruption = std::make_shared<Interruption>();
  branch->connection->Run(
      std::move(batch),
      [this, id = branch->id, interruption](BatchResult r) {
        if (r.row_too_large) return OnRowTooLarge(id, std::move(r));
        if (!interruption->begun) return OnCall(id, std::move(r));
        interruption->result = std::move(r);
        OnInterrupted(id, interruption);
      },
      [this, id = branch->id, interruption](size_t statement, const PGresult* row) {
        return AddRow(id, statement, row, interruption);
      });
}

bool BranchWork::AddRow(const BranchId& id, size_t statement, const PGresult* row,
                        const std::shared_ptr<Interruption>& interruption) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->phase != Phase::kRunning) return false;
  Rows& rows = branch->rows;
  wire::SqlResult& result = rows.results[statement - branch->first];
  ToWire(row, &result, &rows.bytes);
  rows.values += static_cast<uint64_t>(PQnfields(row));
  rows.too_many = rows.bytes > options_.max_result_bytes ||
                  result.rows.size() > kMaxAnswerRows || rows.values > kMaxAnswerValues;
  if (!rows.too_many) return true;
  rows.results.clear();
  interruption->begun = true;
  settler_->Cancel(branch->connection->backend(), [this, id, interruption](bool) {
    interruption->cancel_ended = true;
    OnInterrupted(id, interruption);
  });
  return false;
}

void BranchWork::OnInterrupted(const BranchId& id,
                               const std::shared_ptr<Interruption>& interruption) {
  if (!interruption->cancel_ended || !interruption->result.has_value()) return;
  OnCall(id, *std::exchange(interruption->result, std::nullopt));
}

// Its connection is gone. A branch that had nothing else on it lives on; another one is
// over, and would be again.
void BranchWork::OnRowTooLarge(const BranchId& id, BatchResult r) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->phase != Phase::kRunning || branch->prepare_at > 0) {
    return OnCall(id, std::move(r));
  }
  std::string why = absl::StrCat(r.why_lost, ": ", TooManyRows());
  if (!branch->opens) {
    return EndWith(branch, wire::Code::RESOURCE_ERROR,
                   absl::StrCat(why, "; the branch is rolled back"));
  }
  GiveBack(branch, /*clean=*/false);
  branch->phase = Phase::kIdle;
  branch->call = {};
  Answer(branch, wire::Code::INVALID, std::move(why));
}

std::vector<wire::SqlResult> BranchWork::TakeRows(Branch* branch, const BatchResult& r) {
  std::vector<wire::SqlResult> results = std::exchange(branch->rows, {}).results;
  for (size_t i = 0; i < results.size(); ++i) {
    uint64_t ignored = 0;
    ToWire(r.results[branch->first + i].get(), &results[i], &ignored);
  }
  return results;
}

// --- a call ends ---

void BranchWork::OnCallDone(Branch* branch, const BatchResult& r) {
  if (r.transaction != PQTRANS_INTRANS) {
    return EndWith(branch, wire::Code::RESOURCE_ERROR,
                   "a statement has ended the transaction of the branch");
  }
  if (branch->rows.too_many) return UndoCall(branch, wire::Code::INVALID, TooManyRows());
  wire::ExecuteReply reply = MakeReply(wire::Code::OK, "");
  reply.__set_sql(TakeRows(branch, r));
  branch->open = true;
  if (branch->asks) {
    branch->written = Field(r.results.back().get(), 0, 0) == "t";
  } else {
    branch->written = true;
  }
  branch->phase = Phase::kIdle;
  branch->call = {};
  std::exchange(branch->execute_done, nullptr)(std::move(reply));
}

// Prepared whatever there is to say of its rows.
void BranchWork::OnCallPrepared(Branch* branch, const BatchResult& r) {
  if (!HasPrepared(*branch, r)) {
    return EndWith(branch, wire::Code::RESOURCE_ERROR,
                   absl::StrCat("the branch could not be prepared: ", WhyNotEnded(r)));
  }
  wire::ExecuteReply reply = MakeReply(wire::Code::OK, "");
  if (branch->rows.too_many) {
    reply = MakeReply(wire::Code::INVALID, TooManyRows());
  } else {
    reply.__set_sql(TakeRows(branch, r));
  }
  reply.__set_prepared(true);
  Callback<wire::ExecuteReply> done = std::exchange(branch->execute_done, nullptr);
  OnPreparedHere(branch, r);
  done(std::move(reply));
}

// statement_timeout and pg_cancel_backend have one SQLSTATE, and texts in the server's
// language. The server's clock for a statement begins after the call was sent.
bool BranchWork::RanForItsTime(const Branch& branch) const {
  return options_.statement_time > Duration() &&
         SystemClock().Now() - branch.sent >= options_.statement_time;
}

void BranchWork::OnCallFailed(Branch* branch, const BatchResult& r) {
  if (branch->rows.too_many) return UndoCall(branch, wire::Code::INVALID, TooManyRows());
  const PGresult* failure = r.results[r.FirstFailed()].get();
  const std::string state = SqlState(failure);
  std::string text = ErrorText(failure);
  wire::Code::type code = Classify(state);
  // The tables have changed under a statement that the session keeps: a new session
  // will do.
  if (branch->connection->plans_stale()) code = wire::Code::CONFLICT;
  if (state == kCanceled && RanForItsTime(*branch)) code = wire::Code::TIMED_OUT;
  const bool prepare_failed =
      branch->prepare_at > 0 && r.FirstFailed() >= branch->prepare_at;
  if (prepare_failed && code != wire::Code::CONFLICT && code != wire::Code::TIMED_OUT) {
    // When PREPARE itself has failed the server has rolled back already (scenario 28).
    code = wire::Code::RESOURCE_ERROR;
    text = WhyNotEnded(r);
  } else if (!prepare_failed && (state == "25P02" || IsIdle(r))) {
    code = wire::Code::RESOURCE_ERROR;  // the transaction was over before
  }
  if (EndsBranch(code)) return EndWith(branch, code, std::move(text));
  UndoCall(branch, code, std::move(text));
}

std::vector<Statement> BranchWork::UndoStatements(const Branch& branch) {
  if (branch.opens) return {{"ROLLBACK"}};
  return {{"ROLLBACK TO SAVEPOINT concordat_call"}};
}

}  // namespace concordat::participant::postgresql
