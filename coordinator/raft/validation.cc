#include "coordinator/raft/validation.h"

#include <cstdint>
#include <string>
#include <variant>

#include "absl/strings/str_cat.h"

namespace concordat::raft {

namespace {

// No correct node ever counts so far, and additions to it do not overflow.
constexpr uint64_t kMaxNumber = uint64_t{1} << 62;

bool TooLarge(LogIndex index) { return index.value() > kMaxNumber; }
bool TooLarge(Term term) { return term.value() > kMaxNumber; }

absl::Status Malformed(const char* what) {
  return absl::InvalidArgumentError(absl::StrCat("malformed message: ", what));
}

absl::Status ValidateBody(const PreVoteRequest& request, Term term) {
  return request.campaign_term > term ? absl::OkStatus()
                                      : Malformed("campaign for an old term");
}

absl::Status ValidateBody(const AppendRequest& request, Term term) {
  if (TooLarge(request.prev_log_index)) {
    return Malformed("log index too large");
  }
  if (request.prev_log_index.is_none() != request.prev_log_term.is_none()) {
    return Malformed("previous entry without index or term");
  }
  LogIndex index = request.prev_log_index;
  Term last_term = request.prev_log_term;
  for (const Entry& entry : request.entries) {
    index = index.Next();
    if (entry.index != index) return Malformed("entries are not contiguous");
    if (entry.term < last_term || entry.term.is_none()) {
      return Malformed("terms of entries decrease");
    }
    last_term = entry.term;
    // An entry of an unknown type must not be acknowledged: it could not be applied.
    const bool known = entry.type == EntryType::kTermStart ||
                       entry.type == EntryType::kCommand ||
                       entry.type == EntryType::kConfiguration;
    if (!known) {
      return absl::UnimplementedError(absl::StrCat("entry ", entry.index.value(),
                                                   " has the unknown type ", entry.type));
    }
  }
  if (TooLarge(request.promised_index)) return Malformed("promised index too large");
  if (request.acknowledged_index > request.promised_index) {
    return Malformed("more acknowledged than was ever promised");
  }
  if (request.promised_index.is_none() != request.promised_term.is_none() ||
      request.promised_term > term) {
    return Malformed("promised entry without index or term");
  }
  return last_term <= term ? absl::OkStatus()
                           : Malformed("an entry is newer than its sender");
}

absl::Status ValidateBody(const AppendResponse& response, Term) {
  if (response.success && response.lost_tail) return Malformed("accepted and lost");
  const bool rejected_nothing = !response.success && response.rejected_index.is_none();
  // A rejection only because of the term has no index. With our term it is stale.
  return rejected_nothing && !response.hint_index.is_none()
             ? Malformed("hint without a rejected index")
             : absl::OkStatus();
}

absl::Status ValidateBody(const SnapshotChunk& chunk, Term term) {
  if (chunk.meta.index.is_none() || chunk.meta.term.is_none()) {
    return Malformed("snapshot of nothing");
  }
  if (TooLarge(chunk.meta.index)) return Malformed("log index too large");
  if (chunk.meta.term > term) return Malformed("a snapshot is newer than its sender");
  if (chunk.meta.configuration.empty()) return Malformed("snapshot without voters");
  if (chunk.offset > kMaxNumber) {
    return Malformed("snapshot offset too large");
  }
  return absl::OkStatus();
}

template <class Body>
absl::Status ValidateBody(const Body&, Term) {
  return absl::OkStatus();
}

absl::Status CheckCluster(const Configuration& configuration, const Message& message) {
  return configuration.cluster() == message.cluster
             ? absl::OkStatus()
             : Malformed("a configuration of another cluster than its message's");
}

// What a group has begun with comes to a node that was started as one of its members. It
// must name the same voters: two nodes that were started with different lists would have
// different quorums. (The members may have changed before a snapshot; then the group has
// an id, which is none of a list.)
absl::Status CheckFirst(const Configuration& first, const Configuration& ours) {
  if (!ours.cluster().is_none() || ours.empty() || ours.voters() == first.voters()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "the group has begun with other members than this node was started with: give all "
      "of them the same list, or let this node join instead");
}

absl::Status ValidateConfiguration(const Message& message, const Configuration& ours) {
  if (const auto* chunk = std::get_if<SnapshotChunk>(&message.body)) {
    if (chunk->meta.configuration.empty()) return absl::OkStatus();  // refused later
    absl::Status valid = CheckCluster(chunk->meta.configuration, message);
    const bool begun = !message.cluster.is_none();
    return valid.ok() && !begun ? CheckFirst(chunk->meta.configuration, ours) : valid;
  }
  const auto* append = std::get_if<AppendRequest>(&message.body);
  if (append == nullptr) return absl::OkStatus();
  for (const Entry& entry : append->entries) {
    if (entry.type != EntryType::kConfiguration) continue;
    const auto configuration = DecodeConfiguration(entry.data.view());
    if (!configuration.has_value()) {
      return Malformed("a configuration that does not decode");
    }
    absl::Status valid = CheckCluster(*configuration, message);
    if (valid.ok() && entry.index == LogIndex(1))
      valid = CheckFirst(*configuration, ours);
    if (!valid.ok()) return valid;
  }
  return absl::OkStatus();
}

// A configuration here may be older than the sender's. So requests of nodes that are no
// members here are taken, if they can be of this cluster at all.
absl::Status ValidateSender(const Message& message, NodeId self,
                            const Configuration& configuration) {
  const bool known = configuration.Find(message.from) != nullptr;
  // A node that was started as a member, and has heard of no group yet, may be late: the
  // group then has an id, and perhaps a leader that this node does not know.
  const bool new_group = configuration.cluster().is_none() && !configuration.empty() &&
                         message.cluster.is_none();
  if (message.from != self && !message.from.is_none() &&
      (known || (!IsAnswer(message.body) && !new_group))) {
    return absl::OkStatus();
  }
  const std::string text =
      absl::StrCat("message from node ", message.from.value(), ", which is not a peer");
  return message.from == self || message.from.is_none() || new_group
             ? absl::InvalidArgumentError(text)
             : absl::FailedPreconditionError(text);
}

}  // namespace

absl::Status ValidateMessage(const Message& message, NodeId self, GroupId group,
                             const Configuration& configuration) {
  if (message.group != group) {
    return absl::InvalidArgumentError(absl::StrCat(
        "message for group ", message.group.value(), ", this is ", group.value()));
  }
  if (message.to != self) {
    return absl::InvalidArgumentError(absl::StrCat(
        "message for node ", message.to.value(), ", this is ", self.value()));
  }
  if (absl::Status s = ValidateSender(message, self, configuration); !s.ok()) return s;
  const bool pre_vote = std::holds_alternative<PreVoteRequest>(message.body) ||
                        std::holds_alternative<PreVoteResponse>(message.body);
  if (message.term.is_none() && !pre_vote) return Malformed("term 0");
  if (TooLarge(message.term)) return Malformed("term too large");
  if (absl::Status s = ValidateConfiguration(message, configuration); !s.ok()) return s;
  return std::visit(
      [&message](const auto& body) { return ValidateBody(body, message.term); },
      message.body);
}

}  // namespace concordat::raft
