#include "coordinator/raft/types.h"

#include "coordinator/raft/output.h"
#include "coordinator/raft/progress.h"

namespace concordat::raft {

namespace {

void Print(std::ostream& out, const PreVoteRequest& m) {
  out << "PreVoteRequest(campaign " << m.campaign_term << ", last " << m.last_log_index
      << "/" << m.last_log_term << ")";
}

void Print(std::ostream& out, const PreVoteResponse& m) {
  out << "PreVoteResponse(campaign " << m.campaign_term
      << (m.granted ? ", granted)" : ", refused)");
}

void Print(std::ostream& out, const VoteRequest& m) {
  out << "VoteRequest(last " << m.last_log_index << "/" << m.last_log_term
      << (m.leadership_transfer ? ", transfer)" : ")");
}

void Print(std::ostream& out, const VoteResponse& m) {
  out << (m.granted ? "VoteResponse(granted)" : "VoteResponse(refused)");
}

void Print(std::ostream& out, const AppendRequest& m) {
  out << "AppendRequest(after " << m.prev_log_index << "/" << m.prev_log_term << ",";
  for (const Entry& entry : m.entries) out << " " << entry;
  out << ", commit " << m.leader_commit << ", acknowledged " << m.acknowledged_index
      << ", promised " << m.promised_index << "/" << m.promised_term << ", losses "
      << m.loss_round << ", round " << m.read_round << ")";
}

void Print(std::ostream& out, const AppendResponse& m) {
  if (m.success) {
    out << "AppendResponse(match " << m.match_index;
  } else {
    out << "AppendResponse(rejected " << m.rejected_index << ", hint " << m.hint_index
        << "/" << m.hint_term << (m.lost_tail ? ", lost its tail" : "");
  }
  out << (m.no_space ? ", no space" : "") << ", losses " << m.loss_round;
  out << ", round " << m.read_round << ")";
}

void Print(std::ostream& out, const SnapshotChunk& m) {
  out << "SnapshotChunk(" << m.meta.index << "/" << m.meta.term << ", offset " << m.offset
      << " +" << m.data.size() << (m.last ? ", last)" : ")");
}

void Print(std::ostream& out, const SnapshotChunkResponse& m) {
  out << "SnapshotChunkResponse(" << m.snapshot_index << ", offset " << m.offset
      << ", next " << m.next_offset << ")";
}

void Print(std::ostream& out, const TimeoutNow&) { out << "TimeoutNow"; }

}  // namespace

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kFollower:
      return "follower";
    case Role::kPreCandidate:
      return "pre-candidate";
    case Role::kCandidate:
      return "candidate";
    case Role::kLeader:
      return "leader";
  }
  return "unknown";
}

std::string_view ProgressStateName(ProgressState state) {
  switch (state) {
    case ProgressState::kProbe:
      return "probing";
    case ProgressState::kReplicate:
      return "replicating";
    case ProgressState::kSnapshot:
      return "snapshot";
    case ProgressState::kNoSpace:
      return "no space";
  }
  return "unknown";
}

std::string_view NoticeText(Notice::Kind kind) {
  switch (kind) {
    case Notice::Kind::kTailLost:
      return "log has lost acknowledged entries";
    case Notice::Kind::kTailRefilled:
      return "lost entries are back in the log";
    case Notice::Kind::kPeerTailLost:
      return "peer has lost acknowledged entries";
    case Notice::Kind::kPeerNoSpace:
      return "peer has no space";
    case Notice::Kind::kPeerHasSpace:
      return "peer has space again";
    case Notice::Kind::kTransferBegun:
      return "handing leadership over";
    case Notice::Kind::kTransferFailed:
      return "leadership was not taken over";
    case Notice::Kind::kNotThisMember:
      return "this node has not the log of the member whose id it has";
    case Notice::Kind::kRemoved:
      return "this node was removed from the cluster";
  }
  return "unknown";
}

bool IsAnswer(const Message::Body& body) {
  return std::holds_alternative<PreVoteResponse>(body) ||
         std::holds_alternative<VoteResponse>(body) ||
         std::holds_alternative<AppendResponse>(body) ||
         std::holds_alternative<SnapshotChunkResponse>(body);
}

std::ostream& operator<<(std::ostream& out, Role role) { return out << RoleName(role); }

std::ostream& operator<<(std::ostream& out, const Entry& entry) {
  out << entry.index << "/" << entry.term;
  if (entry.type == EntryType::kTermStart) out << "(start)";
  if (entry.type == EntryType::kConfiguration) out << "(configuration)";
  return out;
}

std::ostream& operator<<(std::ostream& out, const Message& message) {
  out << message.from << ">" << message.to << " term " << message.term << " ";
  std::visit([&out](const auto& body) { Print(out, body); }, message.body);
  return out;
}

}  // namespace concordat::raft
