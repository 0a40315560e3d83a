#include "coordinator/client/client.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/mutex.h"
#include "coordinator/base/random.h"
#include "coordinator/base/system_clock.h"
#include "coordinator/client/wire_names.h"

namespace concordat::client {

namespace {

// Before a transaction that lost a conflict is run again: longer each time, so that
// many of them do not collide in step.
constexpr int64_t kFirstBackOffMicros = 500;
constexpr int64_t kMaxBackOffMicros = 50'000;

// A value that one thread waits for and the loop's thread brings.
template <class T>
class Waiter {
 public:
  void Set(T value) {
    MutexLock lock(&mutex_);
    value_ = std::move(value);
    ready_.NotifyAll();
  }
  T Wait() {
    MutexLock lock(&mutex_);
    while (!value_.has_value()) ready_.Wait(&mutex_);
    return std::move(*value_);
  }

 private:
  Mutex mutex_;
  ConditionVariable ready_;
  std::optional<T> value_ ABSL_GUARDED_BY(mutex_);
};

// Runs `start(waiter)` on the loop and waits for the value that it brings about.
template <class T, class Start>
T Await(rpc::EventLoop* loop, Start start) {
  auto waiter = std::make_shared<Waiter<T>>();
  loop->Post([waiter, start = std::move(start)]() mutable { start(waiter); });
  return waiter->Wait();
}

void Sleep(Duration duration) {
  Mutex mutex;
  ConditionVariable never;
  MutexLock lock(&mutex);
  (void)never.WaitFor(&mutex, duration);
}

}  // namespace

absl::Status ToStatus(const wire::Result& result) {
  switch (result.code) {
    case wire::Code::OK:
      return absl::OkStatus();
    case wire::Code::CONFLICT:
    case wire::Code::BRANCH_GONE:
      return absl::AbortedError(result.message);
    case wire::Code::CONDITION_FAILED:
      return absl::FailedPreconditionError(result.message);
    case wire::Code::INVALID:
    case wire::Code::VERSION:
      return absl::InvalidArgumentError(result.message);
    case wire::Code::TOO_LATE:
      return absl::FailedPreconditionError(result.message);
    case wire::Code::FORGOTTEN:
    case wire::Code::NOT_FOUND:
      return absl::NotFoundError(result.message);
    case wire::Code::OVERLOADED:
      return absl::ResourceExhaustedError(result.message);
    case wire::Code::RESOURCE_ERROR:
      return absl::InternalError(result.message);
    case wire::Code::TIMED_OUT:
      return absl::DeadlineExceededError(result.message);
    case wire::Code::NOT_LEADER:
    case wire::Code::NOT_READY:
    case wire::Code::UNAVAILABLE:
    case wire::Code::UNDECIDED:
    case wire::Code::UNKNOWN:
      break;
  }
  return absl::UnavailableError(result.message);
}

// --- Transaction ------------------------------------------------------------------

Transaction::Transaction(Client* client, AsyncClient::TransactionPtr transaction)
    : client_(client), transaction_(std::move(transaction)) {}

Transaction::Transaction(Transaction&&) noexcept = default;

Transaction::~Transaction() {
  if (transaction_ == nullptr) return;
  RollBackOwn();
  client_->loop_->Post(
      [transaction = std::move(transaction_)] { transaction->Abandon(); });
}

const Gtid& Transaction::gtid() const { return transaction_->gtid(); }

wire::ExecuteReply Transaction::Execute(const std::string& resource,
                                        wire::ExecuteRequest work) {
  return Await<wire::ExecuteReply>(
      client_->loop_, [transaction = transaction_, resource,
                       work = std::move(work)](auto waiter) mutable {
        transaction->Execute(
            resource, std::move(work),
            [waiter](const wire::ExecuteReply& reply) { waiter->Set(reply); });
      });
}

absl::StatusOr<std::vector<wire::KvResult>> Transaction::Kv(
    const std::string& resource, std::vector<wire::KvOperation> operations) {
  wire::ExecuteRequest work;
  work.__isset.kv = true;
  work.kv = std::move(operations);
  wire::ExecuteReply reply = Execute(resource, std::move(work));
  if (absl::Status s = ToStatus(reply.result); !s.ok()) return s;
  return std::move(reply.kv);
}

absl::StatusOr<wire::SqlResult> Transaction::Sql(const std::string& resource,
                                                 wire::SqlStatement statement) {
  wire::ExecuteRequest work;
  work.__isset.sql = true;
  work.sql.push_back(std::move(statement));
  wire::ExecuteReply reply = Execute(resource, std::move(work));
  if (absl::Status s = ToStatus(reply.result); !s.ok()) return s;
  if (reply.sql.size() != 1) return absl::InternalError("no result for the statement");
  return std::move(reply.sql[0]);
}

absl::Status Transaction::AtCommit(const std::string& resource,
                                   wire::ExecuteRequest work) {
  return Await<absl::Status>(
      client_->loop_, [transaction = transaction_, resource,
                       work = std::move(work)](auto waiter) mutable {
        waiter->Set(transaction->AtCommit(resource, std::move(work)));
      });
}

absl::Status Transaction::AtCommit(const std::string& resource,
                                   wire::SqlStatement statement) {
  wire::ExecuteRequest work;
  work.__isset.sql = true;
  work.sql.push_back(std::move(statement));
  return AtCommit(resource, std::move(work));
}

absl::Status Transaction::AtCommit(const std::string& resource,
                                   std::vector<wire::KvOperation> operations) {
  wire::ExecuteRequest work;
  work.__isset.kv = true;
  work.kv = std::move(operations);
  return AtCommit(resource, std::move(work));
}

CommitResult Transaction::Commit() {
  CommitResult failed;
  if (!own_.empty() && !PrepareOwn(&failed)) return failed;
  return Await<CommitResult>(
      client_->loop_, [transaction = std::exchange(transaction_, nullptr)](auto waiter) {
        transaction->Commit([waiter](const CommitResult& r) { waiter->Set(r); });
      });
}

CommitResult Transaction::Rollback(std::string_view reason) {
  RollBackOwn();
  return Await<CommitResult>(client_->loop_, [transaction =
                                                  std::exchange(transaction_, nullptr),
                                              reason = std::string(reason)](auto waiter) {
    transaction->Rollback(reason, [waiter](const CommitResult& r) { waiter->Set(r); });
  });
}

// --- branches on connections of the application's own ---

absl::StatusOr<Transaction::OwnStart> Transaction::StartOwn(
    const std::string& resource, Duration patience, const std::string& isolation) {
  // Its branches must be prepared before the caller asks to commit: nobody would.
  if (transaction_->joined()) {
    return absl::FailedPreconditionError(
        "a transaction that was joined cannot have a branch on a connection of its own: "
        "enlist it where the transaction was begun");
  }
  wire::StartOptions options;
  options.__set_own_patience_ms(static_cast<int32_t>(patience.millis()));
  if (!isolation.empty()) options.__set_isolation(isolation);
  const auto reply = Await<wire::ExecuteReply>(
      client_->loop_, [transaction = transaction_, resource, options](auto waiter) {
        transaction->StartOwn(resource, options,
                              [waiter](const wire::ExecuteReply& r) { waiter->Set(r); });
      });
  if (absl::Status s = ToStatus(reply.result); !s.ok()) return s;
  if (!reply.__isset.branch || !reply.__isset.own) {
    return absl::InvalidArgumentError(
        absl::StrCat("the participant of resource ", resource,
                     " does not know of branches on an application's own connection: it "
                     "is of an older version"));
  }
  return OwnStart{FromWire(reply.branch), reply.own};
}

void Transaction::AddOwn(const BranchId& branch,
                         std::unique_ptr<OwnConnection> connection) {
  own_.push_back({branch, std::move(connection)});
}

void Transaction::RollBackOwn() {
  for (const Own& own : own_) own.connection->RollBack();
  own_.clear();
}

bool Transaction::PrepareOwn(CommitResult* result) {
  const auto doomed = Await<std::string>(
      client_->loop_,
      [transaction = transaction_](auto waiter) { waiter->Set(transaction->doomed()); });
  if (!doomed.empty()) {  // Commit will say so
    RollBackOwn();
    return true;
  }
  std::vector<BranchId> prepared;
  AbortCause cause = AbortCause::kNone;
  std::string why;
  for (const Own& own : own_) own.connection->SendPrepare();
  for (const Own& own : own_) {
    const OwnConnection::Answer answer = own.connection->AwaitPrepared();
    using Prepared = OwnConnection::Prepared;
    const bool gone =
        answer.prepared == Prepared::kRefused || answer.prepared == Prepared::kConflict;
    if (!gone) prepared.push_back(own.branch);
    if (answer.prepared == Prepared::kPrepared || cause != AbortCause::kNone) continue;
    cause = answer.prepared == Prepared::kConflict ? AbortCause::kConflict
                                                   : AbortCause::kRefused;
    why = absl::StrCat(own.branch.resource, ": ", answer.detail);
  }
  own_.clear();
  (void)Await<bool>(client_->loop_, [transaction = transaction_,
                                     prepared = std::move(prepared)](auto waiter) {
    transaction->AddPrepared(prepared);
    waiter->Set(true);
  });
  if (cause == AbortCause::kNone) return true;
  *result = Rollback(why);
  if (result->outcome == Outcome::kAborted) {
    result->cause = cause;
    result->detail = why;
  }
  return false;
}

std::string Transaction::Share() {
  return Await<std::string>(client_->loop_, [transaction = transaction_](auto waiter) {
    waiter->Set(transaction->Share());
  });
}

absl::Status Transaction::Merge(std::string_view carried_back) {
  return Await<absl::Status>(
      client_->loop_, [transaction = transaction_, text = std::string(carried_back)](
                          auto waiter) { waiter->Set(transaction->Merge(text)); });
}

std::string Transaction::CarryBack() {
  return Await<std::string>(client_->loop_, [transaction = transaction_](auto waiter) {
    waiter->Set(transaction->CarryBack());
  });
}

absl::Status Transaction::Enlist() {
  return Await<absl::Status>(client_->loop_, [transaction = transaction_](auto waiter) {
    transaction->Enlist([waiter](const absl::Status& status) { waiter->Set(status); });
  });
}

// --- Client -----------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(ClientOptions options) {
  if (options.coordinators.empty()) {
    return absl::InvalidArgumentError("name at least one coordinator's address");
  }
  for (const std::string& address : options.coordinators) {
    const auto parsed = rpc::Address::Parse(address);
    if (!parsed.ok()) return parsed.status();
  }
  auto thread = rpc::LoopThread::Start();
  if (!thread.ok()) return thread.status();
  std::unique_ptr<Client> client(new Client());
  client->thread_ = std::move(*thread);
  client->loop_ = client->thread_->loop();
  client->own_links_ = std::make_unique<ChannelLinkProvider>(
      client->loop_, options.call_timeout, SystemRandom64());
  client->async_ = std::make_unique<AsyncClient>(client->loop_, client->own_links_.get(),
                                                 std::move(options));
  return client;
}

std::unique_ptr<Client> Client::Over(rpc::EventLoop* loop, LinkProvider* links,
                                     ClientOptions options) {
  std::unique_ptr<Client> client(new Client());
  client->loop_ = loop;
  client->async_ = std::make_unique<AsyncClient>(loop, links, std::move(options));
  return client;
}

Client::~Client() {
  if (thread_ != nullptr) thread_->StopAndJoin();
  if (thread_ != nullptr || loop_->InLoopThread()) return;
  // Rollbacks of abandoned transactions have been posted before, and use async_.
  Await<bool>(loop_, [this](auto waiter) {
    async_.reset();
    waiter->Set(true);
  });
}

absl::StatusOr<Transaction> Client::Begin(TransactionOptions options) {
  using Begun = absl::StatusOr<AsyncClient::TransactionPtr>;
  Begun begun = Await<Begun>(loop_, [this, options](auto waiter) {
    async_->Begin(options, [waiter](Begun result) { waiter->Set(std::move(result)); });
  });
  if (!begun.ok()) return begun.status();
  return Transaction(this, std::move(*begun));
}

absl::StatusOr<Transaction> Client::Join(std::string_view context) {
  using Joined = absl::StatusOr<AsyncClient::TransactionPtr>;
  Joined joined = Await<Joined>(loop_, [this, text = std::string(context)](auto waiter) {
    async_->Join(text, [waiter](Joined result) { waiter->Set(std::move(result)); });
  });
  if (!joined.ok()) return joined.status();
  return Transaction(this, std::move(*joined));
}

CommitResult Client::Ask(const Gtid& gtid) {
  return Await<CommitResult>(loop_, [this, gtid](auto waiter) {
    async_->Ask(gtid, [waiter](const CommitResult& result) { waiter->Set(result); });
  });
}

CommitResult Client::Ask(const CommitResult& result) {
  return Await<CommitResult>(loop_, [this, result](auto waiter) {
    async_->Ask(result, [waiter](const CommitResult& answer) { waiter->Set(answer); });
  });
}

uint64_t Client::leader_changes() {
  return Await<uint64_t>(loop_, [this](auto waiter) {
    waiter->Set(async_->coordinators().leader_changes());
  });
}

CommitResult Client::Run(const std::function<absl::Status(Transaction&)>& work,
                         RunOptions options) {
  Random random(SystemRandom64());
  CommitResult result;
  int64_t back_off = kFirstBackOffMicros;
  for (int attempt = 1;; ++attempt) {
    auto transaction = Begin(options.transaction);
    if (!transaction.ok()) {
      result.outcome = Outcome::kAborted;  // nothing was begun
      result.cause = AbortCause::kRefused;
      result.detail = std::string(transaction.status().message());
      return result;
    }
    if (options.transaction.age.is_none()) options.transaction.age = transaction->gtid();
    const absl::Status worked = work(*transaction);
    result = worked.ok() ? transaction->Commit()
                         : transaction->Rollback(std::string(worked.message()));
    const bool conflict =
        absl::IsAborted(worked) || result.cause == AbortCause::kConflict;
    if (conflict && result.outcome == Outcome::kAborted) {
      result.cause = AbortCause::kConflict;
    }
    // Locks lost after the last call show here. Other refusals are not told apart.
    const bool refused = worked.ok() && (result.cause == AbortCause::kRefused ||
                                         result.cause == AbortCause::kLost);
    if (!(conflict || refused) || result.outcome != Outcome::kAborted ||
        attempt >= options.max_attempts) {
      return result;
    }
    Sleep(Duration::Micros(random.Between(back_off / 2, back_off)));
    back_off = std::min(back_off * 2, kMaxBackOffMicros);
  }
}

}  // namespace concordat::client
