#include "coordinator/txn/registrar.h"

#include "absl/strings/str_cat.h"
#include "coordinator/txn/driver.h"

namespace concordat::txn {

std::optional<RefusedReply> Registrar::Objection(const ResourceRecord& resource) const {
  if (!IsValidResourceName(resource.name) || resource.incarnation.is_none() ||
      resource.address.size() > kMaxDetailLength ||
      resource.kind.size() > kMaxDetailLength ||
      resource.store.size() > kMaxDetailLength) {
    return RefusedReply{Refusal::kBadRequest,
                        absl::StrCat("not a resource that can be registered: '",
                                     Cut(resource.name), "'")};
  }
  if (!options_.cluster.is_none() && resource.cluster != options_.cluster) {
    return RefusedReply{
        Refusal::kForeignCluster,
        absl::StrCat("resource ", resource.name, " belongs to cluster ",
                     absl::Hex(resource.cluster.value(), absl::kZeroPad16), ", this is ",
                     absl::Hex(options_.cluster.value(), absl::kZeroPad16))};
  }
  const auto known = table_.resources().find(resource.name);
  if (known != table_.resources().end() && IsAnotherStore(known->second, resource)) {
    return OtherStore(resource);
  }
  if (table_.resources().size() >= options_.max_resources &&
      known == table_.resources().end()) {
    return RefusedReply{Refusal::kOverloaded, absl::StrCat(options_.max_resources,
                                                           " resources are registered")};
  }
  return std::nullopt;
}

RefusedReply Registrar::OtherStore(const ResourceRecord& resource) const {
  return {Refusal::kOtherStore,
          absl::StrCat("resource ", resource.name, " is kept in store ",
                       table_.resources().at(resource.name).store, ", this is store ",
                       resource.store.empty() ? "(none)" : resource.store,
                       ". What was prepared there is not here")};
}

void Registrar::Register(RequestToken token, const RegisterResourceRequest& request,
                         Timestamp now) {
  const ResourceRecord& resource = request.resource;
  ResourceRecord plain = resource;
  plain.replace_store = false;
  if (auto objection = Objection(resource)) {
    out_.answers.push_back(Answer{token, *std::move(objection)});
    return;
  }
  last_seen_[resource.name] = now;
  const auto known = table_.resources().find(resource.name);
  if (known != table_.resources().end() && known->second == plain) {
    out_.answers.push_back(Answer{token, RegisteredReply{}});
    return;
  }
  registering_.emplace_back(token, resource);
  out_.proposals.push_back(EncodeRecord(resource));
}

void Registrar::OnOtherStore(const ResourceRecord& record) {
  std::erase_if(registering_, [&](const auto& waiting) {
    if (waiting.second != record) return false;
    out_.answers.push_back(Answer{waiting.first, OtherStore(record)});
    return true;
  });
}

void Registrar::OnResource(const ResourceRecord& record, Timestamp now) {
  Event& event = out_.events.emplace_back();
  event.time = now;
  event.kind = EventKind::kResource;
  event.detail = Describe(record);
  std::erase_if(registering_, [&](const auto& waiting) {
    if (waiting.second != record) return false;
    out_.answers.push_back(Answer{waiting.first, RegisteredReply{}});
    return true;
  });
}

void Registrar::ForgetHeuristic(RequestToken token,
                                const ForgetHeuristicRequest& request) {
  if (!table_.heuristics().contains(request.branch)) {
    out_.answers.push_back(Answer{token, HeuristicForgottenReply{}});
    return;
  }
  forgetting_.emplace_back(token, request.branch);
  out_.proposals.push_back(EncodeRecord(
      HeuristicRecord{request.branch, Heuristic::kForgotten, Cut("by " + request.by)}));
}

void Registrar::OnHeuristic(const HeuristicRecord& record) {
  if (record.what != Heuristic::kForgotten) return;
  std::erase_if(forgetting_, [&](const auto& waiting) {
    if (waiting.second != record.branch) return false;
    out_.answers.push_back(Answer{waiting.first, HeuristicForgottenReply{}});
    return true;
  });
}

void Registrar::Abandon() {
  for (const auto& [token, resource] : registering_) {
    out_.answers.push_back(Answer{token, NotLeaderReply{}});
  }
  for (const auto& [token, branch] : forgetting_) {
    out_.answers.push_back(Answer{token, NotLeaderReply{}});
  }
  registering_.clear();
  forgetting_.clear();
  last_seen_.clear();
}

std::optional<Timestamp> Registrar::LastSeen(const std::string& resource) const {
  const auto found = last_seen_.find(resource);
  if (found == last_seen_.end()) return std::nullopt;
  return found->second;
}

}  // namespace concordat::txn
