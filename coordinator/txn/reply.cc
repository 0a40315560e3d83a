#include "coordinator/txn/reply.h"

#include "absl/strings/str_cat.h"
#include "coordinator/txn/output.h"

namespace concordat::txn {

namespace {

std::string Text(const GtidBlockReply& r) {
  return absl::StrCat("GTIDS ", ToString(r.first), " count=", r.count,
                      " use_within_ms=", r.use_within_ms);
}
std::string Text(const CommittedReply&) { return "COMMITTED"; }
std::string Text(const AbortedReply& r) {
  return absl::StrCat("ABORTED ", std::string(ToString(r.cause)),
                      r.detail.empty() ? "" : ": ", r.detail);
}
std::string Text(const ForgottenReply&) { return "FORGOTTEN"; }
std::string Text(const UndecidedReply& r) {
  std::string text = "UNDECIDED";
  for (const BranchId& branch : r.waiting_for) {
    absl::StrAppend(&text, " ", ToString(branch));
  }
  return text;
}
std::string Text(const NotStagedReply&) { return "NOT_FOUND"; }
std::string Text(const NotLeaderReply&) { return "NOT_LEADER"; }
std::string Text(const NotReadyReply&) { return "NOT_READY"; }
std::string Text(const RefusedReply& r) {
  return absl::StrCat("REFUSED ", std::string(ToString(r.why)),
                      r.detail.empty() ? "" : ": ", r.detail);
}
std::string Text(const InquiryReply& r) {
  return absl::StrCat("BRANCH ", std::string(ToString(r.answer)));
}
std::string Text(const EnlistedReply&) { return "ENLISTED"; }
std::string Text(const HeuristicForgottenReply& reply) {
  return reply.was_on_record ? "HEURISTIC_FORGOTTEN" : "NO_HEURISTIC";
}

bool NamesBranch(EventKind kind) {
  switch (kind) {
    case EventKind::kEnlisted:
    case EventKind::kPrepareSent:
    case EventKind::kVoted:
    case EventKind::kDecisionSent:
    case EventKind::kAcknowledged:
    case EventKind::kHeuristic:
      return true;
    default:
      return false;
  }
}

std::string Particulars(const Event& event) {
  switch (event.kind) {
    case EventKind::kVoted:
      return absl::StrCat(" ", std::string(ToString(event.vote)));
    case EventKind::kDeciding:
    case EventKind::kDecided: {
      std::string text = absl::StrCat(" ", std::string(ToString(event.outcome)));
      if (event.cause != AbortCause::kNone) {
        absl::StrAppend(&text, " cause=", std::string(ToString(event.cause)));
      }
      return text;
    }
    case EventKind::kDecisionSent:
      return absl::StrCat(" ", std::string(ToString(event.outcome)),
                          " attempt=", event.number);
    case EventKind::kPrepareSent:
      return absl::StrCat(" attempt=", event.number);
    case EventKind::kLeading:
    case EventKind::kReady:
      return absl::StrCat(" term=", event.number);
    default:
      return "";
  }
}

}  // namespace

std::string_view ToString(Refusal why) {
  switch (why) {
    case Refusal::kForged:
      return "forged";
    case Refusal::kBadRequest:
      return "bad-request";
    case Refusal::kTooManyBranches:
      return "too-many-branches";
    case Refusal::kTooLate:
      return "too-late";
    case Refusal::kOverloaded:
      return "overloaded";
  }
  return "?";
}

std::string_view ToString(Verb verb) {
  switch (verb) {
    case Verb::kPrepare:
      return "prepare";
    case Verb::kCommit:
      return "commit";
    case Verb::kRollback:
      return "rollback";
  }
  return "?";
}

std::string Describe(const Reply& reply) {
  return std::visit([](const auto& r) { return Text(r); }, reply);
}

std::string_view ToString(EventKind kind) {
  switch (kind) {
    case EventKind::kLeading:
      return "leading";
    case EventKind::kReady:
      return "ready";
    case EventKind::kSteppedDown:
      return "stepped-down";
    case EventKind::kCommitAsked:
      return "commit-asked";
    case EventKind::kAttached:
      return "attached";
    case EventKind::kStaged:
      return "staged";
    case EventKind::kInherited:
      return "inherited";
    case EventKind::kEnlisted:
      return "enlisted";
    case EventKind::kPrepareSent:
      return "prepare-sent";
    case EventKind::kVoted:
      return "voted";
    case EventKind::kAnsweredEarly:
      return "answered-early";
    case EventKind::kDeciding:
      return "deciding";
    case EventKind::kDecided:
      return "decided";
    case EventKind::kDecisionSent:
      return "decision-sent";
    case EventKind::kAcknowledged:
      return "acknowledged";
    case EventKind::kEnded:
      return "ended";
    case EventKind::kTimeoutSuppressed:
      return "timeout-suppressed";
    case EventKind::kHeuristic:
      return "heuristic";
    case EventKind::kRefusedRequest:
      return "refused-request";
    case EventKind::kIgnoredRecord:
      return "ignored-record";
    case EventKind::kWatermark:
      return "watermark";
  }
  return "?";
}

std::string Describe(const Event& event) {
  std::string line(ToString(event.kind));
  if (NamesBranch(event.kind)) {
    absl::StrAppend(&line, " ", ToString(event.branch));
  } else if (!event.gtid.term.is_none()) {
    absl::StrAppend(&line, " ", ToString(event.gtid));
  }
  absl::StrAppend(&line, Particulars(event));
  if (!event.detail.empty()) absl::StrAppend(&line, " ", event.detail);
  return line;
}

}  // namespace concordat::txn
