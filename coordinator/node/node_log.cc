#include "coordinator/node/node_log.h"

#include <string_view>

#include "coordinator/base/log.h"

namespace concordat::node {

namespace {

// An election takes some tenths of a second. If there is no leader for longer than this,
// it is logged.
constexpr Duration kLeaderlessAfter = Duration::Seconds(2);

Level LevelOf(txn::EventKind kind) {
  switch (kind) {
    case txn::EventKind::kHeuristic:
      return Level::kWarning;
    case txn::EventKind::kLeading:
    case txn::EventKind::kReady:
    case txn::EventKind::kSteppedDown:
    case txn::EventKind::kTimeoutSuppressed:
      return Level::kInfo;
    default:
      return Level::kDebug;
  }
}

// Logs the event under its name, with the fields that its kind has.
void Write(Level level, NodeId node, const txn::Event& event) {
  LogEvent line(level, ToString(event.kind));
  line.Field("node", node.value());
  if (!event.branch.resource.empty()) {
    line.Field("branch", event.branch);
  } else if (!event.gtid.is_none()) {
    line.Field("gtid", event.gtid);
  }
  switch (event.kind) {
    case txn::EventKind::kLeading:
    case txn::EventKind::kReady:
    case txn::EventKind::kSteppedDown:
      line.Field("term", event.number);
      break;
    case txn::EventKind::kVoted:
      line.Field("vote", event.vote);
      break;
    case txn::EventKind::kDeciding:
    case txn::EventKind::kDecided:
      line.Field("outcome", event.outcome);
      if (event.cause != AbortCause::kNone) line.Field("cause", event.cause);
      break;
    case txn::EventKind::kDecisionSent:
      line.Field("outcome", event.outcome).Field("attempt", event.number);
      break;
    case txn::EventKind::kPrepareSent:
      line.Field("attempt", event.number);
      break;
    default:
      break;
  }
  if (!event.detail.empty()) line.Field("detail", event.detail);
}

}  // namespace

void NodeLog::OnEvent(const txn::Event& event, Timestamp now) {
  if (event.kind == txn::EventKind::kDecided && event.outcome == Outcome::kAborted) {
    return LogAbort(event, now);
  }
  const Level level = LevelOf(event.kind);
  if (LogEnabled(level)) Write(level, node_, event);
}

void NodeLog::OnEvent(const registry::Event& event) {
  const bool changed = event.kind == registry::EventKind::kChanged;
  const Level level = changed ? Level::kInfo : Level::kDebug;
  if (!LogEnabled(level)) return;
  LogEvent(level, changed ? "resource" : "refused-request")
      .Field("node", node_.value())
      .Field("detail", event.detail);
}

// At level info the log has at least one abort a second for each cause, and at level
// debug it has all of them. Aborts that a client has asked for are logged at debug only.
void NodeLog::LogAbort(const txn::Event& event, Timestamp now) {
  const bool asked_for = event.cause == AbortCause::kRolledBack;
  const bool shown = !asked_for && aborts_.Admit(now, std::string(ToString(event.cause)));
  const Level level = shown ? Level::kInfo : Level::kDebug;
  if (LogEnabled(level)) Write(level, node_, event);
}

void NodeLog::OnRaftState(const raft::SoftState& state, Timestamp now) {
  LogEvent(Level::kInfo, "raft state")
      .Field("node", node_.value())
      .Field("role", raft::RoleName(state.role))
      .Field("term", state.term.value())
      .Field("leader", state.leader.value());
  leads_ = state.role == raft::Role::kLeader;
  if (!state.leader.is_none()) {
    leaderless_since_ = Timestamp::Infinite();
  } else if (leaderless_since_ == Timestamp::Infinite()) {
    leaderless_since_ = now;
  }
  if (!leads_) silent_.clear();
}

void NodeLog::OnSecond(Timestamp now) {
  if (leaderless_since_ == Timestamp::Infinite() ||
      now < leaderless_since_ + kLeaderlessAfter || !leaderless_.Admit(now, "")) {
    return;
  }
  LogEvent(Level::kWarning, "no leader")
      .Field("node", node_.value())
      .Field("seconds", (now - leaderless_since_).millis() / 1000)
      .Field("meaning",
             "no majority of the nodes reach each other; transactions wait, nothing is "
             "lost; \"concordat status\" shows which nodes answer");
}

void NodeLog::OnResources(const std::vector<registry::ResourceView>& resources) {
  for (const registry::ResourceView& view : resources) {
    if (!view.last_seen) continue;
    const auto [known, added] = silent_.try_emplace(view.resource.name, false);
    if (known->second == view.silent) continue;
    known->second = view.silent;
    LogEvent(view.silent ? Level::kWarning : Level::kInfo,
             view.silent ? "resource silent" : "resource heard of again")
        .Field("node", node_.value())
        .Field("resource", view.resource.name)
        .Field("address", view.resource.address);
  }
}

}  // namespace concordat::node
