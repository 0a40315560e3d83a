#include "coordinator/client/gtid_pool.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/signed.h"
#include "thrift/wire/conversion.h"

namespace concordat::client {

GtidPool::GtidPool(rpc::EventLoop* loop, Coordinators* coordinators, int32_t block_size,
                   Duration time_limit)
    : loop_(loop),
      coordinators_(coordinators),
      block_size_(block_size),
      time_limit_(time_limit) {}

void GtidPool::Take(Callback done) {
  waiting_.push_back(std::move(done));
  Serve();
}

void GtidPool::Serve() {
  // A gtid that the coordinators may have forgotten is not used any more.
  if (left_ > 0 && loop_->Now() >= expires_) left_ = 0;
  while (left_ > 0 && !waiting_.empty()) {
    const Gtid gtid = next_;
    ++next_.sequence;
    --left_;
    Callback done = std::move(waiting_.front());
    waiting_.pop_front();
    done(gtid);
  }
  if (!waiting_.empty() && !fetching_) Fetch();
}

void GtidPool::Fetch() {
  fetching_ = true;
  wire::BeginRequest request;
  request.context = MakeContext();
  request.count = block_size_;
  auto reply = std::make_shared<wire::BeginReply>();
  coordinators_->Call(
      time_limit_,
      [request, reply](CoordinatorLink* link,
                       std::function<void(const wire::Result&)> done) {
        link->allocateGtids(
            [reply, done = std::move(done)](const wire::BeginReply& answer) {
              *reply = answer;
              done(answer.result);
            },
            request);
      },
      [this, reply](const wire::Result& result, Verdict) { OnBlock(*reply, result); });
}

void GtidPool::OnBlock(const wire::BeginReply& reply, const wire::Result& result) {
  fetching_ = false;
  if (result.code == wire::Code::OK && reply.count > 0) {
    next_ = Gtid{GroupId(static_cast<uint32_t>(reply.first.group)),
                 Term(Unsigned(reply.first.term)), Unsigned(reply.first.sequence)};
    left_ = reply.count;
    coordinators_->Learn(reply.nodes);
    // The other half of the time is for the transaction itself.
    expires_ = loop_->Now() + Duration::Millis(reply.valid_ms / 2);
    return Serve();
  }
  const absl::Status status =
      absl::UnavailableError(absl::StrCat("no transaction was begun: ", result.message));
  for (Callback& done : std::exchange(waiting_, {})) done(status);
}

}  // namespace concordat::client
