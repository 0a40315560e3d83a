#include "examples/processes/observer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/system_clock.h"
#include "examples/processes/loop_call.h"
#include "thrift/wire/conversion.h"

namespace concordat::example {

namespace {

constexpr Duration kPeriod = Duration::Millis(20);
// A node that takes longer to answer counts as not answering.
constexpr Duration kCallTimeout = Duration::Millis(1000);
constexpr int32_t kListed = 10'000;
constexpr size_t kMaxExamples = 5;

// What an answer names, or why that is no name.
template <class Wire>
std::string NameOf(const Wire& id) {
  const auto name = FromWire(id);
  return name.ok() ? ToString(*name) : std::string(name.status().message());
}

}  // namespace

// Collects the answers of the leader and all participants.
struct Observer::Count {
  Mutex mutex;
  ConditionVariable changed;
  size_t missing ABSL_GUARDED_BY(mutex) = 0;
  OpenWork work ABSL_GUARDED_BY(mutex);
  absl::Status status ABSL_GUARDED_BY(mutex);

  // Adds `open` to that counter of OpenWork.
  void Answer(const wire::Result& result, const std::string& who,
              size_t OpenWork::*counter, const std::vector<std::string>& open) {
    MutexLock lock(&mutex);
    --missing;
    if (result.code != wire::Code::OK) {
      status = absl::UnavailableError(absl::StrCat(who, ": ", result.message));
    }
    work.*counter += open.size();
    for (const std::string& one : open) {
      if (work.examples.size() < kMaxExamples) work.examples.push_back(one);
    }
    changed.NotifyAll();
  }
};

Observer::Observer(rpc::EventLoop* loop, std::vector<std::string> nodes,
                   std::vector<std::string> participants)
    : loop_(loop),
      nodes_(std::move(nodes)),
      participants_(std::move(participants)),
      states_(nodes_.size()) {
  CallOnLoop(loop_, [this] {
    links_ = std::make_unique<client::ChannelLinkProvider>(loop_, kCallTimeout,
                                                           SystemRandom64());
    AskAll();
  });
}

Observer::~Observer() {
  CallOnLoop(loop_, [this] {
    lifetime_.End();
    links_.reset();
  });
}

void Observer::AskAll() {
  for (size_t node = 0; node < nodes_.size(); ++node) Ask(node);
  loop_->RunAfter(kPeriod, lifetime_.IfAlive([this] { AskAll(); }));
}

void Observer::Ask(size_t node) {
  {
    MutexLock lock(&mutex_);
    if (states_[node].asked) return;
    states_[node].asked = true;
  }
  links_->Coordinator(nodes_[node])
      ->status(lifetime_.IfAlive([this, node](const wire::StatusReply& reply) {
        MutexLock lock(&mutex_);
        states_[node].asked = false;
        states_[node].last.reset();
        if (reply.result.code != wire::Code::OK) return;
        states_[node].last = reply;
        if (reply.role == "leader") terms_.insert(reply.term);
      }),
               MakeContext());
}

std::optional<LeaderView> Observer::Leader() const {
  MutexLock lock(&mutex_);
  std::optional<LeaderView> leader;
  for (size_t node = 0; node < states_.size(); ++node) {
    const auto& last = states_[node].last;
    if (!last || last->role != "leader") continue;
    // A leader that does not know of its successor yet has an older term.
    if (leader && leader->term > last->term) continue;
    leader = LeaderView{node, last->term, last->commit_index, {}};
    for (const wire::ResourceInfo& resource : last->resources) {
      if (!resource.__isset.alive || !resource.alive) continue;
      leader->alive[resource.name] = resource.incarnation;
    }
  }
  return leader;
}

std::optional<int64_t> Observer::AppliedIndex(size_t node) const {
  MutexLock lock(&mutex_);
  if (!states_[node].last) return std::nullopt;
  return states_[node].last->applied_index;
}

size_t Observer::leaders_seen() const {
  MutexLock lock(&mutex_);
  return terms_.size();
}

absl::StatusOr<OpenWork> Observer::CountOpen() {
  const auto leader = Leader();
  if (!leader) return absl::UnavailableError("nobody leads the coordinators");
  auto count = std::make_shared<Count>();
  {
    MutexLock lock(&count->mutex);
    count->missing = 1 + participants_.size();
  }
  CallOnLoop(loop_, [&] { CountAt(nodes_[leader->node], count); });
  MutexLock lock(&count->mutex);
  while (count->missing > 0) count->changed.Wait(&count->mutex);
  if (!count->status.ok()) return count->status;
  return count->work;
}

void Observer::CountAt(const std::string& leader, const std::shared_ptr<Count>& count) {
  wire::ListTransactionsRequest request;
  request.context = MakeContext();
  request.limit = kListed;
  links_->Coordinator(leader)->listTransactions(
      [count, leader](const wire::ListTransactionsReply& reply) {
        std::vector<std::string> open;
        for (const wire::TransactionView& view : reply.transactions) {
          open.push_back(absl::StrCat("transaction ", NameOf(view.gtid), " is ",
                                      view.state, " ", view.waiting_for));
        }
        count->Answer(reply.result, leader, &OpenWork::transactions, open);
      },
      request);
  for (const std::string& participant : participants_) {
    links_->Participant(participant)
        ->recover(
            [count, participant](const wire::RecoverReply& reply) {
              std::vector<std::string> open;
              for (const wire::HeldBranch& held : reply.branches) {
                open.push_back(
                    absl::StrCat("branch ", NameOf(held.branch), " is ", held.state));
              }
              count->Answer(reply.result, participant, &OpenWork::branches, open);
            },
            MakeContext());
  }
}

}  // namespace concordat::example
