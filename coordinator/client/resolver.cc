#include "coordinator/client/resolver.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "thrift/wire/conversion.h"

namespace concordat::client {

void Resolver::Resolve(const std::string& resource, Callback done) {
  const auto known = addresses_.find(resource);
  if (known != addresses_.end()) return done(known->second);
  waiting_.emplace_back(resource, std::move(done));
  if (asking_) return;
  asking_ = true;
  Ask(/*again=*/false);
}

void Resolver::Ask(bool again) {
  wire::ResolveRequest request;
  request.context = MakeContext();
  asked_.clear();
  for (const auto& [resource, done] : waiting_) asked_.insert(resource);
  request.names.assign(asked_.begin(), asked_.end());
  auto reply = std::make_shared<wire::ResolveReply>();
  coordinators_->Call(
      time_limit_,
      [request, reply](CoordinatorLink* link,
                       std::function<void(const wire::Result&)> answered) {
        link->resolve(
            [reply, answered = std::move(answered)](const wire::ResolveReply& answer) {
              *reply = answer;
              answered(answer.result);
            },
            request);
      },
      [this, reply, again](const wire::Result& result, Verdict) {
        OnAnswer(*reply, result, again);
      });
}

bool Resolver::AllKnown() const {
  return std::all_of(waiting_.begin(), waiting_.end(), [this](const auto& waiter) {
    return addresses_.contains(waiter.first);
  });
}

void Resolver::OnAnswer(const wire::ResolveReply& reply, const wire::Result& result,
                        bool again) {
  for (const wire::ResourceInfo& info : reply.resources) {
    addresses_[info.name] = info.address;
  }
  // A follower may not know a new registration yet, so the leader is asked.
  if (result.code == wire::Code::OK && !again && !AllKnown()) {
    return coordinators_->Hello(
        time_limit_,
        [this](const wire::HelloReply&, const wire::Result&) { Ask(/*again=*/true); });
  }
  asking_ = false;
  const std::set<std::string> asked = std::exchange(asked_, {});
  for (auto& [resource, done] : std::exchange(waiting_, {})) {
    const auto known = addresses_.find(resource);
    if (known != addresses_.end()) {
      done(known->second);
    } else if (!asked.contains(resource)) {
      waiting_.emplace_back(resource, std::move(done));  // came after the question
    } else if (result.code == wire::Code::OK) {
      done(absl::NotFoundError(
          absl::StrCat("no participant has registered the resource '", resource,
                       "'; `concordat status` lists those that are known")));
    } else {
      done(absl::UnavailableError(
          absl::StrCat("no coordinator answered: ", result.message)));
    }
  }
  if (waiting_.empty() || asking_) return;
  asking_ = true;
  Ask(/*again=*/false);
}

}  // namespace concordat::client
