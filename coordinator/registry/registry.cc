#include "coordinator/registry/registry.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"

namespace concordat::registry {

Registry::Registry(const Options& options, ResourceUsers* users)
    : options_(options),
      users_(*users),
      until_ready_(options_.max_not_ready),
      registrar_(options_, table_, users, room_, &out_) {}

void Registry::Respond(group::RequestToken token, Reply reply) {
  Answer& answer = out_.answers.emplace_back();
  answer.token = token;
  answer.reply = std::move(reply);
}

// --- leadership ---

void Registry::BecomeLeader(Term term, Timestamp now) {
  CONCORDAT_CHECK(term > term_) << term << " after " << term_;
  LoseLeadership(now);
  now_ = now;
  role_ = Role::kLeading;
  term_ = term;
}

void Registry::LeaderReady(Term term, Timestamp now) {
  if (role_ != Role::kLeading || term != term_) return;
  now_ = now;
  role_ = Role::kReady;
  registrar_.BeginTerm(now);
  until_ready_.OnReady();
  WorkOff(now);
}

void Registry::LoseLeadership(Timestamp now) {
  now_ = now;
  if (role_ == Role::kFollower) return;
  role_ = Role::kFollower;
  out_.proposals.clear();  // they were not taken, so they are not appended
  registrar_.Abandon();
  for (const auto token : until_ready_.TakeAll()) {
    Respond(token, group::NotLeaderReply{});
  }
}

// --- requests ---

void Registry::Submit(group::RequestToken token, Request request, Timestamp now) {
  now_ = now;
  if (role_ == Role::kFollower) return Respond(token, group::NotLeaderReply{});
  if (role_ == Role::kReady) return Dispatch(token, request, now);
  const Timestamp expires = now + options_.not_ready_wait;
  if (!until_ready_.Add(token, std::move(request), expires)) {
    Respond(token, group::NotReadyReply{});
  }
}

void Registry::Dispatch(group::RequestToken token, const Request& request,
                        Timestamp now) {
  if (const auto* registration = std::get_if<RegisterResourceRequest>(&request)) {
    return registrar_.Register(token, *registration, now);
  }
  registrar_.Retire(token, std::get<RetireResourceRequest>(request), now);
}

void Registry::WorkOff(Timestamp now) {
  for (; work_in_output_ < options_.max_work_per_output; ++work_in_output_) {
    const auto next = until_ready_.TakeNext();
    if (!next) return;
    Dispatch(next->token, next->request, now);
  }
}

void Registry::Tick(Timestamp now) {
  now_ = now;
  if (role_ == Role::kReady) return WorkOff(now);
  for (const auto token : until_ready_.TakeExpired(now)) {
    Respond(token, group::NotReadyReply{});
  }
}

bool Registry::HasMoreWork() const { return until_ready_.HasNext(); }

Timestamp Registry::NextTimer() const {
  return HasMoreWork() ? now_ : until_ready_.NextExpiry();
}

std::vector<std::string> Registry::TakeProposals() {
  return std::exchange(out_.proposals, {});
}

Output Registry::TakeOutput() {
  work_in_output_ = 0;
  return std::exchange(out_, {});
}

// --- the log ---

absl::Status Registry::Check(std::string_view command) const {
  return DecodeRecord(command).status();
}

absl::Status Registry::Apply(LogIndex index, std::string_view command, Timestamp now) {
  const auto record = DecodeRecord(command);
  if (!record.ok()) return record.status();
  const Effect effect = table_.Apply(index, *record, users_);
  if (role_ == Role::kReady) registrar_.OnApplied(*record, effect, now);
  return absl::OkStatus();
}

// --- snapshots ---

class Registry::Restore final : public group::SnapshotRestore {
 public:
  Restore(Registry* registry, LogIndex at) : registry_(registry), table_(at) {}

  absl::Status Append(std::string_view portion) override {
    return table_.Append(portion);
  }
  absl::Status Finish() override { return table_.Finish(); }
  void Install() override {
    CONCORDAT_CHECK(registry_->role_ == Role::kFollower) << "a leader restores nothing";
    std::swap(registry_->table_, table_.table());
  }

 private:
  Registry* const registry_;
  TableRestore table_;
};

std::unique_ptr<group::SnapshotSource> Registry::TakeSnapshot() {
  return table_.TakeSnapshot();
}

std::unique_ptr<group::SnapshotRestore> Registry::BeginRestore(LogIndex at) {
  return std::make_unique<Restore>(this, at);
}

}  // namespace concordat::registry
