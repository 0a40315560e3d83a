// A Registry with a log that the test commits by hand.
//
//   Log log;
//   Node node(&log);  node.Lead();                  // leader of term 1, ready
//   auto t = node.Register(Bank("bank-a"));
//   node.CommitLog();                               // applies what it has appended
//   EXPECT_EQ(node.Said(t), "REGISTERED");
//
// A second Node on the same Log sees what was committed there, and no more.
#ifndef TESTS_UNIT_REGISTRY_HARNESS_H_
#define TESTS_UNIT_REGISTRY_HARNESS_H_

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/registry/registry.h"

namespace concordat::registry {

// The records that are log-committed, in order; index 1 is the first.
struct Log {
  std::vector<std::string> committed;
};

inline ResourceRecord Bank(const std::string& name,
                           const std::string& address = "here:1") {
  ResourceRecord resource;
  resource.name = name;
  resource.address = address;
  resource.kind = "kv";
  resource.incarnation = Incarnation(0x5f3c);
  resource.cluster = ClusterId(7);
  return resource;
}

inline ResourceRecord BankIn(const std::string& store) {
  ResourceRecord resource = Bank("bank-a");
  resource.store = store;
  return resource;
}

// 2026-11-20T10:01:05.000Z, and half an hour later.
inline constexpr uint64_t kBackup = 1'795'168'865'000;
inline constexpr uint64_t kSeen = 1'795'170'675'250;

inline ResourceRecord BankAt(uint64_t generation) {
  ResourceRecord resource = BankIn("1");
  resource.generation = generation;
  return resource;
}

// Transactions that a test makes up.
class FakeUsers final : public ResourceUsers {
 public:
  std::optional<Gtid> UserOf(std::string_view resource) const override {
    const auto found = users.find(std::string(resource));
    if (found == users.end()) return std::nullopt;
    return found->second;
  }
  void OnReachable(std::string_view resource, Timestamp) override {
    reachable.emplace_back(resource);
  }

  std::map<std::string, Gtid> users;  // by resource
  std::vector<std::string> reachable;
};

inline std::vector<std::string> SnapshotOf(Registry* registry) {
  std::vector<std::string> portions;
  const auto source = registry->TakeSnapshot();
  while (auto portion = source->Next()) portions.push_back(*std::move(portion));
  return portions;
}

inline absl::Status Restore(Registry* registry, const std::vector<std::string>& portions,
                            LogIndex at) {
  const auto restore = registry->BeginRestore(at);
  for (const std::string& portion : portions) {
    if (absl::Status s = restore->Append(portion); !s.ok()) return s;
  }
  const absl::Status status = restore->Finish();
  if (status.ok()) restore->Install();
  return status;
}

class Node {
 public:
  explicit Node(Log* log, const Options& options = Options())
      : registry_(options, &users), log_(log) {}

  // Becomes leader and, unless told otherwise, applies its own term's entry.
  void Lead(uint64_t term = 1, bool ready = true) {
    term_ = term;
    registry_.BecomeLeader(Term(term), now_);
    if (ready) Ready();
  }
  void Ready() {
    registry_.LeaderReady(Term(term_), now_);
    Collect();
  }
  void Lose() {
    registry_.LoseLeadership(now_);
    pending_.clear();
    Collect();
  }

  group::RequestToken Submit(Request request) {
    const group::RequestToken token(next_token_++);
    registry_.Submit(token, std::move(request), now_);
    Collect();
    return token;
  }
  group::RequestToken Register(const ResourceRecord& resource,
                               const std::string& quarantined = "",
                               const std::string& unavailable = "") {
    return Submit(RegisterResourceRequest{resource, quarantined, unavailable});
  }
  group::RequestToken Retire(const std::string& name) {
    return Submit(RetireResourceRequest{name, "ann"});
  }

  void Pass(Duration time) {
    now_ = now_ + time;
    registry_.Tick(now_);
    Collect();
  }
  // Applies what is log-committed and not applied here.
  void CatchUp() {
    while (applied_ < log_->committed.size()) {
      const std::string& record = log_->committed[applied_++];
      ASSERT_TRUE(registry_.Check(record).ok());
      ASSERT_TRUE(registry_.Apply(LogIndex(applied_), record, now_).ok());
      Collect();
    }
  }
  // Commits the first `count` appended records and applies them.
  void CommitLog(size_t count) {
    ASSERT_LE(count, pending_.size());
    log_->committed.insert(log_->committed.end(), pending_.begin(),
                           pending_.begin() + static_cast<ptrdiff_t>(count));
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(count));
    CatchUp();
  }
  void CommitLog() { CommitLog(pending_.size()); }

  // What was answered: Describe(reply); "" when nothing yet.
  [[nodiscard]] std::string Said(group::RequestToken token) const {
    const auto found = answers_.find(token);
    return found == answers_.end() ? "" : found->second;
  }
  // Appended and not committed, as text.
  [[nodiscard]] std::vector<std::string> Appended() const {
    std::vector<std::string> lines;
    for (const std::string& bytes : pending_) {
      auto record = DecodeRecord(bytes);
      lines.push_back(record.ok() ? Describe(*record) : record.status().ToString());
    }
    return lines;
  }
  // The kinds of what has happened, in order.
  [[nodiscard]] const std::vector<Event>& events() const { return events_; }

  [[nodiscard]] Registry& registry() { return registry_; }
  [[nodiscard]] const ResourceTable::Resources& resources() const {
    return registry_.table().resources();
  }
  // The one of that name, which must be there.
  [[nodiscard]] ResourceView View(const std::string& name) const {
    for (ResourceView& view : registry_.Resources(now_)) {
      if (view.resource.name == name) return std::move(view);
    }
    ADD_FAILURE() << "no resource " << name;
    return {};
  }
  [[nodiscard]] Timestamp now() const { return now_; }

  FakeUsers users;

 private:
  void Collect() {
    for (std::string& record : registry_.TakeProposals()) {
      pending_.push_back(std::move(record));
    }
    Output out = registry_.TakeOutput();
    for (Event& event : out.events) events_.push_back(std::move(event));
    for (const Answer& answer : out.answers) {
      const bool first = answers_.emplace(answer.token, Describe(answer.reply)).second;
      EXPECT_TRUE(first) << "two answers to one request: " << answers_[answer.token]
                         << " and " << Describe(answer.reply);
    }
  }

  Registry registry_;
  Log* log_;
  size_t applied_ = 0;
  Timestamp now_ = Timestamp::FromMicros(1'000'000);
  uint64_t term_ = 0;
  uint64_t next_token_ = 1;
  std::vector<std::string> pending_;
  std::vector<Event> events_;
  std::map<group::RequestToken, std::string> answers_;
};

}  // namespace concordat::registry

#endif  // TESTS_UNIT_REGISTRY_HARNESS_H_
