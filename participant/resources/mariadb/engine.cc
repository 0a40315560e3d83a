#include "participant/resources/mariadb/engine.h"

#include "participant/resources/mariadb/start_check.h"

namespace concordat::participant::mariadb {

absl::Status Engine::CheckUrlAndIsolation() {
  if (absl::Status s = IsolationSql(options_.default_isolation).status(); !s.ok()) {
    return s;
  }
  absl::StatusOr<Address> address = ParseAddress(url_);
  if (!address.ok()) return address.status();
  address_ = *std::move(address);
  return absl::OkStatus();
}

void Engine::Build(ClusterId cluster) {
  const Owner owner{cluster, options_.resource};
  ConnectionConfig config;
  config.address = address_;
  config.owner = owner;
  config.connect_timeout = options_.connect_timeout;
  config.watched = std::make_shared<Connections>();
  config.lock_timeout = Duration::Seconds(1);  // rows of evidence, which nobody holds
  guard_ = std::make_unique<Guard>(thread_->loop(), config, owner, guard_id_, &counters_);

  config.guard_id = guard_id_;
  settle_pool_ =
      std::make_unique<Pool>(thread_->loop(), config, SettlePoolOptions(), &counters_);

  config.for_work = true;
  config.max_result_bytes = options_.max_result_bytes;
  config.max_result_rows = kMaxAnswerRows;
  config.max_result_values = kMaxAnswerValues;
  config.lock_timeout = options_.lock_wait;
  config.statement_timeout = options_.statement_time;
  work_pool_ =
      std::make_unique<Pool>(thread_->loop(), config, WorkPoolOptions(), &counters_);

  auto watch = std::make_unique<AnswerWatch>(thread_->loop(), config,
                                             options_.answer_time, &counters_);
  settler_ = std::make_unique<Settler>(thread_->loop(), settle_pool_.get(),
                                       work_pool_.get(), owner, options_.settle_patience,
                                       std::move(watch), &counters_);
  work_pool_->OnStarved([this] { settler_->DetachOne(); });
}

std::vector<Statement> Engine::QuestionsAtStart() const { return StartQuestions(); }

absl::Status Engine::TakeAnswersAtStart(const BatchResult& answers) {
  absl::Status status = CheckStart(answers, options_);
  if (status.ok()) store_id_ = StoreId(answers);
  return status;
}

absl::StatusOr<std::string> Engine::BeginSqlOf(const std::string& isolation) const {
  return IsolationSql(isolation);
}

MariadbStats Engine::Stats() const {
  MariadbStats stats;
  FillStats(&stats);
  stats.resets = counters_.resets.load(std::memory_order_relaxed);
  stats.left_undone = counters_.left_undone.load(std::memory_order_relaxed);
  stats.detached = counters_.detached.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace concordat::participant::mariadb
