#include "coordinator/client/one_phase.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "thrift/wire/conversion.h"

namespace concordat::client {

namespace {

// The pause between two attempts, doubled up to the longest.
constexpr Duration kFirstPause = Duration::Millis(10);
constexpr Duration kLongestRetryPause = Duration::Millis(500);

struct Question {
  rpc::EventLoop* loop;
  LinkProvider* links;
  Resolver* resolver;
  Lifetime::Watch watch;  // of the resolver
  std::string address;
  BranchId branch;
  Timestamp give_up;
  absl::AnyInvocable<void(const CommitResult&)> done;
  Duration pause = kFirstPause;
  bool resolving = false;
};

CommitResult Unknown(const BranchId& branch, std::string_view why) {
  CommitResult result;
  result.gtid = branch.gtid;
  result.one_phase_branch = branch;
  result.detail = absl::StrCat(
      "resource ", branch.resource, " has not said what became of branch ",
      ToString(branch), ": ", std::string(why),
      "; the outcome is kept there: ask with Client::Ask(result) when it answers");
  return result;
}

CommitResult Known(const BranchId& branch, const wire::OnePhaseReply& reply) {
  CommitResult result;
  result.gtid = branch.gtid;
  result.outcome = FromWire(reply.outcome);
  if (result.outcome == Outcome::kAborted) {
    result.cause = reply.__isset.cause ? FromWire(reply.cause) : AbortCause::kRefused;
    result.detail = absl::StrCat(branch.resource, ": ", reply.result.message);
  }
  return result;
}

void Ask(std::shared_ptr<Question> question);

// Meanwhile the attempts go on at the known address.
void ResolveAgain(const std::shared_ptr<Question>& question) {
  if (std::exchange(question->resolving, true)) return;
  question->resolver->Forget(question->branch.resource);
  question->resolver->Resolve(question->branch.resource,
                              [question](const absl::StatusOr<std::string>& address) {
                                question->resolving = false;
                                if (address.ok()) question->address = *address;
                              });
}

void OnReply(const std::shared_ptr<Question>& question,
             const wire::OnePhaseReply& reply) {
  if (!question->watch.alive()) return;
  const wire::Code::type code = reply.result.code;
  if (code == wire::Code::OK && reply.__isset.outcome) {
    return question->done(Known(question->branch, reply));
  }
  const bool useless = code == wire::Code::INVALID || code == wire::Code::VERSION;
  if (useless || question->loop->Now() >= question->give_up) {
    return question->done(Unknown(question->branch, reply.result.message));
  }
  ResolveAgain(question);
  question->loop->RunAfter(question->pause, [question] {
    if (question->watch.alive()) Ask(question);
  });
  question->pause = std::min(question->pause * 2, kLongestRetryPause);
}

void Ask(std::shared_ptr<Question> question) {
  ParticipantLink* link = question->links->Participant(question->address);
  if (link == nullptr) {
    return question->done(Unknown(
        question->branch, absl::StrCat("'", question->address, "' is no address")));
  }
  wire::BranchList list;
  list.context = MakeContext();
  list.branches.push_back(ToWire(question->branch));
  link->commitOnePhase(
      [question](const wire::OnePhaseReply& reply) { OnReply(question, reply); }, list);
}

}  // namespace

void CommitOnePhase(rpc::EventLoop* loop, LinkProvider* links, Resolver* resolver,
                    std::string address, BranchId branch, Timestamp give_up,
                    absl::AnyInvocable<void(const CommitResult&)> done) {
  Ask(std::make_shared<Question>(Question{loop, links, resolver, resolver->watch(),
                                          std::move(address), std::move(branch), give_up,
                                          std::move(done)}));
}

}  // namespace concordat::client
