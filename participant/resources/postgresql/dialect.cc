#include "participant/resources/postgresql/dialect.h"

#include <charconv>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/signed.h"
#include "coordinator/base/system_clock.h"
#include "participant/resources/postgresql/connection.h"
#include "participant/resources/postgresql/schema.h"
#include "participant/resources/postgresql/start_check.h"
#include "participant/resources/postgresql/statement_check.h"
#include "participant/resources/postgresql/value.h"

namespace concordat::participant::postgresql {

using database::Batch;
using database::BatchResult;
using database::EndStatements;
using database::GenerationAnswer;
using database::LockAnswer;
using database::Param;

namespace {

constexpr std::string_view kCommittedAlone = "alone";  // the column `how`
constexpr int kDeleteBatch = 2000;
constexpr std::string_view kCanceled = "57014";
constexpr std::string_view kUndefinedObject = "42704";
constexpr std::string_view kUndefinedFunction = "42883";
constexpr std::string_view kInvalidSchema = "3F000";

// The number as PostgreSQL's bigint, which is signed.
Param Bigint(uint64_t n) { return Text(absl::StrCat(Signed(n))); }

std::string Quoted(const std::string& gid) {
  CONCORDAT_CHECK(gid.find('\'') == gid.npos) << gid;
  return absl::StrCat("'", gid, "'");
}

bool InClass(std::string_view sqlstate, std::string_view sql_class) {
  return sqlstate.substr(0, 2) == sql_class;
}

Statement Tagged(std::string sql) {
  Statement statement{std::move(sql)};
  statement.traits = kTagged;
  return statement;
}

// The name of the resource's backends in pg_stat_activity, and of its advisory lock. At
// most 63 bytes: 10 + 16 + 1 + kMaxResourceNameLength.
std::string ApplicationName(const database::Owner& owner) {
  return absl::StrCat("concordat_", absl::Hex(owner.cluster.value(), absl::kZeroPad16),
                      "_", owner.resource);
}

Statement SignalBackend(const char* function, const SessionId& backend) {
  return {absl::StrCat("SELECT ", function,
                       "(pid) FROM pg_stat_activity WHERE pid=$1::int AND "
                       "extract(epoch FROM backend_start)=$2::numeric"),
          {Text(backend.id), Text(backend.start)},
          /*keep=*/true};
}

// When PREPARE TRANSACTION fails, the transaction was rolled back (scenario 28). The
// errors of statement_timeout and pg_cancel_backend have the same SQLSTATE, and differ
// only in their texts, which are in the server's language.
constexpr database::Rules kRules = {
    .kind = "postgresql",
    .name = "PostgreSQL",
    .prepare = "PREPARE TRANSACTION",
    .commit = "COMMIT",
    .out_of_reach = "in this database under another role",
    .write_question = database::WriteQuestion::kWithEachCall,
    .interrupts_long_answers = true,
    .end_error_is_proof = true,
    .prepared_stays_with_session = false,
    .tells_time_limit_apart = false,
};

class PostgresqlDialect final : public database::Dialect {
 public:
  PostgresqlDialect(std::string url, DatabaseOptions options)
      : Dialect(kRules), url_(std::move(url)), options_(std::move(options)) {}

  // --- the database ---

  absl::Status CheckUrl() const override {
    char* error = nullptr;
    PQconninfoOption* parsed = PQconninfoParse(url_.c_str(), &error);
    if (parsed == nullptr) {
      std::string text = error == nullptr ? "out of memory" : error;
      PQfreemem(error);
      while (!text.empty() && text.back() == '\n') text.pop_back();
      return absl::InvalidArgumentError(absl::StrCat("the database's URL: ", text));
    }
    bool named = false;
    for (const PQconninfoOption* o = parsed; o->keyword != nullptr; ++o) {
      if (std::string_view(o->keyword) == "dbname") {
        named = o->val != nullptr && *o->val != 0;
      }
    }
    PQconninfoFree(parsed);
    if (named) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "the database's URL names no database: postgresql://host/DATABASE");
  }

  absl::StatusOr<std::string> BeginSql(const std::string& isolation) const override {
    return postgresql::BeginSql(isolation);
  }

  void Open(rpc::EventLoop* loop, const database::Owner& owner,
            std::shared_ptr<const std::string> lock_holder,
            database::Counters* counters) override {
    loop_ = loop;
    owner_ = owner;
    lock_holder_ = std::move(lock_holder);
    counters_ = counters;
    secret_ = absl::StrCat(absl::Hex(SystemRandom64(), absl::kZeroPad16),
                           absl::Hex(SystemRandom64(), absl::kZeroPad16));
  }

  std::shared_ptr<database::Session> NewSession(database::SessionUse use) override {
    ConnectionConfig config;
    config.url = url_;
    config.application_name = ApplicationName(owner_);
    config.connect_timeout = options_.connect_timeout;
    if (use != database::SessionUse::kServingLock) {
      config.lock_holder = lock_holder_;
      // Says for whom the session works: once, before any client's statement.
      config.opening = Statement{
          "SELECT concordat.open_session($1,$2,$3)",
          {Text(secret_), Text(owner_.resource), Bigint(owner_.cluster.value())}};
    }
    if (use == database::SessionUse::kWork) {
      config.for_clients = true;
      config.lock_timeout = options_.lock_wait;
      config.statement_timeout = options_.statement_time;
    }
    return std::make_shared<Connection>(loop_, std::move(config), counters_);
  }

  Batch StartChecks() const override { return StartQuestions(); }

  absl::StatusOr<std::string> TakeStartChecks(const BatchResult& r) override {
    if (absl::Status s = CheckStart(r, options_); !s.ok()) return s;
    server_ = AnsweringServer(r);
    return server_.store_id;
  }

  absl::StatusOr<wire::ApplicationManagedBranch> ApplicationManagedBranch(
      const BranchId& branch, const std::string& begin_sql) const override {
    return ApplicationManagedSql(server_, owner_.cluster, branch, begin_sql);
  }

  // --- a branch at work ---

  absl::StatusOr<database::ClientStatement> TakeStatement(
      const wire::SqlStatement& statement) const override {
    const absl::StatusOr<StatementKind> kind = CheckStatement(statement.sql);
    if (!kind.ok()) return kind.status();
    database::ClientStatement taken;
    taken.writes = kind->writes;
    taken.may_write = !kind->writes;
    taken.statement = {statement.sql, {}, /*keep=*/true, /*client=*/true};
    for (const wire::Value& value : statement.parameters) {
      absl::StatusOr<Param> param = ToParam(value);
      if (!param.ok()) return param.status();
      taken.statement.params.push_back(*std::move(param));
    }
    return taken;
  }

  Batch Begin(const BranchId& /*branch*/, const std::string& begin_sql,
              database::Session* /*session*/) const override {
    return {{begin_sql}};
  }

  // It is not kept under a name, and names its schema, because a client may have put
  // something else under either name.
  Statement AskWritten() const override {
    return {"SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL"};
  }

  std::string WrittenAnswer(const StatementResult& r) const override {
    return r.Field(0, 0) == "t" ? "t" : "";
  }

  EndStatements Prepare(const BranchId& branch) const override {
    EndStatements prepare{AddEvidence(branch, /*alone=*/false)};
    prepare.end = prepare.statements.size();
    prepare.statements.push_back(
        Tagged(absl::StrCat("PREPARE TRANSACTION ", Quoted(NameOf(branch)))));
    return prepare;
  }

  EndStatements CommitOnePhase(const BranchId& branch) const override {
    EndStatements commit{AddEvidence(branch, /*alone=*/true)};
    commit.end = commit.statements.size();
    commit.statements.push_back(Tagged("COMMIT"));
    return commit;
  }

  Batch CommitReadOnly(const BranchId& /*branch*/) const override {
    return {Tagged("COMMIT")};
  }

  Batch RollBack(const BranchId& /*branch*/) const override { return {{"ROLLBACK"}}; }

  // --- prepared branches ---

  // The name consists of letters, digits, '.', '_' and '-'.
  std::string NameOf(const BranchId& branch) const override {
    return XidText(MakeXid(owner_.cluster, branch));
  }

  Batch Finish(const BranchId& branch, bool commit) const override {
    return {{absl::StrCat(commit ? "COMMIT" : "ROLLBACK", " PREPARED ",
                          Quoted(NameOf(branch)))}};
  }

  Batch LookUp(const BranchId& branch) const override {
    return {
        {"SELECT 1 FROM pg_prepared_xacts WHERE gid=$1 AND database=current_database()",
         {Text(NameOf(branch))},
         /*keep=*/true},
        {"SELECT how FROM concordat.branches WHERE resource=$1 AND cluster=$2 AND "
         "gtid_group=$3 AND gtid_term=$4 AND gtid_sequence=$5 AND incarnation=$6 AND "
         "number=$7",
         {Text(branch.resource), Bigint(owner_.cluster.value()),
          Bigint(branch.gtid.group.value()), Bigint(branch.gtid.term.value()),
          Bigint(branch.gtid.sequence), Bigint(branch.incarnation.value()),
          Bigint(branch.number)},
         /*keep=*/true}};
  }

  Evidence EvidenceFrom(const BatchResult& r, const BranchId& /*branch*/) const override {
    const StatementResult& evidence = r.results[1];
    if (!evidence.rows.empty()) {
      return evidence.Field(0, 0) == kCommittedAlone ? Evidence::kCommittedAlone
                                                     : Evidence::kCommitted;
    }
    return r.results[0].rows.empty() ? Evidence::kNone : Evidence::kPrepared;
  }

  Statement ScanPrepared() const override {
    return {
        "SELECT gid, greatest(0, extract(epoch FROM clock_timestamp()-prepared)*1000)"
        "::bigint FROM pg_prepared_xacts WHERE database=current_database() "
        "ORDER BY prepared"};
  }

  PreparedScan PreparedFrom(const StatementResult& r) const override {
    PreparedScan found;
    for (size_t row = 0; row < r.rows.size(); ++row) {
      const std::string gid(r.Field(row, 0));
      auto parsed = ParseXidText(gid);
      if (parsed.ok() && parsed->cluster == owner_.cluster &&
          parsed->branch.resource == owner_.resource) {
        int64_t age_ms = 0;
        const std::string_view age = r.Field(row, 1);
        (void)std::from_chars(age.data(), age.data() + age.size(), age_ms);
        found.ours.push_back({std::move(parsed->branch), Duration::Millis(age_ms)});
      } else {
        found.others.push_back(gid);
      }
    }
    return found;
  }

  Batch Forget(const Gtid& below) const override {
    return {{"SELECT concordat.forget($1,$2,$3,$4,$5)",
             {Text(secret_), Bigint(below.group.value()), Bigint(below.term.value()),
              Bigint(below.sequence), Text(absl::StrCat(kDeleteBatch))},
             /*keep=*/true}};
  }

  bool ForgotAFullBatch(const BatchResult& r) const override {
    return r.results[0].Field(0, 0) == absl::StrCat(kDeleteBatch);
  }

  // --- the store's generation ---

  Batch ReadGeneration() const override {
    return {{"SELECT concordat.read_generation($1)", {Text(secret_)}}};
  }

  Statement SetGeneration(uint64_t known, uint64_t generation) const override {
    return {"SELECT concordat.set_generation($1,$2,$3)",
            {Text(secret_), Bigint(known), Bigint(generation)},
            /*keep=*/true};
  }

  GenerationAnswer GenerationFrom(const BatchResult& r) const override {
    const StatementResult& answer = r.results[0];
    if (answer.ok() && answer.Field(0, 0) == "t") return GenerationAnswer::kSet;
    const bool no_table =
        answer.sqlstate == kUndefinedFunction || answer.sqlstate == kInvalidSchema;
    return answer.ok() || no_table ? GenerationAnswer::kGoneBack
                                   : GenerationAnswer::kUnknown;
  }

  // --- sessions ---

  Statement Cancel(const SessionId& session) const override {
    return SignalBackend("pg_cancel_backend", session);
  }

  // Ends the session. Returns a row if it was there.
  Statement AskSession(const SessionId& session) const override {
    return SignalBackend("pg_terminate_backend", session);
  }

  bool IsGone(const StatementResult& r) const override { return r.rows.empty(); }

  // --- the serving lock ---

  // They are found by the name that they got when they connected, and by their rows in
  // the table of sessions, because a client may have changed the name.
  Statement OtherSessions(bool unprepared) const override {
    constexpr char kByName[] =
        "SELECT a.pid, pg_terminate_backend(a.pid) FROM pg_stat_activity a WHERE "
        "a.datname=current_database() AND a.usename=current_user AND "
        "a.pid<>pg_backend_pid() AND (a.application_name=$1";
    std::vector<Param> params = {Text(ApplicationName(owner_))};
    if (unprepared) return {absl::StrCat(kByName, ")"), std::move(params)};
    params.push_back(Text(owner_.resource));
    params.push_back(Bigint(owner_.cluster.value()));
    return {
        absl::StrCat(kByName,
                     " OR EXISTS(SELECT 1 FROM concordat.sessions s WHERE s.pid=a.pid "
                     "AND s.started=a.backend_start AND s.resource=$2 AND "
                     "s.cluster=$3))"),
        std::move(params)};
  }

  // There is no schema, no table or no right to it, or the server is a standby.
  bool IsUnprepared(const StatementResult& failure) const override {
    const std::string& state = failure.sqlstate;
    return state == kInvalidSchema || state == "42P01" || state == "42501" ||
           state == "42703" || state == "0A000";
  }

  Batch TryLock(bool /*first*/, const SessionId& before) const override {
    Batch batch;
    if (!before.is_none()) batch.push_back(AskSession(before));
    batch.push_back({"SELECT pg_try_advisory_lock(hashtextextended($1,0))",
                     {Text(ApplicationName(owner_))}});
    return batch;
  }

  LockAnswer LockFrom(const BatchResult& r, const SessionId& /*before*/,
                      const SessionId& /*now*/) const override {
    LockAnswer answer;
    answer.taken = r.results.back().Field(0, 0) == "t";
    answer.by_our_old_session = r.results.size() > 1 && !r.results[0].rows.empty();
    return answer;
  }

  // --- errors: PostgreSQL 15 manual, appendix A "PostgreSQL Error Codes" ---

  wire::Code::type Classify(const StatementResult& failure) const override {
    const std::string& state = failure.sqlstate;
    // It was rolled back in favour of others, or did not get a lock: it may be run again.
    if (InClass(state, "40") || state == "55P03") return wire::Code::CONFLICT;
    // The data or the client's own code forbids it.
    if (InClass(state, "23") || InClass(state, "44") || InClass(state, "P0")) {
      return wire::Code::CONDITION_FAILED;
    }
    // Disk full, out of memory, too many locks.
    if (InClass(state, "53")) return wire::Code::OVERLOADED;
    // The number of parameters is wrong.
    if (state == "08P01") return wire::Code::INVALID;
    // The transaction was over before.
    if (state == kInFailedTransaction) return wire::Code::RESOURCE_ERROR;
    for (const std::string_view broken : {"08", "57", "58", "F0", "XX"}) {
      if (InClass(state, broken)) return wire::Code::RESOURCE_ERROR;
    }
    return wire::Code::INVALID;
  }

  bool IsInterruption(const StatementResult& failure) const override {
    return failure.sqlstate == kCanceled;
  }

  bool IsTransient(const StatementResult& failure) const override {
    for (const std::string_view passing : {"08", "40", "53", "55", "57"}) {
      if (InClass(failure.sqlstate, passing)) return true;
    }
    return false;
  }

  bool IsNotThere(const StatementResult& failure) const override {
    return failure.sqlstate == kUndefinedObject;
  }

  std::string Advice(const StatementResult& failure) const override {
    if (failure.sqlstate == "53200") {
      return "; raise max_prepared_transactions in postgresql.conf";
    }
    // It is about one of Concordat's tables, for a role that has no rights to it.
    if (failure.sqlstate == "42501" && absl::StrContains(failure.error, kSchema)) {
      return "; the branch has taken on another role, in which it could not be ended: "
             "RESET "
             "ROLE before it ends";
    }
    return "";
  }

 private:
  // What it checks holds until the commit or the PREPARE TRANSACTION that follows, since
  // deferred triggers, which are clients' code, have run before. In sessions that run
  // clients' statements our own are never kept under a name, because a client's function
  // could put another statement under that name.
  Batch AddEvidence(const BranchId& branch, bool alone) const {
    Statement add{"SELECT concordat.add_evidence($1,$2,$3,$4,$5,$6,$7,current_user)",
                  {Text(secret_), Bigint(branch.gtid.group.value()),
                   Bigint(branch.gtid.term.value()), Bigint(branch.gtid.sequence),
                   Bigint(branch.incarnation.value()), Bigint(branch.number),
                   Text(alone ? "t" : "f")}};
    if (!alone) add.traits = kTellsWhetherReset;
    return {{"SET CONSTRAINTS ALL IMMEDIATE"}, std::move(add)};
  }

  const std::string url_;
  const DatabaseOptions options_;
  // These are set by Open.
  rpc::EventLoop* loop_ = nullptr;
  database::Counters* counters_ = nullptr;
  database::Owner owner_;
  std::shared_ptr<const std::string> lock_holder_;
  std::string secret_;  // with which this process calls the functions of schema.h
  Server server_;       // set by TakeStartChecks
};

}  // namespace

absl::StatusOr<std::string> BeginSql(std::string_view isolation) {
  if (isolation.empty() || isolation == "read-committed") {
    return "BEGIN ISOLATION LEVEL READ COMMITTED";
  }
  if (isolation == "repeatable-read") return "BEGIN ISOLATION LEVEL REPEATABLE READ";
  if (isolation == "serializable") return "BEGIN ISOLATION LEVEL SERIALIZABLE";
  return absl::InvalidArgumentError(
      absl::StrCat("isolation \"", std::string(isolation),
                   "\" is not known here: read-committed, repeatable-read or "
                   "serializable"));
}

std::unique_ptr<database::Dialect> MakeDialect(std::string url, DatabaseOptions options) {
  return std::make_unique<PostgresqlDialect>(std::move(url), std::move(options));
}

}  // namespace concordat::participant::postgresql
