#include "coordinator/client/cluster_lookup.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/signed.h"

namespace concordat::client {

void ClusterLookup::Find(Callback done) {
  if (!cluster_.is_none()) return done(cluster_);
  waiting_.push_back(std::move(done));
  if (waiting_.size() > 1) return;
  coordinators_->Hello(time_limit_,
                       [this](const wire::HelloReply& reply, const wire::Result& result) {
                         OnAnswer(reply, result);
                       });
}

void ClusterLookup::OnAnswer(const wire::HelloReply& reply, const wire::Result& result) {
  absl::StatusOr<ClusterId> answer = absl::UnavailableError(
      absl::StrCat("no coordinator has said its cluster: ", result.message));
  if (result.code == wire::Code::OK) {
    cluster_ = ClusterId(Unsigned(reply.cluster));
    answer = cluster_;
  }
  for (Callback& done : std::exchange(waiting_, {})) done(answer);
}

}  // namespace concordat::client
