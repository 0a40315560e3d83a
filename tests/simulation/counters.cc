#include "tests/simulation/counters.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "tests/simulation/coordinator_node.h"

namespace concordat::simulation {

// --- The judge -----------------------------------------------------------------------

void CounterJudge::Check(const std::string& name, const Operation& operation) {
  if (operation.applied + operation.not_begun <= operation.asked) return;
  world_->Fail(absl::StrCat("counter operation ", name, " was asked for ",
                            operation.asked, " times, refused ", operation.not_begun,
                            " times and applied ", operation.applied, " times"));
}

void CounterJudge::OnNotBegun(const std::string& operation) {
  ++operations_[operation].not_begun;
  Check(operation, operations_[operation]);
}

void CounterJudge::OnApplied(LogIndex index, std::string_view bytes) {
  if (index <= reference_.last_applied()) return;
  const absl::Status applied = reference_.Apply(index, bytes, Timestamp());
  CONCORDAT_CHECK(applied.ok()) << applied.message();
  digests_[index] = reference_.digest();
  world_->Mix(reference_.digest());
  const std::string operation = testing::DecodeCommand(bytes)->padding;
  ++operations_[operation].applied;
  Check(operation, operations_[operation]);
}

void CounterJudge::OnDigest(NodeId node, LogIndex index, uint64_t digest) {
  const auto known = digests_.find(index);
  if (known == digests_.end() || known->second == digest) return;
  world_->Fail(
      absl::StrCat("node ", node.value(), " counts otherwise at entry ", index.value()));
}

void CounterJudge::OnDone(const std::string& operation, const std::string& name,
                          uint64_t floor, uint64_t amount, uint64_t value) {
  if (!operation.empty() && operations_[operation].applied == 0) {
    world_->Fail(absl::StrCat("counter operation ", operation, " is lost"));
  }
  const auto counter = reference_.counters().find(name);
  const uint64_t most = counter == reference_.counters().end() ? 0 : counter->second;
  if (value < floor + amount || value > most) {
    world_->Fail(absl::StrCat("counter ", name, " is said to be ", value, ": it was ",
                              floor, " before ", amount, " was added, and is ", most));
  }
  floors_[name] = std::max(floors_[name], value);
}

// --- The client ----------------------------------------------------------------------

CounterClient::CounterClient(World* world, const Directory* directory,
                             CounterJudge* judge, std::string name)
    : world_(world),
      directory_(directory),
      judge_(judge),
      name_(std::move(name)),
      random_(world->NewSeed()),
      caller_(world) {}

void CounterClient::Think() {
  world_->After(process_, Duration::Millis(random_.Between(1, 30)), [this] {
    if (!stopped_) Ask();
  });
}

void CounterClient::Ask() {
  CounterCall call;
  call.name = absl::StrCat("counter-", random_.Below(9));
  if (random_.Percent(70)) {
    call.amount = static_cast<uint64_t>(random_.Between(1, 5));
    call.operation = absl::StrCat(name_, "-", ++last_operation_);
  }
  if (node_.is_none() || random_.Percent(10)) {
    node_ = directory_->node_list[random_.Below(directory_->node_list.size())];
  }
  asking_ = true;
  const uint64_t floor = judge_->FloorOf(call.name);
  caller_.Call(
      node_, call, Duration::Millis(400), [this, call, floor](const Payload* payload) {
        asking_ = false;
        const auto* reply = ReplyAs<CounterReply>(payload);
        if (reply != nullptr && reply->code == Code::kOk) {
          judge_->OnDone(call.operation, call.name, floor, call.amount, reply->value);
        } else {
          node_ = ProcessId();
        }
        Think();
      });
}

}  // namespace concordat::simulation
