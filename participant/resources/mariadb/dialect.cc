#include "participant/resources/mariadb/dialect.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "participant/resources/mariadb/address.h"
#include "participant/resources/mariadb/answer_watch.h"
#include "participant/resources/mariadb/connection.h"
#include "participant/resources/mariadb/start_check.h"
#include "participant/resources/mariadb/statement_check.h"
#include "participant/resources/mariadb/statements.h"
#include "participant/resources/mariadb/value.h"

namespace concordat::participant::mariadb {

using database::Batch;
using database::BatchResult;
using database::EndStatements;
using database::GenerationAnswer;
using database::LockAnswer;

namespace {

constexpr std::string_view kCommittedAlone = "alone";  // the column `how`
constexpr uint64_t kDeleteBatch = 2000;
constexpr unsigned kNoSuchTable = 1146;
constexpr unsigned kXaNota = 1397, kXaRmFail = 1399, kXaRollback = 1402;

Statement Xa(const char* verb, const std::string& xid, const char* more = "") {
  return {absl::StrCat("XA ", verb, " ", xid, more)};
}

// Releases the user locks that a branch may have left.
Statement ReleaseLocks() {
  Statement release{
      "SELECT RELEASE_ALL_LOCKS(),@@session_track_state_change,"
      "@@session_track_transaction_info"};
  release.traits = kAsksReports;
  return release;
}

// With a binary log InnoDB does not flush commits, because the server repeats them from
// that log after a crash. But it does not repeat XA COMMIT (10.11): the branch is then
// prepared again. So a branch does not count as committed before this has returned.
Statement FlushCommits() {
  Statement flush = FlushEngine();
  flush.traits = kOnlyWithBinlog;
  return flush;
}

// The same for a session that runs clients' statements, which needs the role in order to
// flush. Also releases the user locks.
void FlushAndRelease(std::vector<Statement>* batch) {
  for (Statement& statement :
       std::vector<Statement>{TakeRole(), FlushCommits(), DropRole()}) {
    statement.traits |= kOnlyWithBinlog;
    batch->push_back(std::move(statement));
  }
  batch->push_back(ReleaseLocks());
}

Statement SelectEvidence(ClusterId cluster, const BranchId& branch) {
  return {absl::StrCat(
      "SELECT how FROM concordat.branches WHERE resource=", Quoted(branch.resource),
      " AND cluster=", cluster.value(), " AND gtid_group=", branch.gtid.group.value(),
      " AND gtid_term=", branch.gtid.term.value(),
      " AND gtid_sequence=", branch.gtid.sequence,
      " AND incarnation=", branch.incarnation.value(), " AND number=", branch.number)};
}

Statement DeleteOldSessions(const database::Owner& owner) {
  return {absl::StrCat(
      "DELETE FROM concordat.sessions WHERE resource=", Quoted(owner.resource),
      " AND cluster=", owner.cluster.value(), " AND (server_start<>", kServerStart,
      " OR id NOT IN (SELECT ID FROM information_schema.PROCESSLIST))")};
}

// The text of one of our xids as XA RECOVER FORMAT='SQL' prints it.
std::string RecoveredText(const Xid& xid) {
  return absl::StrCat("X'", absl::BytesToHexString(xid.gtrid), "',X'",
                      absl::BytesToHexString(xid.bqual), "',", xid.format_id);
}

// max_statement_time.
bool RanTooLong(unsigned error) { return IsOneOf(error, {1969, 3024}); }

// Our xids are printed as X'…',X'…',1129202500 in hexadecimal digits, because they have
// '-' and '.' in them; parts that consist of letters and digits are printed as they are.
// The lengths are separate columns, so that no other xid can be mistaken for one of ours.
absl::StatusOr<ParsedXid> ParseRecovered(const StatementResult& rows, size_t row) {
  const absl::Status other = absl::InvalidArgumentError("not Concordat's");
  uint32_t format_id = 0;
  size_t gtrid = 0;
  size_t bqual = 0;
  const auto number = [&](unsigned column, auto* to) {
    const std::string_view text = rows.Field(row, column);
    return absl::SimpleAtoi(absl::string_view(text.data(), text.size()), to);
  };
  if (!number(0, &format_id) || !number(1, &gtrid) || !number(2, &bqual) ||
      format_id != Xid::kFormatId || gtrid > Xid::kMaxPartLength ||
      bqual > Xid::kMaxPartLength) {
    return other;
  }
  const std::string data(rows.Field(row, 3));
  if (data.size() < 2 * (gtrid + bqual) + 7) return other;
  Xid xid;
  xid.gtrid = absl::HexStringToBytes(data.substr(2, 2 * gtrid));
  xid.bqual = absl::HexStringToBytes(data.substr(6 + 2 * gtrid, 2 * bqual));
  if (data != RecoveredText(xid)) return other;
  return ParseXid(xid);
}

// KILL QUERY may come between two statements, and the server then forgets the rest of the
// packet (answer_watch.h); so a long answer is read to its end. When XA PREPARE or XA
// COMMIT fails, the engine may have done what the binary log has not, or the reverse.
// mysql_reset_connection would also make a prepared branch available to all sessions, but
// leaves an InnoDB transaction behind that holds its locks for ever (seen on 10.11.19).
// The question how much was written costs the server 0.4 ms.
constexpr database::Rules kRules = {
    .kind = "mariadb",
    .name = "MariaDB",
    .prepare = "XA PREPARE",
    .commit = "XA COMMIT",
    .out_of_reach = "on this server under another user",
    .wrote_for_good =
        "a statement wrote to a table whose engine cannot roll back, and that write "
        "stays; the branch is rolled back: ALTER TABLE … ENGINE=InnoDB",
    .write_question = database::WriteQuestion::kAtItsEnd,
    .interrupts_long_answers = false,
    .end_error_is_proof = false,
    .prepared_stays_with_session = true,
    .tells_time_limit_apart = true,
};

class MariadbDialect final : public database::Dialect {
 public:
  MariadbDialect(const std::string& url, MariadbOptions options)
      : Dialect(kRules), address_(ParseAddress(url)), options_(std::move(options)) {}

  // --- the database ---

  absl::Status CheckUrl() const override { return address_.status(); }

  absl::StatusOr<std::string> BeginSql(const std::string& isolation) const override {
    return IsolationSql(isolation);
  }

  void Open(rpc::EventLoop* loop, const database::Owner& owner,
            std::shared_ptr<const std::string> lock_holder,
            database::Counters* counters) override {
    loop_ = loop;
    owner_ = owner;
    lock_holder_ = std::move(lock_holder);
    counters_ = counters;
    watched_ = std::make_shared<Connections>();
    ConnectionConfig asker;
    asker.address = *address_;
    asker.owner = owner_;
    asker.connect_timeout = options_.connect_timeout;
    watch_ = std::make_unique<AnswerWatch>(loop, std::move(asker), watched_,
                                           options_.answer_time, counters);
  }

  std::shared_ptr<database::Session> NewSession(database::SessionUse use) override {
    ConnectionConfig config;
    config.address = *address_;
    config.owner = owner_;
    config.connect_timeout = options_.connect_timeout;
    config.watched = watched_;
    config.lock_timeout = Duration::Seconds(1);  // rows of evidence, which nobody holds
    if (use != database::SessionUse::kServingLock) config.lock_holder = lock_holder_;
    if (use == database::SessionUse::kWork) {
      config.for_work = true;
      config.lock_timeout = options_.lock_wait;
      config.statement_timeout = options_.statement_time;
    }
    return std::make_shared<Connection>(loop_, std::move(config), counters_);
  }

  void Close() override { watch_.reset(); }

  Batch StartChecks() const override { return StartQuestions(); }

  absl::StatusOr<std::string> TakeStartChecks(const BatchResult& r) override {
    if (absl::Status s = CheckStart(r, options_); !s.ok()) return s;
    return StoreId(r);
  }

  // --- a branch at work ---

  absl::StatusOr<database::ClientStatement> TakeStatement(
      const wire::SqlStatement& statement) const override {
    const absl::StatusOr<StatementKind> kind = CheckStatement(statement.sql);
    if (!kind.ok()) return kind.status();
    database::ClientStatement taken;
    taken.writes = kind->writes;
    taken.may_write = kind->may_write;
    taken.many_results = kind->many_results;
    taken.statement = {statement.sql, {}, /*keep=*/true, /*client=*/true};
    taken.statement.traits =
        (kind->writes ? kWrites : 0u) | (kind->taints ? kTaints : 0u);
    for (const wire::Value& value : statement.parameters) {
      absl::StatusOr<std::string> literal = ToLiteral(value);
      if (!literal.ok()) return literal.status();
      taken.statement.params.push_back(database::Text(*std::move(literal)));
    }
    return taken;
  }

  Batch Begin(const BranchId& branch, const std::string& begin_sql,
              database::Session* session) const override {
    Batch begin;
    auto* const connection = static_cast<Connection*>(session);
    if (connection->leaves_insert_id()) {
      begin.push_back({"SET last_insert_id=0"});
      begin.back().traits = kChangesSession;
      connection->ForgetInsertId();
    }
    begin.push_back({begin_sql});
    begin.push_back(Xa("START", XidSql(branch)));
    return begin;
  }

  // Returns one row for each kind of write.
  Statement AskWritten() const override {
    return {
        "SHOW SESSION STATUS WHERE Variable_name IN "
        "('Handler_delete','Handler_update','Handler_write')"};
  }

  std::string WrittenAnswer(const StatementResult& r) const override {
    std::string all;
    for (size_t row = 0; row < r.rows.size(); ++row) {
      absl::StrAppend(&all, std::string(r.Field(row, 1)), ";");
    }
    return all;
  }

  // --- the end of a branch ---

  EndStatements Prepare(const BranchId& branch) const override {
    EndStatements prepare{EndWithEvidence(branch, /*alone=*/false)};
    prepare.end = prepare.statements.size();
    prepare.statements.push_back(Xa("PREPARE", XidSql(branch)));
    return prepare;
  }

  EndStatements CommitOnePhase(const BranchId& branch) const override {
    EndStatements commit{EndWithEvidence(branch, /*alone=*/true)};
    commit.end = commit.statements.size();
    commit.statements.push_back(Xa("COMMIT", XidSql(branch), " ONE PHASE"));
    FlushAndRelease(&commit.statements);
    return commit;
  }

  Batch CommitReadOnly(const BranchId& branch) const override {
    const std::string xid = XidSql(branch);
    return {Xa("END", xid), Xa("COMMIT", xid, " ONE PHASE"), ReleaseLocks()};
  }

  Batch RollBack(const BranchId& branch) const override {
    const std::string xid = XidSql(branch);
    return {Xa("END", xid), Xa("ROLLBACK", xid), ReleaseLocks()};
  }

  // After a deadlock or an XA END, only XA ROLLBACK is allowed.
  Batch RollBackFailed(const BranchId& branch) const override {
    return {Xa("ROLLBACK", XidSql(branch)), ReleaseLocks()};
  }

  // --- prepared branches ---

  Batch FinishInItsSession(const BranchId& branch, bool commit) const override {
    const std::string xid = XidSql(branch);
    if (!commit) return {Xa("ROLLBACK", xid), ReleaseLocks()};
    Batch finish = {Xa("COMMIT", xid)};
    FlushAndRelease(&finish);
    return finish;
  }

  Batch Finish(const BranchId& branch, bool commit) const override {
    const std::string xid = XidSql(branch);
    if (!commit) return {Xa("ROLLBACK", xid)};
    return {Xa("COMMIT", xid), FlushCommits()};
  }

  std::string NameOf(const BranchId& branch) const override { return ToString(branch); }

  // While a session commits the branch, XA RECOVER still lists it. The session that has
  // committed it may not have flushed that: one of ours that was lost between XA COMMIT
  // and its flush, or an operator's. So what was read is flushed before it is reported
  // (scenario 93).
  Batch LookUp(const BranchId& branch) const override {
    return {ScanPrepared(), SelectEvidence(owner_.cluster, branch), FlushEngine()};
  }

  Evidence EvidenceFrom(const BatchResult& r, const BranchId& branch) const override {
    const StatementResult& evidence = r.results[1];
    if (!evidence.rows.empty()) {
      return evidence.Field(0, 0) == kCommittedAlone ? Evidence::kCommittedAlone
                                                     : Evidence::kCommitted;
    }
    for (size_t row = 0; row < r.results[0].rows.size(); ++row) {
      const auto found = ParseRecovered(r.results[0], row);
      if (found.ok() && found->cluster == owner_.cluster && found->branch == branch) {
        return Evidence::kPrepared;
      }
    }
    return Evidence::kNone;
  }

  // Returns one row for each prepared branch of the server, not only ours.
  Statement ScanPrepared() const override { return {"XA RECOVER FORMAT='SQL'"}; }

  // It is not known how long they have been prepared.
  PreparedScan PreparedFrom(const StatementResult& r) const override {
    PreparedScan found;
    for (size_t row = 0; row < r.rows.size(); ++row) {
      auto parsed = ParseRecovered(r, row);
      if (parsed.ok() && parsed->cluster == owner_.cluster &&
          parsed->branch.resource == owner_.resource) {
        found.ours.push_back({std::move(parsed->branch), Duration()});
      } else {
        found.others.emplace_back(r.Field(row, 3));
      }
    }
    return found;
  }

  Batch Forget(const Gtid& below) const override {
    return {{absl::StrCat(
                "DELETE FROM concordat.branches WHERE resource=", Quoted(owner_.resource),
                " AND cluster=", owner_.cluster.value(),
                " AND gtid_group=", below.group.value(), " AND (gtid_term<",
                below.term.value(), " OR (gtid_term=", below.term.value(),
                " AND gtid_sequence<", below.sequence, ")) LIMIT ", kDeleteBatch)},
            DeleteOldSessions(owner_)};
  }

  bool ForgotAFullBatch(const BatchResult& r) const override {
    return r.results[0].changed == kDeleteBatch;
  }

  // --- the store's generation ---

  Batch ReadGeneration() const override {
    return {
        {absl::StrCat("INSERT IGNORE INTO concordat.generations VALUES (",
                      Quoted(owner_.resource), ",", owner_.cluster.value(), ",0)")},
        {absl::StrCat("SELECT generation FROM concordat.generations WHERE resource=",
                      Quoted(owner_.resource), " AND cluster=", owner_.cluster.value())}};
  }

  Statement SetGeneration(uint64_t known, uint64_t generation) const override {
    return {absl::StrCat("UPDATE concordat.generations SET generation=", generation,
                         " WHERE resource=", Quoted(owner_.resource), " AND cluster=",
                         owner_.cluster.value(), " AND generation>=", known)};
  }

  GenerationAnswer GenerationFrom(const BatchResult& r) const override {
    const StatementResult& answer = r.results[0];
    if (answer.ok() && answer.changed == 1) return GenerationAnswer::kSet;
    const bool no_table = answer.number == kNoSuchTable;
    return answer.ok() || no_table ? GenerationAnswer::kGoneBack
                                   : GenerationAnswer::kUnknown;
  }

  // --- sessions ---

  Statement Cancel(const SessionId& session) const override {
    return {absl::StrCat("KILL QUERY ", session.id)};
  }

  void OnCancelSent(const SessionId& session) override { watch_->Hurry(session); }

  // Returns one row: 0 when the session is gone, and NULL when the list of sessions does
  // not even contain the one that asks, and so proves nothing.
  Statement AskSession(const SessionId& session) const override {
    return {absl::StrCat("SELECT IF(SUM(ID=CONNECTION_ID())=1,SUM(ID=", session.id,
                         " AND ", session.start, "=", kServerStart,
                         "),NULL) FROM information_schema.PROCESSLIST WHERE ID IN "
                         "(CONNECTION_ID(),",
                         session.id, ")")};
  }

  bool IsGone(const StatementResult& r) const override { return r.Field(0, 0) == "0"; }

  std::optional<Statement> Kill(std::string_view id) const override {
    return Statement{absl::StrCat("KILL HARD CONNECTION ", std::string(id))};
  }

  // --- the serving lock ---

  // A session of the resource is found by the row of concordat.sessions that it writes in
  // its set-up (session.cc). It is gone when the server does not list it any more, which
  // is not before it has given up its branch. Clients' statements in the session have no
  // rights to the row. The session that holds the lock is found also without a row.
  Statement OtherSessions(bool /*unprepared*/) const override {
    return {absl::StrCat(
        "SELECT id FROM (SELECT s.id FROM concordat.sessions s JOIN "
        "information_schema.PROCESSLIST p ON p.ID=s.id WHERE s.resource=",
        Quoted(owner_.resource), " AND s.cluster=", owner_.cluster.value(),
        " AND s.server_start=", kServerStart, " UNION SELECT IS_USED_LOCK('",
        ServingLockName(owner_), "')) o WHERE id IS NOT NULL AND id<>CONNECTION_ID()")};
  }

  Batch TryLock(bool first, const SessionId& /*before*/) const override {
    const std::string lock = ServingLockName(owner_);
    return {{absl::StrCat("SELECT GET_LOCK('", lock, "',", first ? 1 : 0,
                          "),IS_USED_LOCK('", lock, "')")}};
  }

  LockAnswer LockFrom(const BatchResult& r, const SessionId& before,
                      const SessionId& now) const override {
    LockAnswer answer;
    answer.taken = r.results[0].Field(0, 0) == "1";
    answer.by_our_old_session =
        r.results[0].Field(0, 1) == before.id && before.start == now.start;
    return answer;
  }

  Batch OnLocked() const override { return {DeleteOldSessions(owner_)}; }

  // --- errors: MariaDB's server/reference/error-codes ---

  wire::Code::type Classify(const StatementResult& failure) const override {
    const unsigned error = failure.number;
    // Deadlock, lock time-out, a row that has changed since the snapshot; and the error
    // of further statements once one of these has marked the branch to be rolled back.
    if (IsOneOf(error, {1205, 1213, 1020, 1402, 1613, 1614})) return wire::Code::CONFLICT;
    if (error == kXaRmFail && failure.error.find("ROLLBACK ONLY") != std::string::npos) {
      return wire::Code::CONFLICT;
    }
    // The data or the client's own code forbids it: constraints, CHECK OPTION, SIGNAL.
    const std::string_view sql_class = std::string_view(failure.sqlstate).substr(0, 2);
    if (sql_class == "23" || sql_class == "44" || sql_class == "45") {
      return wire::Code::CONDITION_FAILED;
    }
    // Disk full, out of memory, too many connections or prepared statements.
    if (IsOneOf(error, {1021, 1037, 1038, 1040, 1041, 1114, 1135, 1203, 1226, 1461})) {
      return wire::Code::OVERLOADED;
    }
    if (RanTooLong(error)) return wire::Code::TIMED_OUT;
    // Failures of the engine, an interruption, a server that has become read-only; and
    // 1206, too many locks, with which the server has rolled everything back.
    if (IsOneOf(error, {1030, 1053, 1180, 1181, 1206, 1290, 1317, 1397, 1400, 1401, 1792,
                        1836, 1927})) {
      return wire::Code::RESOURCE_ERROR;
    }
    return wire::Code::INVALID;
  }

  bool IsInterruption(const StatementResult& failure) const override {
    return failure.number == kInterrupted;
  }

  bool IsTransient(const StatementResult& failure) const override {
    return IsTransientError(failure.number);
  }

  bool IsNotThere(const StatementResult& failure) const override {
    return IsOneOf(failure.number,
                   {kXaNota, kXaRollback, kXaRmFail, 1401, 1612, 1613, 1614});
  }

 private:
  // The branch's xid as XA START takes it: "0x…,0x…,1129202500".
  std::string XidSql(const BranchId& branch) const {
    const Xid xid = MakeXid(owner_.cluster, branch);
    return absl::StrCat("0x", absl::BytesToHexString(xid.gtrid), ",0x",
                        absl::BytesToHexString(xid.bqual), ",", xid.format_id);
  }

  // Writes the evidence, with the role that may do so, and then runs XA END. If the
  // evidence cannot be written, the server skips the rest.
  Batch EndWithEvidence(const BranchId& branch, bool alone) const {
    return {TakeRole(),
            {absl::StrCat("INSERT INTO concordat.branches VALUES (",
                          Quoted(branch.resource), ",", owner_.cluster.value(), ",",
                          branch.gtid.group.value(), ",", branch.gtid.term.value(), ",",
                          branch.gtid.sequence, ",", branch.incarnation.value(), ",",
                          branch.number, alone ? ",'alone')" : ",'prepared')")},
            DropRole(),
            Xa("END", XidSql(branch))};
  }

  const absl::StatusOr<Address> address_;
  const MariadbOptions options_;
  // These are set by Open.
  rpc::EventLoop* loop_ = nullptr;
  database::Counters* counters_ = nullptr;
  database::Owner owner_;
  std::shared_ptr<const std::string> lock_holder_;
  std::shared_ptr<Connections> watched_;  // all but those of watch_
  std::unique_ptr<AnswerWatch> watch_;
};

}  // namespace

absl::StatusOr<std::string> IsolationSql(std::string_view isolation) {
  const char* level = nullptr;
  if (isolation == "read-committed") level = "READ COMMITTED";
  if (isolation.empty() || isolation == "repeatable-read") level = "REPEATABLE READ";
  if (isolation == "serializable") level = "SERIALIZABLE";
  if (level != nullptr) return absl::StrCat("SET TRANSACTION ISOLATION LEVEL ", level);
  return absl::InvalidArgumentError(
      absl::StrCat("isolation \"", std::string(isolation),
                   "\" is not known here: read-committed, repeatable-read or "
                   "serializable"));
}

std::unique_ptr<database::Dialect> MakeDialect(const std::string& url,
                                               MariadbOptions options) {
  return std::make_unique<MariadbDialect>(url, std::move(options));
}

}  // namespace concordat::participant::mariadb
