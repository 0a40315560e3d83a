#include "coordinator/client/client.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/mutex.h"
#include "coordinator/base/random.h"
#include "coordinator/base/system_clock.h"
#include "coordinator/client/await.h"
#include "coordinator/client/run_pauses.h"
#include "thrift/wire/conversion.h"

namespace concordat::client {

namespace {

// The reply to a call in the wrong order: nothing was done.
wire::ExecuteReply OutOfOrder(const absl::Status& status) {
  wire::ExecuteReply reply;
  reply.result.code = wire::Code::CONDITION_FAILED;
  reply.result.__set_message(std::string(status.message()));
  return reply;
}

CommitResult OutOfOrder(const Gtid& gtid, const absl::Status& status) {
  CommitResult result;
  result.gtid = gtid;
  result.detail = std::string(status.message());
  result.work = status;
  return result;
}

// The status itself, or the reason why there is none.
absl::Status StatusOf(Awaited<absl::Status> awaited) {
  return awaited.ok() ? *std::move(awaited.value) : awaited.status;
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

Transaction::Transaction(std::shared_ptr<LoopHandle> loop,
                         AsyncClient::TransactionPtr transaction)
    : loop_(std::move(loop)),
      transaction_(std::move(transaction)),
      gtid_(transaction_->gtid()) {}

Transaction::Transaction(Transaction&&) noexcept = default;

Transaction::~Transaction() {
  if (transaction_ == nullptr) return;
  RollBackApplicationManaged();
  if (over_) return;
  // Fails when the client is closed. The branches are then ended by their idle time.
  (void)loop_->Post([transaction = std::move(transaction_)] { transaction->Abandon(); });
}

absl::Status Transaction::Usable() const {
  if (transaction_ != nullptr) return loop_->MayWait();
  return absl::FailedPreconditionError("the transaction was moved to another object");
}

template <class T, class Start>
Awaited<T> Transaction::OnLoop(Start start) {
  if (absl::Status s = Usable(); !s.ok()) return {s};
  return Await<T>(loop_.get(), [transaction = transaction_,
                                start = std::move(start)](auto setter) mutable {
    start(transaction.get(), std::move(setter));
  });
}

wire::ExecuteReply Transaction::Execute(const std::string& resource,
                                        wire::ExecuteRequest work) {
  auto reply = OnLoop<wire::ExecuteReply>(
      [resource, work = std::move(work)](AsyncTransaction* t, auto setter) mutable {
        t->Execute(resource, std::move(work),
                   [setter](const wire::ExecuteReply& r) { setter->Set(r); });
      });
  return reply.ok() ? *std::move(reply.value) : OutOfOrder(reply.status);
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
  return StatusOf(OnLoop<absl::Status>(
      [resource, work = std::move(work)](AsyncTransaction* t, auto setter) mutable {
        setter->Set(t->AtCommit(resource, std::move(work)));
      }));
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
  if (absl::Status s = Usable(); !s.ok()) return OutOfOrder(gtid_, s);
  CommitResult failed;
  if (!application_managed_.empty() && !PrepareApplicationManaged(&failed)) return failed;
  return End([](AsyncTransaction* t, AsyncTransaction::CommitCallback done) {
    t->Commit(std::move(done));
  });
}

CommitResult Transaction::Rollback(std::string_view reason) {
  if (absl::Status s = Usable(); !s.ok()) return OutOfOrder(gtid_, s);
  RollBackApplicationManaged();
  return End([reason = std::string(reason)](AsyncTransaction* t,
                                            AsyncTransaction::CommitCallback done) {
    t->Rollback(reason, std::move(done));
  });
}

// Rolls back after work that has failed. If that has doomed the transaction, the result
// has its cause.
CommitResult Transaction::RollbackAfter(const absl::Status& worked) {
  if (absl::Status s = Usable(); !s.ok()) return OutOfOrder(gtid_, s);
  RollBackApplicationManaged();
  CommitResult result =
      End([reason = std::string(worked.message())](
              AsyncTransaction* t, AsyncTransaction::CommitCallback done) {
        const AbortCause cause = t->doom_cause();
        t->Rollback(reason,
                    [cause, done = std::move(done)](const CommitResult& ended) mutable {
                      CommitResult told = ended;
                      const bool doomed = cause != AbortCause::kNone;
                      if (doomed && told.outcome == Outcome::kAborted) told.cause = cause;
                      done(told);
                    });
      });
  if (result.work.ok()) result.work = worked;
  return result;
}

template <class Ender>
CommitResult Transaction::End(Ender end) {
  auto result =
      OnLoop<CommitResult>([end = std::move(end)](AsyncTransaction* t, auto setter) {
        end(t, [setter](const CommitResult& r) { setter->Set(r); });
      });
  if (!result.ok()) return OutOfOrder(gtid_, result.status);
  over_ = over_ || !absl::IsFailedPrecondition(result.value->work);
  return *std::move(result.value);
}

// --- branches on connections of the application's own ---

absl::StatusOr<Transaction::ApplicationManagedStart> Transaction::StartApplicationManaged(
    const std::string& resource, Duration grace_period, const std::string& isolation) {
  if (absl::Status s = Usable(); !s.ok()) return s;
  // In a joined transaction no code would prepare the branch before the caller commits.
  if (transaction_->joined()) {
    return absl::FailedPreconditionError(
        "a transaction that was joined cannot have a branch on a connection of its own: "
        "enlist it where the transaction was begun");
  }
  wire::StartOptions options;
  options.__set_grace_period_ms(static_cast<int32_t>(grace_period.millis()));
  if (!isolation.empty()) options.__set_isolation(isolation);
  auto answer =
      OnLoop<wire::ExecuteReply>([resource, options](AsyncTransaction* t, auto setter) {
        t->StartApplicationManaged(
            resource, options, [setter](const wire::ExecuteReply& r) { setter->Set(r); });
      });
  if (!answer.ok()) return answer.status;
  const wire::ExecuteReply& reply = *answer.value;
  if (absl::Status s = ToStatus(reply.result); !s.ok()) return s;
  if (!reply.__isset.branch || !reply.__isset.application_managed) {
    return absl::InvalidArgumentError(
        absl::StrCat("the participant of resource ", resource,
                     " does not know of branches on an application's own connection: it "
                     "is of an older version"));
  }
  const absl::StatusOr<BranchId> branch = FromWire(reply.branch);
  if (!branch.ok()) return branch.status();
  return ApplicationManagedStart{*branch, reply.application_managed};
}

void Transaction::AddApplicationManaged(
    const BranchId& branch, std::unique_ptr<ApplicationConnection> connection) {
  application_managed_.push_back({branch, std::move(connection)});
}

void Transaction::RollBackApplicationManaged() {
  for (const auto& managed : application_managed_) managed.connection->RollBack();
  application_managed_.clear();
}

bool Transaction::PrepareApplicationManaged(CommitResult* result) {
  const auto doomed = OnLoop<std::string>(
      [](AsyncTransaction* t, auto setter) { setter->Set(t->doomed()); });
  if (!doomed.ok() || !doomed.value->empty()) {  // Commit will return the reason
    RollBackApplicationManaged();
    return true;
  }
  std::vector<BranchId> prepared;
  AbortCause cause = AbortCause::kNone;
  std::string why;
  for (const auto& managed : application_managed_) managed.connection->SendPrepare();
  for (const ApplicationManaged& managed : application_managed_) {
    const ApplicationConnection::Answer answer = managed.connection->AwaitPrepared();
    using Prepared = ApplicationConnection::Prepared;
    const bool gone =
        answer.prepared == Prepared::kRefused || answer.prepared == Prepared::kConflict;
    if (!gone) prepared.push_back(managed.branch);
    if (answer.prepared == Prepared::kPrepared || cause != AbortCause::kNone) continue;
    cause = answer.prepared == Prepared::kConflict ? AbortCause::kConflict
                                                   : AbortCause::kRefused;
    why = absl::StrCat(managed.branch.resource, ": ", answer.detail);
  }
  application_managed_.clear();
  const auto added =
      OnLoop<bool>([prepared = std::move(prepared)](AsyncTransaction* t, auto setter) {
        t->AddPrepared(prepared);
        setter->Set(true);
      });
  if (!added.ok()) {
    *result = OutOfOrder(gtid_, added.status);
    return false;
  }
  if (cause == AbortCause::kNone) return true;
  *result = Rollback(why);
  if (result->outcome == Outcome::kAborted) {
    result->cause = cause;
    result->detail = why;
  }
  return false;
}

std::string Transaction::Share() {
  auto context = OnLoop<std::string>(
      [](AsyncTransaction* t, auto setter) { setter->Set(t->Share()); });
  return context.ok() ? *std::move(context.value) : "";
}

absl::Status Transaction::Merge(std::string_view carried_back) {
  return StatusOf(OnLoop<absl::Status>(
      [text = std::string(carried_back)](AsyncTransaction* t, auto setter) {
        setter->Set(t->Merge(text));
      }));
}

std::string Transaction::CarryBack() {
  auto branches = OnLoop<std::string>(
      [](AsyncTransaction* t, auto setter) { setter->Set(t->CarryBack()); });
  return branches.ok() ? *std::move(branches.value) : "";
}

absl::Status Transaction::Enlist() {
  return StatusOf(OnLoop<absl::Status>([](AsyncTransaction* t, auto setter) {
    t->Enlist([setter](const absl::Status& status) { setter->Set(status); });
  }));
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
  rpc::EventLoop* loop = (*thread)->loop();
  std::unique_ptr<Client> client(new Client(loop));
  client->thread_ = std::move(*thread);
  client->own_links_ =
      std::make_unique<ChannelLinkProvider>(loop, options.call_timeout, SystemRandom64());
  client->async_ =
      std::make_unique<AsyncClient>(loop, client->own_links_.get(), std::move(options));
  return client;
}

std::unique_ptr<Client> Client::Over(rpc::EventLoop* loop, LinkProvider* links,
                                     ClientOptions options) {
  std::unique_ptr<Client> client(new Client(loop));
  client->async_ = std::make_unique<AsyncClient>(loop, links, std::move(options));
  return client;
}

Client::Client(rpc::EventLoop* loop)
    : event_loop_(loop), loop_(std::make_shared<LoopHandle>(loop)) {}

Client::~Client() {
  loop_->Close();
  if (thread_ != nullptr) thread_->StopAndJoin();
  if (thread_ != nullptr || event_loop_->InLoopThread()) return;
  // The loop belongs to the caller: wait for what transactions have posted, which uses
  // async_.
  LoopHandle once(event_loop_);
  (void)Await<bool>(&once, [this](auto setter) {
    async_.reset();
    setter->Set(true);
  });
}

absl::StatusOr<Transaction> Client::Made(
    Awaited<absl::StatusOr<AsyncClient::TransactionPtr>> begun) {
  if (!begun.ok()) return begun.status;
  if (!begun.value->ok()) return begun.value->status();
  return Transaction(loop_, **std::move(begun.value));
}

absl::StatusOr<Transaction> Client::Begin(TransactionOptions options) {
  using Begun = absl::StatusOr<AsyncClient::TransactionPtr>;
  return Made(Await<Begun>(loop_.get(), [this, options](auto setter) {
    async_->Begin(options, [setter](Begun result) { setter->Set(std::move(result)); });
  }));
}

absl::StatusOr<Transaction> Client::Join(std::string_view context) {
  using Joined = absl::StatusOr<AsyncClient::TransactionPtr>;
  return Made(
      Await<Joined>(loop_.get(), [this, text = std::string(context)](auto setter) {
        async_->Join(text, [setter](Joined result) { setter->Set(std::move(result)); });
      }));
}

CommitResult Client::Ask(const Gtid& gtid) {
  auto answer = Await<CommitResult>(loop_.get(), [this, gtid](auto setter) {
    async_->Ask(gtid, [setter](const CommitResult& result) { setter->Set(result); });
  });
  return answer.ok() ? *std::move(answer.value) : OutOfOrder(gtid, answer.status);
}

CommitResult Client::Ask(const CommitResult& result) {
  auto answer = Await<CommitResult>(loop_.get(), [this, result](auto setter) {
    async_->Ask(result, [setter](const CommitResult& r) { setter->Set(r); });
  });
  if (answer.ok()) return *std::move(answer.value);
  CommitResult same = result;  // keeps one_phase_branch
  same.work = answer.status;
  return same;
}

uint64_t Client::leader_changes() {
  return Await<uint64_t>(loop_.get(),
                         [this](auto setter) {
                           setter->Set(async_->coordinators().leader_changes());
                         })
      .value.value_or(0);
}

CommitResult Client::Run(const std::function<absl::Status(Transaction&)>& work,
                         RunOptions options) {
  RunPauses pauses(options, SystemRandom64(), SystemClock().Now());
  while (true) {
    const CommitResult result = RunOnce(work, &options);
    const std::optional<Duration> pause = pauses.After(result, SystemClock().Now());
    if (!pause) return result;
    Sleep(*pause);
  }
}

CommitResult Client::RunOnce(const std::function<absl::Status(Transaction&)>& work,
                             RunOptions* options) {
  auto transaction = Begin(options->transaction);
  if (!transaction.ok()) {
    CommitResult result;
    result.outcome = Outcome::kAborted;  // nothing was begun
    result.cause = AbortCause::kRefused;
    result.detail = std::string(transaction.status().message());
    result.work = transaction.status();
    return result;
  }
  if (options->transaction.age.is_none()) options->transaction.age = transaction->gtid();
  const absl::Status worked = work(*transaction);
  if (worked.ok()) return transaction->Commit();
  CommitResult result = transaction->RollbackAfter(worked);
  // Only the work knows that it was a conflict: another service has told it.
  if (result.outcome == Outcome::kAborted && result.cause == AbortCause::kRolledBack &&
      absl::IsAborted(worked)) {
    result.cause = AbortCause::kConflict;
  }
  return result;
}

}  // namespace concordat::client
