#include "examples/transfer/one_transfer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/system_clock.h"
#include "coordinator/client/client.h"

namespace concordat::transfer {

namespace {

constexpr int64_t kFirstPauseMicros = 1000;
constexpr int64_t kLongestPauseMicros = 100'000;
constexpr int kMaxDoublings = 7;

// A short text, so that causes can be counted.
std::string CauseOf(const wire::Result& result) {
  switch (result.code) {
    case wire::Code::CONFLICT:
      return "lost a lock to an older transaction";
    case wire::Code::BRANCH_GONE:
      return "branch rolled back by its resource";
    case wire::Code::OVERLOADED:
      return "resource overloaded";
    case wire::Code::TIMED_OUT:
      return "call took too long";
    case wire::Code::RESOURCE_ERROR:
      return "resource failed";
    case wire::Code::CONDITION_FAILED:
    case wire::Code::INVALID:
    case wire::Code::VERSION:
      return "not accepted by the resource";
    default:
      return "resource not reached";
  }
}

}  // namespace

void OneTransfer::Start(const Surroundings* surroundings, uint64_t number, Work work,
                        Done done) {
  const std::shared_ptr<OneTransfer> self(
      new OneTransfer(surroundings, number, std::move(work), std::move(done)));
  self->Begin();
}

OneTransfer::OneTransfer(const Surroundings* surroundings, uint64_t number, Work work,
                         Done done)
    : with_(*surroundings),
      number_(number),
      work_(std::move(work)),
      done_(std::move(done)),
      begun_(SystemClock().Now()),
      random_(number) {}

size_t OneTransfer::ResourceOf(const AccountId& id) const {
  return with_.book->account(with_.book->NumberOf(id)).resource;
}

void OneTransfer::Begin() {
  ++tries_;
  failure_ = absl::OkStatus();
  operations_.clear();
  changes_.clear();
  client::TransactionOptions options;
  options.mode = with_.mode;
  options.age = age_;
  with_.client->Begin(
      options, [self = shared_from_this()](
                   absl::StatusOr<client::AsyncClient::TransactionPtr> transaction) {
        if (!transaction.ok()) return self->Retry("no coordinator answered");
        self->transaction_ = std::move(*transaction);
        if (self->age_.is_none()) self->age_ = self->transaction_->gtid();
        self->Read();
      });
}

void OneTransfer::Read() {
  reads_ = ReadsOf(work_);
  balances_.assign(reads_.size(), Money());
  if (reads_.empty()) return Plan();
  auto by_resource = std::make_shared<ByResource>();
  for (size_t i = 0; i < reads_.size(); ++i) {
    (*by_resource)[ResourceOf(reads_[i])].push_back(i);
  }
  std::map<size_t, wire::ExecuteRequest> requests;
  for (const auto& [resource, reads] : *by_resource) {
    std::vector<std::string> keys;
    for (const size_t read : reads) keys.push_back(ToString(reads_[read]));
    requests[resource] = with_.access[resource]->Read(keys, Writes(work_));
  }
  ExecuteAll(
      std::move(requests),
      [this, by_resource](size_t resource, const wire::ExecuteReply& reply) {
        const auto balances = with_.access[resource]->ReadBalances(reply);
        if (!balances.ok()) return balances.status();
        const std::vector<size_t>& reads = (*by_resource)[resource];
        if (balances->size() != reads.size()) {
          return absl::InternalError("fewer balances than accounts");
        }
        TakeBalances(reads, *balances);
        return absl::OkStatus();
      },
      &OneTransfer::Plan);
}

void OneTransfer::TakeBalances(const std::vector<size_t>& reads,
                               const std::vector<Money>& balances) {
  for (size_t i = 0; i < reads.size(); ++i) balances_[reads[i]] = balances[i];
}

void OneTransfer::Plan() {
  auto operations = PlanOf(work_, balances_);
  if (!operations.ok()) {
    Fail(absl::FailedPreconditionError(operations.status().message()), "");
    return RollBack();
  }
  operations_ = std::move(*operations);
  changes_ = ChangesOf(operations_, reads_, balances_);
  if (operations_.empty()) return Commit();
  Write();
}

void OneTransfer::Write() {
  auto parts = std::make_shared<std::map<size_t, std::vector<AccountOperation>>>();
  for (const AccountOperation& operation : operations_) {
    (*parts)[ResourceOf(operation.account)].push_back(operation);
  }
  std::map<size_t, Money> nets;
  for (const Change& change : changes_) {
    Money& net = nets[ResourceOf(change.account)];
    net = *Add(net, change.delta);
  }
  std::map<size_t, wire::ExecuteRequest> requests;
  for (const auto& [resource, operations] : *parts) {
    const Evidence evidence{number_, ToString(transaction_->gtid()), nets[resource]};
    requests[resource] = with_.access[resource]->Write(operations, evidence);
  }
  ExecuteAll(
      std::move(requests),
      [this, parts](size_t resource, const wire::ExecuteReply& reply) {
        return with_.access[resource]->CheckWrite((*parts)[resource], reply);
      },
      &OneTransfer::Commit);
}

void OneTransfer::ExecuteAll(std::map<size_t, wire::ExecuteRequest> requests,
                             OnReply on_reply, void (OneTransfer::*next)()) {
  unanswered_ = requests.size();
  for (auto& [resource, request] : requests) {
    transaction_->Execute(with_.book->resources()[resource], std::move(request),
                          [self = shared_from_this(), resource = resource, on_reply,
                           next](const wire::ExecuteReply& reply) {
                            absl::Status status = client::ToStatus(reply.result);
                            if (status.ok()) status = on_reply(resource, reply);
                            if (!status.ok()) self->Fail(status, CauseOf(reply.result));
                            if (--self->unanswered_ > 0) return;
                            if (!self->failure_.ok()) return self->RollBack();
                            (self.get()->*next)();
                          });
  }
}

// An overdraft is an answer only if nothing else has failed.
void OneTransfer::Fail(const absl::Status& status, const std::string& cause) {
  if (!failure_.ok() && !absl::IsFailedPrecondition(failure_)) return;
  failure_ = status;
  failure_cause_ = cause;
}

void OneTransfer::RollBack() {
  // The commit of this transaction was not requested, so it can no longer commit,
  // whatever is answered here.
  transaction_->Rollback(
      failure_.message().empty() ? "" : std::string(failure_.message()),
      [self = shared_from_this()](const client::CommitResult&) {
        if (absl::IsFailedPrecondition(self->failure_)) return self->End(Told::kRefused);
        self->Retry(self->failure_cause_);
      });
}

void OneTransfer::Commit() {
  transaction_->Commit(
      [self = shared_from_this()](const client::CommitResult& r) { self->OnOutcome(r); });
}

void OneTransfer::OnOutcome(const client::CommitResult& result) {
  switch (result.outcome) {
    case Outcome::kCommitted:
      return End(Told::kCommitted);
    case Outcome::kUnknown:
      return End(Told::kUnknown);
    case Outcome::kAborted:
      return Retry(absl::StrCat("aborted: ", std::string(ToString(result.cause))));
  }
}

void OneTransfer::Retry(const std::string& cause) {
  with_.statistics->RecordRetry(cause);
  if (SystemClock().Now() - begun_ > with_.give_up) return End(Told::kAborted);
  const int64_t longest =
      std::min(kLongestPauseMicros, kFirstPauseMicros << std::min(tries_, kMaxDoublings));
  with_.client->loop()->RunAfter(Duration::Micros(random_.Between(longest / 2, longest)),
                                 [self = shared_from_this()] { self->Begin(); });
}

void OneTransfer::End(Told told) {
  with_.statistics->RecordEnd(begun_, SystemClock().Now(), told);
  LedgerEntry entry;
  entry.number = number_;
  entry.told = told;
  if (transaction_ != nullptr) entry.gtid = transaction_->gtid();
  for (const Change& change : changes_) {
    entry.deltas.push_back({with_.book->NumberOf(change.account), change.delta});
  }
  done_(std::move(entry));
}

}  // namespace concordat::transfer
