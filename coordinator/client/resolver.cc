#include "coordinator/client/resolver.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "concordat_wire/types_constants.h"

namespace concordat::client {

void Resolver::Resolve(const std::string& resource, Callback done) {
  const auto known = addresses_.find(resource);
  if (known != addresses_.end()) return done(known->second);
  waiting_.emplace_back(resource, std::move(done));
  if (asking_) return;
  asking_ = true;
  wire::ResolveRequest request;
  request.context.version = wire::g_types_constants.PROTOCOL_VERSION;
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
      [this, reply](const wire::Result& result, bool) { OnAnswer(*reply, result); });
}

void Resolver::OnAnswer(const wire::ResolveReply& reply, const wire::Result& result) {
  asking_ = false;
  for (const wire::ResourceInfo& info : reply.resources) {
    addresses_[info.name] = info.address;
  }
  for (auto& [resource, done] : std::exchange(waiting_, {})) {
    const auto known = addresses_.find(resource);
    if (known != addresses_.end()) {
      done(known->second);
    } else if (result.code == wire::Code::OK) {
      done(absl::NotFoundError(
          absl::StrCat("no participant has registered the resource '", resource,
                       "'; `concordat status` lists those that are known")));
    } else {
      done(absl::UnavailableError(
          absl::StrCat("no coordinator answered: ", result.message)));
    }
  }
}

}  // namespace concordat::client
