#include "participant/resources/postgresql/engine.h"

#include "absl/strings/str_cat.h"
#include "coordinator/base/system_clock.h"
#include "participant/resources/postgresql/start_check.h"
#include "participant/sdk/core/branch_number.h"

namespace concordat::participant::postgresql {

absl::Status Engine::CheckUrlAndIsolation() {
  if (const auto begin = BeginSql(options_.default_isolation); !begin.ok()) {
    return begin.status();
  }
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

void Engine::Build(ClusterId cluster) {
  cluster_ = cluster;
  const Owner owner{cluster, options_.resource,
                    absl::StrCat(absl::Hex(SystemRandom64(), absl::kZeroPad16),
                                 absl::Hex(SystemRandom64(), absl::kZeroPad16))};
  ConnectionConfig config;
  config.url = url_;
  config.application_name = ApplicationName(owner);
  config.connect_timeout = options_.connect_timeout;
  guard_ =
      std::make_unique<Guard>(thread_->loop(), config, owner, guard_pid_, &counters_);

  config.guard_pid = guard_pid_;
  config.opening = OpenSession(owner);
  settle_pool_ =
      std::make_unique<Pool>(thread_->loop(), config, SettlePoolOptions(), &counters_);

  config.for_clients = true;
  config.lock_timeout = options_.lock_wait;
  config.statement_timeout = options_.statement_time;
  work_pool_ =
      std::make_unique<Pool>(thread_->loop(), config, WorkPoolOptions(), &counters_);

  settler_ = std::make_unique<Settler>(thread_->loop(), settle_pool_.get(), owner,
                                       options_.settle_patience);
}

std::vector<Statement> Engine::QuestionsAtStart() const { return StartQuestions(); }

absl::Status Engine::TakeAnswersAtStart(const BatchResult& answers) {
  absl::Status status = CheckStart(answers, options_);
  if (status.ok()) server_ = AnsweringServer(answers);
  return status;
}

// The ages of what applications have prepared: it is left alone for a time.
void Engine::OnRecovered(PreparedScan scan) {
  std::erase_if(scan.ours, [](const FoundBranch& f) {
    return !IsApplicationManaged(f.branch.number);
  });
  if (found_ != nullptr && !scan.ours.empty()) found_(std::move(scan.ours));
}

absl::StatusOr<std::string> Engine::BeginSqlOf(const std::string& isolation) const {
  return BeginSql(isolation);
}

absl::StatusOr<wire::ApplicationManagedBranch> Engine::StartApplicationManaged(
    const BranchId& branch, const StartOptions& options) {
  absl::StatusOr<std::string> begin = CheckStartOf(options);
  if (!begin.ok()) return begin.status();
  return ApplicationManagedSql(server_, cluster_, branch, *begin);
}

PostgresqlStats Engine::Stats() const {
  PostgresqlStats stats;
  FillStats(&stats);
  return stats;
}

}  // namespace concordat::participant::postgresql
