#include "tests/bench/commit/load.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/system_clock.h"
#include "coordinator/client/operations.h"

namespace concordat::bench {

using testing::NowSeconds;

namespace {

constexpr uint64_t kAccounts = 100'000;
constexpr double kWarmUpSeconds = 0.5;

client::ClientOptions MakeOptions(const std::vector<std::string>& nodes) {
  client::ClientOptions options;
  options.coordinators = nodes;
  options.gtid_block = 4096;
  return options;
}

}  // namespace

std::string AccountName(Random* random) {
  return absl::StrCat("account-", random->Below(kAccounts));
}

wire::ExecuteRequest KvWork(Random* random, int64_t delta) {
  wire::ExecuteRequest work;
  work.__isset.kv = true;
  work.kv.push_back(client::Add(AccountName(random), delta));
  return work;
}

struct Load::Flight {
  double begun = 0;
  double commit_asked = 0;
  int missing = 2;
  bool failed = false;
  client::AsyncClient::TransactionPtr transaction;
};

Load::Load(rpc::EventLoop* loop, const std::vector<std::string>& coordinators,
           MakeWork make_work)
    : loop_(loop),
      links_(loop, Duration::Seconds(2), SystemRandom64()),
      client_(loop, &links_, MakeOptions(coordinators)),
      make_work_(std::move(make_work)),
      random_(SystemRandom64()) {}

Figures Load::Run(size_t in_flight, Way way, double warm_up, double seconds) {
  figures_ = Figures();
  way_ = way;
  measure_from_ = NowSeconds() + warm_up;
  stop_at_ = measure_from_ + seconds;
  running_ = in_flight;
  for (size_t i = 0; i < in_flight; ++i) loop_->Post([this] { Begin(); });
  loop_->Run();
  figures_.rate = static_cast<double>(figures_.commit_us.size()) / seconds;
  return std::move(figures_);
}

void Load::Begin() {
  const double now = NowSeconds();
  if (now >= stop_at_) {
    if (--running_ == 0) loop_->Stop();
    return;
  }
  client::TransactionOptions options;
  options.mode = way_ == Way::kParallel ? CommitMode::kParallel : CommitMode::kDecided;
  client_.Begin(
      options,
      [this, now](absl::StatusOr<client::AsyncClient::TransactionPtr> transaction) {
        CONCORDAT_CHECK(transaction.ok()) << transaction.status().message();
        auto flight = std::make_shared<Flight>();
        flight->begun = now;
        flight->transaction = *transaction;
        if (way_ == Way::kAtCommit) return WorkAtCommit(flight);
        Work(flight, "bank-0", -1);
        Work(flight, "bank-1", 1);
      });
}

void Load::Work(const std::shared_ptr<Flight>& flight, const std::string& bank,
                int64_t delta) {
  flight->transaction->Execute(bank, make_work_(&random_, delta),
                               [this, flight](const wire::ExecuteReply& reply) {
                                 if (reply.result.code != wire::Code::OK)
                                   flight->failed = true;
                                 if (--flight->missing > 0) return;
                                 Commit(flight);
                               });
}

void Load::WorkAtCommit(const std::shared_ptr<Flight>& flight) {
  for (const auto& [bank, delta] : {std::pair("bank-0", -1), std::pair("bank-1", 1)}) {
    const absl::Status added =
        flight->transaction->AtCommit(bank, make_work_(&random_, delta));
    CONCORDAT_CHECK(added.ok()) << added.message();
  }
  Commit(flight);
}

void Load::Commit(const std::shared_ptr<Flight>& flight) {
  flight->commit_asked = NowSeconds();
  auto done = [this, flight](const client::CommitResult& result) {
    Done(*flight, result);
  };
  if (flight->failed) return flight->transaction->Rollback("", std::move(done));
  flight->transaction->Commit(std::move(done));
}

void Load::Done(const Flight& flight, const client::CommitResult& result) {
  const double now = NowSeconds();
  if (result.outcome == Outcome::kAborted) ++figures_.aborted;
  if (result.outcome == Outcome::kUnknown) ++figures_.unknown;
  if (result.committed() && now >= measure_from_ && now < stop_at_) {
    figures_.commit_us.push_back((now - flight.commit_asked) * 1e6);
    figures_.whole_us.push_back((now - flight.begun) * 1e6);
  }
  Begin();
}

Figures RunLoad(const std::vector<std::string>& coordinators, const MakeWork& make_work,
                size_t in_flight, Way way, double seconds) {
  auto loop = rpc::EventLoop::Create();
  CONCORDAT_CHECK(loop.ok());
  Load load(loop->get(), coordinators, make_work);
  return load.Run(in_flight, way, kWarmUpSeconds, seconds);
}

}  // namespace concordat::bench
