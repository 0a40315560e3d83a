#include "coordinator/registry/registrar.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "coordinator/base/record_fields.h"
#include "coordinator/base/xid.h"

namespace concordat::registry {

namespace {

std::string NameOf(const std::string& store) { return store.empty() ? "(none)" : store; }

}  // namespace

// --- registration ---

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
  const ResourceRecord* known = table_.Find(resource.name);
  if (known != nullptr &&
      (IsAnotherStore(*known, resource) || IsOlderStore(*known, resource))) {
    return WrongStore(resource);
  }
  if (known == nullptr && table_.resources().size() >= options_.max_resources) {
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

void Registrar::Register(RequestToken token, const RegisterResourceRequest& request,
                         Timestamp now) {
  const ResourceRecord& resource = request.resource;
  if (auto objection = Objection(resource)) {
    return RespondToRegistration(token, resource.name, *std::move(objection), now);
  }
  // This is not a heartbeat: the participant is to be listed, and nothing sent to it.
  if (!request.quarantined.empty()) {
    return RespondToRegistration(
        token, resource.name,
        RefusedReply{Refusal::kQuarantined, Truncated(request.quarantined)}, now);
  }
  NoteHeartbeat(request, now);
  ResourceRecord plain = resource;
  plain.replace_store = false;
  if (const ResourceRecord* known = table_.Find(resource.name);
      known != nullptr && *known == plain) {
    return RespondToRegistration(token, resource.name, RegisteredReply{}, now);
  }
  // Also for a generation that has grown, because one comes every few seconds, for ever.
  if (!room_.for_new_work) {
    return RespondToRegistration(
        token, resource.name, RefusedReply{Refusal::kOverloaded, std::string(kDiskFull)},
        now);
  }
  Propose(token, resource);
}

// When a resource is heard of again after a silence, messages that wait for it are sent
// at once, and not when they are due to be repeated.
void Registrar::NoteHeartbeat(const RegisterResourceRequest& request, Timestamp now) {
  Heard& heard = heard_[request.resource.name];
  if (heard.last_seen && now - *heard.last_seen > options_.silence) {
    users_.OnReachable(request.resource.name, now);
  }
  heard.last_seen = now;
  heard.unavailable = Truncated(request.unavailable);
}

void Registrar::RespondToRegistration(RequestToken token, const std::string& resource,
                                      Reply reply, Timestamp now) {
  if (const auto* refused = std::get_if<RefusedReply>(&reply)) {
    if (table_.Find(resource) != nullptr) {
      Heard& heard = heard_[resource];
      // The participant may repeat the same registration every second.
      if (heard.refused != refused->detail)
        Emit(EventKind::kRefused, refused->detail, now);
      heard.refused = refused->detail;
      heard.refused_at = now;
    }
  } else if (const auto heard = heard_.find(resource); heard != heard_.end()) {
    heard->second.refused.clear();
  }
  Respond(token, std::move(reply));
}

// --- giving a name up ---

std::string Registrar::UseOf(const std::string& name, Timestamp now) const {
  if (const auto gtid = users_.UserOf(name)) {
    return absl::StrCat("transaction ", ToString(*gtid), " has a branch at resource ",
                        name, " and is not over: concordat txn show ", ToString(*gtid));
  }
  // A new leader gives every participant time to send a heartbeat.
  Timestamp heard = ready_since_;
  if (const auto found = heard_.find(name); found != heard_.end()) {
    heard = std::max(heard, found->second.last_seen.value_or(ready_since_));
  }
  if (now < heard + options_.silent_after) {
    return absl::StrCat("resource ", name,
                        " is served, or was a moment ago: end its participant, wait "
                        "until it is SILENT, and repeat");
  }
  return "";
}

void Registrar::Retire(RequestToken token, const RetireResourceRequest& request,
                       Timestamp now) {
  if (table_.Find(request.name) == nullptr) {
    return Respond(token, ResourceRetiredReply{/*was_known=*/false});
  }
  if (std::string use = UseOf(request.name, now); !use.empty()) {
    return Respond(token, RefusedReply{Refusal::kInUse, std::move(use)});
  }
  if (!room_.for_new_work) {
    return Respond(token, RefusedReply{Refusal::kOverloaded, std::string(kDiskFull)});
  }
  Propose(token, RetiredRecord{request.name, Truncated(request.by)});
}

// --- those that wait for a record ---

void Registrar::Propose(RequestToken token, Record record) {
  out_.proposals.push_back(EncodeRecord(record));
  waiting_.emplace_back(token, std::move(record));
}

Reply Registrar::AnswerTo(const Record& record, Effect effect, Timestamp now) const {
  if (const auto* resource = std::get_if<ResourceRecord>(&record)) {
    // Another record came first in the log: one of another store, or a later one of the
    // same store.
    const bool overtaken = effect == Effect::kOtherStore || effect == Effect::kOlderStore;
    if (overtaken) return WrongStore(*resource);
    return RegisteredReply{};
  }
  if (effect != Effect::kInUse) return ResourceRetiredReply{};
  return RefusedReply{Refusal::kInUse, UseOf(std::get<RetiredRecord>(record).name, now)};
}

void Registrar::OnApplied(const Record& record, Effect effect, Timestamp now) {
  const auto* resource = std::get_if<ResourceRecord>(&record);
  if (effect == Effect::kRetired) heard_.erase(std::get<RetiredRecord>(record).name);
  // No event is reported for a generation that has grown: one comes every few seconds.
  const bool registered = effect == Effect::kRegistered ||
                          (effect == Effect::kUnchanged && resource != nullptr);
  if (registered || effect == Effect::kRetired) {
    Emit(EventKind::kChanged, Describe(record), now);
  }
  if (registered) users_.OnReachable(resource->name, now);
  std::erase_if(waiting_, [&](const auto& waiting) {
    if (waiting.second != record) return false;
    Reply reply = AnswerTo(record, effect, now);
    if (resource != nullptr) {
      RespondToRegistration(waiting.first, resource->name, std::move(reply), now);
    } else {
      Respond(waiting.first, std::move(reply));
    }
    return true;
  });
}

void Registrar::Abandon() {
  for (const auto& [token, record] : waiting_) Respond(token, UndecidedReply{});
  waiting_.clear();
  heard_.clear();
}

// --- views ---

std::vector<ResourceView> Registrar::Views(Timestamp now) const {
  std::vector<ResourceView> views;
  for (const auto& [name, resource] : table_.resources()) {
    ResourceView& view = views.emplace_back();
    view.resource = resource;
    const auto found = heard_.find(name);
    if (found == heard_.end()) continue;
    const Heard& heard = found->second;
    if (heard.last_seen) {
      view.last_seen = now - *heard.last_seen;
      view.silent = *view.last_seen >= options_.silent_after;
    }
    view.unavailable = heard.unavailable;
    view.refused = heard.refused;
    if (!heard.refused.empty()) view.refused_ago = now - heard.refused_at;
  }
  return views;
}

std::string Registrar::Unavailable(const std::string& resource) const {
  const auto found = heard_.find(resource);
  return found == heard_.end() ? "" : found->second.unavailable;
}

}  // namespace concordat::registry
