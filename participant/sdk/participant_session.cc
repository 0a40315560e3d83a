// A participant from start to end: finding the cluster, recovery, registration and
// heartbeats, inquiries about branches in doubt, stopping.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/log.h"
#include "coordinator/base/signed.h"
#include "participant/sdk/core/branch_number.h"
#include "participant/sdk/participant.h"
#include "participant/sdk/waiters.h"
#include "thrift/wire/conversion.h"

namespace concordat::participant {

void Participant::RunAfter(Duration delay, void (Participant::*method)()) {
  loop_->RunAfter(delay, lifetime_.IfAlive([this, method] {
    if (phase_ != Phase::kStopped) (this->*method)();
  }));
}

// --- start ---

void Participant::Start(absl::AnyInvocable<void(absl::Status)> ready) {
  CONCORDAT_CHECK(phase_ == Phase::kNew) << "started twice";
  phase_ = Phase::kStarting;
  ready_ = std::move(ready);
  Handshake();
}

void Participant::Handshake() {
  link_->Hello(
      MakeContext(ClusterId()),
      lifetime_.IfAlive([this](const absl::StatusOr<wire::HelloReply>& reply) {
        if (phase_ != Phase::kStarting) return;
        if (reply.ok() && reply->cluster != 0) {
          return OnCluster(ClusterId(Unsigned(reply->cluster)));
        }
        const std::string why =
            reply.ok() ? "it has no cluster yet" : std::string(reply.status().message());
        if (waiting_.Admit(loop_->Now(), why)) {
          LogEvent(Level::kWarning, "waiting for a coordinator").Field("error", why);
        }
        RunAfter(options_.retry, &Participant::Handshake);
      }));
}

void Participant::OnCluster(ClusterId cluster) {
  cluster_ = cluster;
  to_recover_ = resources_.size();
  timer_ = loop_->RunEvery(options_.branches.scan_interval, [this] { OnTimer(); });
  for (size_t i = 0; i < resources_.size(); ++i) {
    resources_[i].manager->OnFound([inbox = inbox_, i](FoundResult found) {
      inbox->Push({i, BranchId(), std::move(found)});
    });
    resources_[i].manager->Recover(cluster, [inbox = inbox_, i](RecoverResult result) {
      inbox->Push({i, BranchId(), std::move(result)});
    });
  }
  if (resources_.empty()) RegisterResources();
}

void Participant::OnRecovered(size_t index, RecoverResult result) {
  if (phase_ != Phase::kStarting) return;
  BranchTable* table = resources_[index].table.get();
  // The coordinators know a branch by its resource's name.
  if (result.ok()) {
    for (const BranchId& branch : *result) {
      if (branch.resource == table->resource()) continue;
      result = absl::FailedPreconditionError(
          absl::StrCat("the store holds a branch in doubt of resource ", branch.resource,
                       ". Serve it under that name until it is settled"));
      break;
    }
  }
  if (!result.ok()) {
    phase_ = Phase::kFailed;
    return ReportReady(absl::Status(
        result.status().code(),
        absl::StrCat("resource ", table->resource(), ": ", result.status().message())));
  }
  Resource& resource = resources_[index];
  for (BranchId& branch : *result) {
    const Duration alone = GracePeriodOf(branch.number);
    resource.prepared.push_back({std::move(branch), alone});
  }
  resource.generation = resource.manager->generation();
  LogEvent(Level::kInfo, "resource recovered")
      .Field("resource", table->resource())
      .Field("incarnation", absl::StrCat(absl::Hex(table->incarnation().value())))
      .Field("in_doubt", resource.prepared.size());
  if (--to_recover_ == 0) RegisterResources();
}

void Participant::OnFound(BranchTable* table, const FoundResult& found) {
  for (const FoundBranch& item : found) {
    if (item.branch.resource != table->resource()) continue;
    table->Adopt({item.branch, GraceLeft(item.branch.number, item.prepared_for)},
                 loop_->Now());
  }
}

void Participant::ReportReady(absl::Status status) {
  if (ready_) std::exchange(ready_, nullptr)(std::move(status));
}

// --- registration ---

void Participant::RegisterResources() {
  wire::RegisterRequest request;
  request.context = MakeContext(cluster_);
  for (const Resource& resource : resources_) {
    wire::ResourceInfo& info = request.resources.emplace_back();
    info.name = resource.table->resource();
    info.address = options_.advertise;
    info.kind = std::string(resource.manager->kind());
    info.incarnation = Signed(resource.table->incarnation());
    if (const std::string store = resource.manager->store_id(); !store.empty()) {
      info.__set_store(store);
    }
    if (resource.generation > 0) info.__set_generation(Signed(resource.generation));
    if (const std::string why = resource.manager->unavailable(); !why.empty()) {
      info.__set_unavailable(why);
    }
    if (!quarantine_.empty()) info.__set_quarantined(quarantine_);
    if (options_.replace_stores.contains(info.name) && !registered_) {
      info.__set_replace_store(true);
    }
  }
  link_->Register(request,
                  lifetime_.IfAlive([this](absl::StatusOr<wire::RegisterReply> reply) {
                    if (phase_ != Phase::kStopped) OnRegistered(std::move(reply));
                  }));
}

void Participant::OnRegistered(absl::StatusOr<wire::RegisterReply> reply) {
  if (reply.ok() && reply->__isset.cluster &&
      Unsigned(reply->cluster) != cluster_.value()) {
    reply = absl::FailedPreconditionError("the coordinator belongs to another cluster");
  }
  // The registration asked to be refused: the resource is listed as quarantined.
  if (quarantined_here_) return RunAfter(heartbeat_, &Participant::RegisterResources);
  if (absl::IsInvalidArgument(reply.status())) return Quarantine(reply.status());
  if (!reply.ok()) {
    register_failed_before_ = true;
    if (not_registered_.Admit(loop_->Now(), std::string(reply.status().message()))) {
      LogEvent(Level::kWarning, "not registered")
          .Field("error", reply.status().message());
    }
    return RunAfter(options_.retry, &Participant::RegisterResources);
  }
  if (!registered_ ||
      (register_failed_before_ && registered_again_.Admit(loop_->Now(), ""))) {
    LogEvent(Level::kInfo, "registered").Field("address", options_.advertise);
  }
  if (!std::exchange(registered_, true)) BeginServing();
  register_failed_before_ = false;
  if (reply->heartbeat_ms > 0) {
    heartbeat_ =
        std::max(Duration::Millis(reply->heartbeat_ms / 2), Duration::Millis(20));
  }
  for (const wire::Gtid& item : reply->watermarks) {
    const absl::StatusOr<Gtid> watermark = FromWire(item);
    if (!watermark.ok()) continue;
    for (const Resource& resource : resources_) resource.table->OnWatermark(*watermark);
  }
  RunAfter(heartbeat_, &Participant::RegisterResources);
  if (phase_ == Phase::kStarting) {
    phase_ = Phase::kServing;
    ReportReady(absl::OkStatus());
  }
  ScheduleDrain();
}

// The coordinators have accepted these stores: they contain what was promised.
void Participant::BeginServing() {
  const Timestamp now = loop_->Now();
  for (Resource& resource : resources_) {
    BranchTable* table = resource.table.get();
    table->Recovered(resource.prepared, now);
    for (const FoundResult& found : std::exchange(resource.found, {})) {
      OnFound(table, found);
    }
    resource.advance_at = now + options_.generation_interval;
    if (options_.replace_stores.contains(table->resource())) {
      // This is done at once, so that an older copy, or the old store, has a lower
      // generation if it comes back.
      resource.advance_at = now;
      resource.worked = true;
    }
  }
}

// For the operator, who must look at these branches before the store is accepted as it
// is.
void Participant::LogRefusedBranches() const {
  constexpr size_t kMost = 1000;
  for (const Resource& resource : resources_) {
    size_t logged = 0;
    for (const RecoveredBranch& item : resource.prepared) {
      if (++logged > kMost) break;
      LogEvent(Level::kWarning, "in doubt in the refused store")
          .Field("branch", item.branch)
          .Field("in_doubt", resource.prepared.size());
    }
  }
}

// The coordinators have refused these resources: nothing more is promised for them. Their
// prepared branches stay where they are.
void Participant::Quarantine(const absl::Status& why) {
  phase_ = Phase::kFailed;
  quarantine_ = absl::StrCat("the coordinators refuse the registration: ",
                             std::string(why.message()));
  LogEvent(Level::kError, "registration refused: nothing is served")
      .Field("error", why.message());
  if (!registered_) LogRefusedBranches();
  ReportReady(absl::FailedPreconditionError(quarantine_));
}

// --- branches in doubt ---

void Participant::SendInquiries(std::vector<BranchId> branches) {
  for (size_t begin = 0; begin < branches.size(); begin += options_.max_inquiries) {
    const size_t end = std::min(begin + options_.max_inquiries, branches.size());
    std::vector<BranchId> part(branches.begin() + static_cast<ptrdiff_t>(begin),
                               branches.begin() + static_cast<ptrdiff_t>(end));
    wire::InquiryRequest request;
    request.context = MakeContext(cluster_);
    request.branches = ToWire(part);
    link_->Inquire(
        request, lifetime_.IfAlive([this, part = std::move(part)](
                                       const absl::StatusOr<wire::InquiryReply>& reply) {
          if (phase_ == Phase::kServing) OnInquiryReply(part, reply);
        }));
  }
}

// The table asks again about a branch without an answer.
void Participant::OnInquiryReply(const std::vector<BranchId>& asked,
                                 const absl::StatusOr<wire::InquiryReply>& reply) {
  if (!reply.ok() || reply->items.size() != asked.size()) {
    LogEvent(Level::kDebug, "inquiry without an answer")
        .Field("branches", asked.size())
        .Field("error", reply.ok() ? "the answer has another length"
                                   : std::string(reply.status().message()));
    return;
  }
  for (size_t i = 0; i < asked.size(); ++i) {
    const wire::InquiryItem& item = reply->items[i];
    Resource* resource = FindResource(asked[i].resource);
    if (resource == nullptr || item.result.code != wire::Code::OK ||
        !item.__isset.answer) {
      continue;
    }
    resource->table->OnInquiryAnswer(asked[i], FromWire(item.answer), loop_->Now());
  }
  ScheduleDrain();
}

// --- stopping ---

void Participant::CloseManagers() {
  for (Resource& resource : resources_) {
    if (resource.manager != nullptr) resource.manager->Close();
    resource.manager.reset();
  }
}

void Participant::Stop(absl::AnyInvocable<void()> done) {
  if (phase_ != Phase::kStopped) {
    phase_ = Phase::kStopped;
    loop_->Cancel(timer_);
    ready_ = nullptr;
    for (const Resource& resource : resources_) {
      resource.table->StopStarting();
      resource.table->RollBackActive(loop_->Now());
    }
    Drain();
    CloseManagers();  // calls back everything that was begun
    Drain();
    std::vector<Slot> slots = std::exchange(slots_, {});
    free_slots_.clear();
    for (const Slot& slot : slots) {
      if (slot.waiter != nullptr) slot.waiter->OnClosed(slot);
    }
    LogEvent(Level::kInfo, "participant closed");
  }
  loop_->Post(std::move(done));
}

}  // namespace concordat::participant
