#include "tests/support/manager_calls.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace concordat::participant {

wire::Value Int(int64_t v) {
  wire::Value value;
  value.__set_integer(v);
  return value;
}
wire::Value Real(double v) {
  wire::Value value;
  value.__set_real(v);
  return value;
}
wire::Value Txt(std::string v) {
  wire::Value value;
  value.__set_text(std::move(v));
  return value;
}
wire::Value Blob(std::string v) {
  wire::Value value;
  value.__set_blob(std::move(v));
  return value;
}
wire::Value Null() { return {}; }

wire::SqlStatement Stmt(std::string sql, std::vector<wire::Value> parameters) {
  wire::SqlStatement statement;
  statement.sql = std::move(sql);
  if (!parameters.empty()) statement.__set_parameters(std::move(parameters));
  return statement;
}

std::string Show(const wire::Value& value) {
  if (value.__isset.integer) return absl::StrCat(value.integer);
  if (value.__isset.real) return absl::StrCat(value.real);
  if (value.__isset.text) return absl::StrCat("'", value.text, "'");
  if (value.__isset.blob)
    return absl::StrCat("x'", absl::BytesToHexString(value.blob), "'");
  return "NULL";
}

std::string Show(const wire::SqlResult& result) {
  std::vector<std::string> rows;
  for (const wire::SqlRow& row : result.rows) {
    std::vector<std::string> values;
    for (const wire::Value& value : row.values) values.push_back(Show(value));
    rows.push_back(absl::StrJoin(values, ","));
  }
  return absl::StrJoin(rows, ";");
}

void ManagerCalls::Serve(ResourceManager* served) {
  served_ = served;
  incarnation_ = incarnation_.Next();
  number_ = 0;
}

BranchId ManagerCalls::NextBranch() {
  return {{GroupId(1), Term(7), ++sequence_}, resource_, incarnation_, ++number_};
}

BranchId ManagerCalls::Begin(std::string isolation) {
  const BranchId branch = NextBranch();
  StartOptions options;
  options.age = branch.gtid;
  options.isolation = std::move(isolation);
  const absl::Status status = served_->Start(branch, options);
  EXPECT_TRUE(status.ok()) << status;
  return branch;
}

std::unique_ptr<Call> ManagerCalls::ExecuteLater(
    const BranchId& branch, std::vector<wire::SqlStatement> statements) {
  auto call = std::make_unique<Call>();
  call->request.__set_sql(std::move(statements));
  served_->Execute(branch, call->request, call->reply.callback());
  return call;
}

wire::ExecuteReply ManagerCalls::Execute(const BranchId& branch,
                                         std::vector<wire::SqlStatement> statements) {
  return ExecuteLater(branch, std::move(statements))->reply.Get();
}

std::unique_ptr<Call> ManagerCalls::ExecuteLastLater(
    const BranchId& branch, std::vector<wire::SqlStatement> statements) {
  auto call = std::make_unique<Call>();
  call->request.__set_sql(std::move(statements));
  call->request.__set_prepare(true);
  served_->Execute(branch, call->request, call->reply.callback());
  return call;
}

wire::ExecuteReply ManagerCalls::ExecuteLast(const BranchId& branch,
                                             std::vector<wire::SqlStatement> statements) {
  return ExecuteLastLater(branch, std::move(statements))->reply.Get();
}

wire::ExecuteReply ManagerCalls::Execute(const BranchId& branch, std::string sql,
                                         std::vector<wire::Value> parameters) {
  return Execute(branch, {Stmt(std::move(sql), std::move(parameters))});
}

std::string ManagerCalls::Query(const BranchId& branch, std::string sql,
                                std::vector<wire::Value> parameters) {
  const wire::ExecuteReply reply = Execute(branch, sql, std::move(parameters));
  EXPECT_EQ(reply.result.code, wire::Code::OK) << sql << ": " << reply.result.message;
  return reply.sql.empty() ? "" : Show(reply.sql.back());
}

BranchId ManagerCalls::BeginAndRun(const std::string& sql) {
  const BranchId branch = Begin();
  Query(branch, sql);
  return branch;
}

BranchId ManagerCalls::BeginAndPrepare(const std::string& sql) {
  const BranchId branch = BeginAndRun(sql);
  const PrepareResult result = Prepare(branch);
  EXPECT_EQ(result.vote, Vote::kPrepared) << result.detail;
  return branch;
}

Later<PrepareResult> ManagerCalls::PrepareLater(const BranchId& branch) {
  served_->End(branch);
  Later<PrepareResult> done;
  served_->Prepare(branch, done.callback());
  return done;
}
Later<FinishResult> ManagerCalls::CommitLater(const BranchId& branch) {
  Later<FinishResult> done;
  served_->Commit(branch, done.callback());
  return done;
}
Later<OnePhaseResult> ManagerCalls::CommitAloneLater(const BranchId& branch) {
  served_->End(branch);
  Later<OnePhaseResult> done;
  served_->CommitOnePhase(branch, done.callback());
  return done;
}
PrepareResult ManagerCalls::Prepare(const BranchId& branch) {
  return PrepareLater(branch).Get();
}
FinishResult ManagerCalls::Commit(const BranchId& branch) {
  return CommitLater(branch).Get();
}
FinishResult ManagerCalls::Rollback(const BranchId& branch) {
  Later<FinishResult> done;
  served_->Rollback(branch, done.callback());
  return done.Get();
}
OnePhaseResult ManagerCalls::CommitOnePhase(const BranchId& branch) {
  return CommitAloneLater(branch).Get();
}
Evidence ManagerCalls::LookUp(const BranchId& branch) {
  Later<Evidence> done;
  served_->LookUp(branch, done.callback());
  return done.Get();
}

}  // namespace concordat::participant
