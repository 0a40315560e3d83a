#include "coordinator/txn/registrar.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/txn/commit_protocol.h"

namespace concordat::txn {
namespace {

std::string NameOf(const std::string& store) { return store.empty() ? "(none)" : store; }

}  // namespace

std::optional<RefusedReply> Registrar::Objection(const ResourceRecord& resource) const {
  if (!IsValidResourceName(resource.name) || resource.incarnation.is_none() ||
      resource.address.size() > kMaxDetailLength ||
      resource.kind.size() > kMaxDetailLength ||
      resource.store.size() > kMaxDetailLength || resource.generation > kMaxGeneration) {
    return RefusedReply{Refusal::kBadRequest,
                        absl::StrCat("not a resource that can be registered: '",
                                     Truncated(resource.name), "'")};
  }
  if (!options_.cluster.is_none() && resource.cluster != options_.cluster) {
    return RefusedReply{
        Refusal::kForeignCluster,
        absl::StrCat("resource ", resource.name, " belongs to cluster ",
                     absl::Hex(resource.cluster.value(), absl::kZeroPad16), ", this is ",
                     absl::Hex(options_.cluster.value(), absl::kZeroPad16))};
  }
  const auto known = table_.resources().find(resource.name);
  if (known != table_.resources().end() && (IsAnotherStore(known->second, resource) ||
                                            IsOlderStore(known->second, resource))) {
    return WrongStore(resource);
  }
  if (table_.resources().size() >= options_.max_resources &&
      known == table_.resources().end()) {
    return RefusedReply{Refusal::kOverloaded, absl::StrCat(options_.max_resources,
                                                           " resources are registered")};
  }
  return std::nullopt;
}

RefusedReply Registrar::WrongStore(const ResourceRecord& resource) const {
  const ResourceRecord& known = table_.resources().at(resource.name);
  if (IsOlderStore(known, resource)) {
    return {
        Refusal::kOlderStore,
        absl::StrCat("store ", NameOf(known.store), " of resource ", resource.name,
                     " holds its data of ", GenerationText(resource.generation),
                     ", but was seen at ", GenerationText(known.generation),
                     ": a backup was put back, or a standby serves that had not "
                     "received everything. Serve the newer store; or, if it is lost, "
                     "reconcile what is missing, and start once with --replace-store ",
                     resource.name,
                     ", which accepts this one as it is: what was decided COMMIT and "
                     "is not in it is then reported as a heuristic hazard")};
  }
  return {
      Refusal::kOtherStore,
      absl::StrCat("resource ", resource.name, " is kept in store ", NameOf(known.store),
                   ", this is store ", NameOf(resource.store),
                   ". What was prepared there is not here. Serve the store that had "
                   "the name; or, if it is lost, start once with --replace-store ",
                   resource.name, ": its branches in doubt are then settled without it")};
}

// --- answers ---

void Registrar::Refuse(RequestToken token, const std::string& resource,
                       RefusedReply reply, Timestamp now) {
  if (table_.resources().contains(resource)) {
    LastRefusal& last = refused_[resource];
    if (last.why != reply.detail) {  // it may be repeated every second
      Event& event = out_.events.emplace_back();
      event.time = now;
      event.kind = EventKind::kRefusedRequest;
      event.detail = reply.detail;
    }
    last = {reply.detail, now};
  }
  out_.answers.push_back(Answer{token, std::move(reply)});
}

void Registrar::RefuseForSpace(RequestToken token) {
  out_.answers.push_back(
      Answer{token, RefusedReply{Refusal::kOverloaded, std::string(kDiskFull)}});
}

void Registrar::Accept(RequestToken token, const std::string& resource) {
  refused_.erase(resource);
  out_.answers.push_back(Answer{token, RegisteredReply{}});
}

const Registrar::LastRefusal* Registrar::FindRefusal(const std::string& resource) const {
  const auto found = refused_.find(resource);
  return found == refused_.end() ? nullptr : &found->second;
}

std::string Registrar::Unavailable(const std::string& resource) const {
  const auto found = unavailable_.find(resource);
  return found == unavailable_.end() ? "" : found->second;
}

void Registrar::Register(RequestToken token, const RegisterResourceRequest& request,
                         Timestamp now) {
  const ResourceRecord& resource = request.resource;
  ResourceRecord plain = resource;
  plain.replace_store = false;
  if (auto objection = Objection(resource)) {
    return Refuse(token, resource.name, *std::move(objection), now);
  }
  // Not heard of as alive: it wants to be listed, and nothing to be sent to it.
  if (!request.quarantined.empty()) {
    return Refuse(token, resource.name,
                  {Refusal::kQuarantined, Truncated(request.quarantined)}, now);
  }
  last_seen_[resource.name] = now;
  if (request.unavailable.empty()) {
    unavailable_.erase(resource.name);
  } else {
    unavailable_[resource.name] = Truncated(request.unavailable);
  }
  const auto known = table_.resources().find(resource.name);
  if (known != table_.resources().end() && known->second == plain) {
    return Accept(token, resource.name);
  }
  // A generation that has grown, too: it comes every few seconds, for ever.
  if (!admits_new_work_) {
    return Refuse(token, resource.name, {Refusal::kOverloaded, std::string(kDiskFull)},
                  now);
  }
  registering_.emplace_back(token, resource);
  out_.proposals.push_back(EncodeRecord(resource));
}

void Registrar::OnOvertaken(const ResourceRecord& record, Timestamp now) {
  std::erase_if(registering_, [&](const auto& waiting) {
    if (waiting.second != record) return false;
    Refuse(waiting.first, record.name, WrongStore(record), now);
    return true;
  });
}

// A generation that has grown is no news for operators: it comes every few seconds.
void Registrar::OnResource(const ResourceRecord& record, bool only_generation,
                           Timestamp now) {
  if (!only_generation) {
    Event& event = out_.events.emplace_back();
    event.time = now;
    event.kind = EventKind::kResource;
    event.detail = Describe(record);
  }
  std::erase_if(registering_, [&](const auto& waiting) {
    if (waiting.second != record) return false;
    Accept(waiting.first, record.name);
    return true;
  });
}

void Registrar::ForgetHeuristic(RequestToken token,
                                const ForgetHeuristicRequest& request) {
  if (!table_.heuristics().contains(request.branch)) {
    out_.answers.push_back(
        Answer{token, HeuristicForgottenReply{/*was_on_record=*/false}});
    return;
  }
  if (!admits_new_work_) return RefuseForSpace(token);
  forgetting_.emplace_back(token, request.branch);
  out_.proposals.push_back(EncodeRecord(HeuristicRecord{
      request.branch, Heuristic::kForgotten, Truncated("by " + request.by)}));
}

void Registrar::OnHeuristic(const HeuristicRecord& record) {
  if (record.what != Heuristic::kForgotten) return;
  std::erase_if(forgetting_, [&](const auto& waiting) {
    if (waiting.second != record.branch) return false;
    out_.answers.push_back(Answer{waiting.first, HeuristicForgottenReply{}});
    return true;
  });
}

// --- giving a name up ---

std::string Registrar::UseOf(const std::string& name, Timestamp now) const {
  if (const auto gtid = table_.UserOf(name)) {
    return absl::StrCat("transaction ", ToString(*gtid), " has a branch at resource ",
                        name, " and is not over: concordat txn show ", ToString(*gtid));
  }
  // A new leader gives every participant the time to be heard of.
  const Timestamp heard = std::max(LastSeen(name).value_or(ready_since_), ready_since_);
  if (now < heard + options_.resource_silent_after) {
    return absl::StrCat("resource ", name,
                        " is served, or was a moment ago: end its participant, wait "
                        "until it is SILENT, and repeat");
  }
  return "";
}

void Registrar::Retire(RequestToken token, const RetireResourceRequest& request,
                       Timestamp now) {
  if (!table_.resources().contains(request.name)) {
    out_.answers.push_back(Answer{token, ResourceRetiredReply{/*was_known=*/false}});
    return;
  }
  if (std::string use = UseOf(request.name, now); !use.empty()) {
    out_.answers.push_back(Answer{token, RefusedReply{Refusal::kInUse, std::move(use)}});
    return;
  }
  if (!admits_new_work_) return RefuseForSpace(token);
  retiring_.emplace_back(token, RetiredRecord{request.name, Truncated(request.by)});
  out_.proposals.push_back(EncodeRecord(retiring_.back().second));
}

void Registrar::OnRetired(const RetiredRecord& record, const RetiredEffect& effect,
                          Timestamp now) {
  if (effect.ignored == Ignored::kNo) {
    last_seen_.erase(record.name);
    unavailable_.erase(record.name);
    refused_.erase(record.name);
    Event& event = out_.events.emplace_back();
    event.time = now;
    event.kind = EventKind::kResource;
    event.detail = Describe(record);
  }
  std::erase_if(retiring_, [&](const auto& waiting) {
    if (waiting.second != record) return false;
    if (effect.ignored == Ignored::kInUse) {
      out_.answers.push_back(
          Answer{waiting.first, RefusedReply{Refusal::kInUse, UseOf(record.name, now)}});
    } else {
      out_.answers.push_back(Answer{waiting.first, ResourceRetiredReply{}});
    }
    return true;
  });
}

void Registrar::Abandon() {
  // Their records were appended, and may reach the log under the next leader.
  for (const auto& [token, resource] : registering_) {
    out_.answers.push_back(Answer{token, UndecidedReply{}});
  }
  for (const auto& [token, branch] : forgetting_) {
    out_.answers.push_back(Answer{token, UndecidedReply{}});
  }
  for (const auto& [token, resource] : retiring_) {
    out_.answers.push_back(Answer{token, UndecidedReply{}});
  }
  retiring_.clear();
  registering_.clear();
  forgetting_.clear();
  last_seen_.clear();
  unavailable_.clear();
  refused_.clear();
}

std::optional<Timestamp> Registrar::LastSeen(const std::string& resource) const {
  const auto found = last_seen_.find(resource);
  if (found == last_seen_.end()) return std::nullopt;
  return found->second;
}

}  // namespace concordat::txn
