#include "tests/simulation/messages.h"

#include <sstream>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/base/text.h"

namespace concordat::simulation {

namespace {

std::string Names(const std::vector<BranchId>& branches) {
  return absl::StrCat("[",
                      absl::StrJoin(branches, " ",
                                    [](std::string* out, const BranchId& branch) {
                                      absl::StrAppend(out, ToString(branch));
                                    }),
                      "]");
}

std::string Line(const raft::Message& message) {
  std::ostringstream out;
  out << message;
  return out.str();
}
std::string Line(const BeginCall& call) { return absl::StrCat("BEGIN ", call.count); }
std::string Line(const BeginReply& reply) {
  return absl::StrCat("begin: ", ToAbsl(ToString(reply.code)), " ",
                      ToString(reply.first));
}
std::string Line(const CommitCall& call) {
  return absl::StrCat("COMMIT ", ToString(call.gtid), " ", ToAbsl(ToString(call.mode)),
                      " ", Names(call.branches));
}
std::string Line(const RollbackCall& call) {
  return absl::StrCat("ROLLBACK ", ToString(call.gtid), " ", Names(call.branches));
}
std::string Line(const OutcomeCall& call) {
  return absl::StrCat("OUTCOME? ", ToString(call.gtid));
}
std::string Line(const OutcomeReply& reply) {
  return absl::StrCat(
      "outcome: ", ToAbsl(ToString(reply.code)), " ",
      reply.code == Code::kOk ? ToAbsl(ToString(reply.outcome)) : absl::string_view(),
      " ", ToAbsl(ToString(reply.cause)));
}
std::string Line(const EnlistCall& call) {
  return absl::StrCat("ENLIST ", ToString(call.branch));
}
std::string Line(const EnlistReply& reply) {
  return absl::StrCat("enlist: ", ToAbsl(ToString(reply.code)));
}
std::string Line(const InquiryCall& call) {
  return absl::StrCat("INQUIRE ", Names(call.branches));
}
std::string Line(const InquiryReply& reply) {
  std::string line = "inquiry:";
  for (const InquiryItem& item : reply.items) {
    absl::StrAppend(&line, " ", ToString(item.branch), "=", ToAbsl(ToString(item.code)),
                    " ", ToAbsl(ToString(item.answer)));
  }
  return line;
}
std::string Line(const VerbCall& call) {
  return absl::StrCat(ToAbsl(ToString(call.verb)), " ", Names(call.branches));
}
std::string Line(const VerbReply& reply) {
  std::string line = absl::StrCat(ToAbsl(ToString(reply.verb)), ":");
  for (const VerbItem& item : reply.items) {
    absl::StrAppend(&line, " ", ToString(item.branch), "=",
                    reply.verb == txn::Verb::kPrepare ? ToAbsl(ToString(item.vote))
                                                      : ToAbsl(ToString(item.ack)));
  }
  return line;
}
std::string Line(const ExecuteCall& call) {
  return absl::StrCat(
      "EXECUTE ",
      call.branch ? ToString(*call.branch)
                  : (call.start ? ToString(*call.start) : std::string()),
      " ", absl::StrJoin(call.writes, " ", [](std::string* out, const Write& write) {
        absl::StrAppend(out, write.account, write.delta < 0 ? "" : "+", write.delta);
      }));
}
std::string Line(const ExecuteReply& reply) {
  return absl::StrCat("execute: ", ToAbsl(ToString(reply.code)), " ",
                      ToString(reply.branch), reply.prepared ? " prepared" : "");
}
std::string Line(const OnePhaseCall& call) {
  return absl::StrCat("COMMIT ONE-PHASE ", ToString(call.branch));
}
std::string Line(const OnePhaseReply& reply) {
  return absl::StrCat("one-phase: ", ToAbsl(ToString(reply.code)),
                      reply.committed ? " committed" : " rolled back");
}
std::string Line(const ReleaseCall& call) {
  return absl::StrCat("RELEASE ", ToString(call.branch));
}
std::string Line(const ReleaseReply& reply) {
  return absl::StrCat("release: ", ToAbsl(ToString(reply.ack)));
}
std::string Line(const RegisterCall& call) {
  return absl::StrCat("REGISTER ", call.resource);
}
std::string Line(const RegisterReply& reply) {
  return absl::StrCat("register: ", reply.ok ? "OK " : "no ", ToString(reply.watermark));
}
std::string Line(const ServiceCall& call) {
  return absl::StrCat("SERVICE ", ToString(call.gtid));
}
std::string Line(const ServiceReply& reply) {
  return absl::StrCat("service: ", ToAbsl(ToString(reply.code)));
}

std::string Line(const CounterCall& call) {
  return absl::StrCat("COUNT ", call.name, " +", call.amount, " ", call.operation);
}
std::string Line(const CounterReply& reply) {
  return absl::StrCat("count: ", ToAbsl(ToString(reply.code)), " ", reply.value);
}

}  // namespace

std::string_view ToString(Code code) {
  switch (code) {
    case Code::kOk:
      return "OK";
    case Code::kNotLeader:
      return "NOT_LEADER";
    case Code::kUnavailable:
      return "UNAVAILABLE";
    case Code::kInvalid:
      return "INVALID";
    case Code::kOverloaded:
      return "OVERLOADED";
    case Code::kNotFound:
      return "NOT_FOUND";
    case Code::kUndecided:
      return "UNDECIDED";
    case Code::kNotReady:
      return "NOT_READY";
    case Code::kVersion:
      return "VERSION";
    case Code::kForgotten:
      return "FORGOTTEN";
    case Code::kConflict:
      return "CONFLICT";
    case Code::kConditionFailed:
      return "CONDITION_FAILED";
    case Code::kBranchGone:
      return "BRANCH_GONE";
    case Code::kUnknown:
      return "UNKNOWN";
  }
  return "?";
}

std::string Describe(const Payload& payload) {
  return std::visit([](const auto& body) { return Line(body); }, payload);
}

}  // namespace concordat::simulation
