// A transaction that goes with a call to another service: Share and Merge at the caller,
// CarryBack or Enlist at the callee.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/client/async_client.h"
#include "thrift/wire/conversion.h"

namespace concordat::client {

std::string AsyncTransaction::Share() {
  if (!CheckActive().ok()) return "";
  shared_ = true;
  return EncodeContext(Context{cluster_, gtid_, {}, ""});
}

absl::Status AsyncTransaction::Merge(std::string_view carried_back) {
  if (absl::Status s = CheckActive(); !s.ok()) return s;
  auto context = ParseContext(carried_back);
  if (!context.ok()) return context.status();
  const bool foreign = !context->cluster.is_none() && context->cluster != cluster_;
  if (context->gtid != gtid_ || foreign) {
    return absl::InvalidArgumentError(
        absl::StrCat("branches of ", ToString(context->gtid), " of cluster ",
                     absl::Hex(context->cluster.value()), " carried back to ",
                     ToString(gtid_), " of ", absl::Hex(cluster_.value())));
  }
  // The callee knows the transaction too, and may have requested its end.
  shared_ = shared_ || !context->branches.empty();
  for (BranchId& branch : context->branches) {
    const bool known =
        std::find(carried_.begin(), carried_.end(), branch) != carried_.end();
    if (!known) carried_.push_back(std::move(branch));
  }
  if (context->doomed.empty()) return absl::OkStatus();
  const std::string why = absl::StrCat("work of a service failed: ", context->doomed);
  const bool conflict = context->conflict;
  if (doomed_ == AbortCause::kNone) {
    doom_code_ = conflict ? wire::Code::CONFLICT : wire::Code::UNAVAILABLE;
  }
  Doom(conflict ? AbortCause::kConflict : AbortCause::kLost, why);
  return conflict ? absl::AbortedError(why) : absl::UnavailableError(why);
}

std::string AsyncTransaction::CarryBack() {
  if (joined_ && ended_) Doom(AbortCause::kLost, "it was rolled back");
  if (joined_ && calls_under_way_ > 0) {
    Doom(AbortCause::kLost, "a call was under way when the branches were carried back");
  }
  Context context{cluster_, gtid_, AllBranches(), ""};
  if (joined_ && doomed_ != AbortCause::kNone) {
    RollbackAtResources();
    context.doomed = doom_detail_;
    context.conflict = doomed_ == AbortCause::kConflict;
  } else if (joined_) {
    HandOver(context.branches);
  }
  return EncodeContext(context);
}

void AsyncTransaction::HandOver(const std::vector<BranchId>& branches) {
  for (auto& [resource, branch] : branches_) {
    const bool named =
        std::find(branches.begin(), branches.end(), branch.id) != branches.end();
    branch.handed_over = branch.handed_over || (branch.started && named);
  }
}

void AsyncTransaction::Enlist(absl::AnyInvocable<void(const absl::Status&)> done) {
  struct Gather {
    std::vector<BranchId> branches;
    size_t missing = 0;
    absl::Status status;
    absl::AnyInvocable<void(const absl::Status&)> done;
  };
  if (absl::Status s = CheckActive(); !s.ok()) return done(s);
  if (calls_under_way_ > 0) {
    return done(absl::FailedPreconditionError("a call is under way: enlist after it"));
  }
  if (doomed_ != AbortCause::kNone) {
    RollbackAtResources();
    return done(absl::AbortedError(
        absl::StrCat("the transaction can only be rolled back: ", doom_detail_)));
  }
  shared_ = true;  // from now on it commits through the coordinators
  auto gather = std::make_shared<Gather>();
  gather->branches = AllBranches();
  gather->missing = gather->branches.size();
  gather->done = std::move(done);
  if (gather->branches.empty()) return gather->done(absl::OkStatus());
  ++calls_under_way_;
  for (const BranchId& branch : gather->branches) {
    wire::EnlistRequest request;
    request.context = MakeContext();
    request.branch = ToWire(branch);
    client_->coordinators_.Call(
        client_->options_.time_limit,
        [request](CoordinatorLink* link,
                  std::function<void(const wire::Result&)> answered) {
          link->enlist(std::move(answered), request);
        },
        [self = shared_from_this(), gather](const wire::Result& result, Verdict verdict) {
          // Refused: the branches are not part of it and never will be. Otherwise they
          // may be, if an attempt has reached the coordinators.
          const bool refused =
              result.code == wire::Code::INVALID && verdict == Verdict::kNothingBegun;
          if (result.code == wire::Code::TOO_LATE || refused) {
            gather->status = absl::FailedPreconditionError(result.message);
          } else if (result.code != wire::Code::OK && gather->status.ok()) {
            gather->status = absl::UnavailableError(result.message);
          }
          if (--gather->missing > 0) return;
          // Work that is not part of the transaction must not remain.
          if (!gather->status.ok()) {
            self->RollbackAtResources();
          } else if (self->joined_) {
            self->HandOver(gather->branches);
          }
          gather->done(gather->status);
          self->EndCall();
        });
  }
}

}  // namespace concordat::client
