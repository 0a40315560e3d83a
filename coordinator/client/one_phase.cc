#include "coordinator/client/one_phase.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/client/wire_names.h"

namespace concordat::client {

namespace {

constexpr Duration kRetryPause = Duration::Millis(20);

struct Question {
  rpc::EventLoop* loop;
  LinkProvider* links;
  std::string address;
  BranchId branch;
  Timestamp give_up;
  absl::AnyInvocable<void(const CommitResult&)> done;
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
  if (reply.outcome == wire::Outcome::COMMITTED) {
    result.outcome = Outcome::kCommitted;
  } else {
    result.outcome = Outcome::kAborted;
    result.cause = AbortCause::kRefused;
    result.detail = absl::StrCat(branch.resource, ": ", reply.result.message);
  }
  return result;
}

void Ask(std::shared_ptr<Question> question);

void OnReply(const std::shared_ptr<Question>& question,
             const wire::OnePhaseReply& reply) {
  const wire::Code::type code = reply.result.code;
  if (code == wire::Code::OK && reply.__isset.outcome) {
    return question->done(Known(question->branch, reply));
  }
  const bool useless = code == wire::Code::INVALID || code == wire::Code::VERSION;
  if (useless || question->loop->Now() >= question->give_up) {
    return question->done(Unknown(question->branch, reply.result.message));
  }
  question->loop->RunAfter(kRetryPause, [question] { Ask(question); });
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

void CommitOnePhase(rpc::EventLoop* loop, LinkProvider* links, std::string address,
                    BranchId branch, Timestamp give_up,
                    absl::AnyInvocable<void(const CommitResult&)> done) {
  Ask(std::make_shared<Question>(Question{loop, links, std::move(address),
                                          std::move(branch), give_up, std::move(done)}));
}

}  // namespace concordat::client
