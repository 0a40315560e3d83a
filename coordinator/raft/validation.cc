#include "coordinator/raft/validation.h"

#include <cstdint>
#include <variant>

#include "absl/strings/str_cat.h"

namespace concordat::raft {

namespace {

absl::Status Malformed(const char* what) {
  return absl::InvalidArgumentError(absl::StrCat("malformed message: ", what));
}

absl::Status ValidateBody(const PreVoteRequest& request, Term term) {
  return request.campaign_term > term ? absl::OkStatus()
                                      : Malformed("campaign for an old term");
}

absl::Status ValidateBody(const AppendRequest& request, Term term) {
  if (request.prev_log_index.value() > UINT64_MAX - 1 - request.entries.size()) {
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
    // What this version does not know it must not acknowledge: it could not apply it.
    if (entry.type != EntryType::kTermStart && entry.type != EntryType::kCommand) {
      return absl::UnimplementedError(absl::StrCat("entry ", entry.index.value(),
                                                   " has the unknown type ", entry.type));
    }
  }
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
  // A refusal for the term alone has no index, and is stale where the term is ours.
  return rejected_nothing && !response.hint_index.is_none()
             ? Malformed("hint without a rejected index")
             : absl::OkStatus();
}

absl::Status ValidateBody(const SnapshotChunk& chunk, Term term) {
  if (chunk.meta.index.is_none() || chunk.meta.term.is_none()) {
    return Malformed("snapshot of nothing");
  }
  if (chunk.meta.term > term) return Malformed("a snapshot is newer than its sender");
  if (chunk.meta.configuration.empty()) return Malformed("snapshot without voters");
  if (chunk.offset > UINT64_MAX - chunk.data.size()) {
    return Malformed("snapshot offset too large");
  }
  return absl::OkStatus();
}

template <class Body>
absl::Status ValidateBody(const Body&, Term) {
  return absl::OkStatus();
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
  return std::visit(
      [&message](const auto& body) { return ValidateBody(body, message.term); },
      message.body);
}

}  // namespace concordat::raft
