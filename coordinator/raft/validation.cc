#include "coordinator/raft/validation.h"

#include <cstdint>
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
    const bool known =
        entry.type == EntryType::kTermStart || entry.type == EntryType::kCommand ||
        (entry.type == EntryType::kConfiguration && entry.index == LogIndex(1));
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

absl::Status CheckSame(const Configuration& theirs, const Message& message,
                       const Configuration& ours) {
  if (theirs.voters() != ours.voters()) {
    return absl::UnimplementedError(
        "a configuration with other voters than this node's: membership does not change");
  }
  return theirs.cluster() == message.cluster
             ? absl::OkStatus()
             : Malformed("a configuration of another cluster than its message's");
}

// The configurations in a message must be equal to this node's.
absl::Status ValidateConfiguration(const Message& message, const Configuration& ours) {
  if (const auto* chunk = std::get_if<SnapshotChunk>(&message.body)) {
    return chunk->meta.configuration.empty()
               ? absl::OkStatus()
               : CheckSame(chunk->meta.configuration, message, ours);
  }
  const auto* append = std::get_if<AppendRequest>(&message.body);
  if (append == nullptr || append->entries.empty()) return absl::OkStatus();
  const Entry& first = append->entries.front();
  const bool is_first = first.index == LogIndex(1);
  if (first.type != EntryType::kConfiguration || !is_first) return absl::OkStatus();
  const auto configuration = DecodeConfiguration(first.data.view());
  return configuration.has_value() ? CheckSame(*configuration, message, ours)
                                   : Malformed("a configuration that does not decode");
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
  if (message.from == self || !configuration.IsVoter(message.from)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "message from node ", message.from.value(), ", which is not a peer"));
  }
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
