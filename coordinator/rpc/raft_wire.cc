#include "coordinator/rpc/raft_wire.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/signed.h"

namespace concordat::rpc {

namespace {

using wire::RaftMessageType;

// Writes the body's fields into the wire message.
struct BodyWriter {
  wire::RaftMessage* out;

  void LastEntry(LogIndex index, Term term) const {
    out->__set_log_index(Signed(index));
    out->__set_log_term(Signed(term));
  }
  void operator()(const raft::PreVoteRequest& body) const {
    out->type = RaftMessageType::PRE_VOTE_REQUEST;
    out->__set_campaign_term(Signed(body.campaign_term));
    LastEntry(body.last_log_index, body.last_log_term);
  }
  void operator()(const raft::PreVoteResponse& body) const {
    out->type = RaftMessageType::PRE_VOTE_RESPONSE;
    out->__set_campaign_term(Signed(body.campaign_term));
    out->__set_success(body.granted);
    if (body.removed) out->__set_removed(true);
  }
  void operator()(const raft::VoteRequest& body) const {
    out->type = RaftMessageType::VOTE_REQUEST;
    LastEntry(body.last_log_index, body.last_log_term);
    if (body.leadership_transfer) out->__set_leadership_transfer(true);
  }
  void operator()(const raft::VoteResponse& body) const {
    out->type = RaftMessageType::VOTE_RESPONSE;
    out->__set_success(body.granted);
  }
  void operator()(const raft::AppendRequest& body) const {
    out->type = RaftMessageType::APPEND_REQUEST;
    LastEntry(body.prev_log_index, body.prev_log_term);
    out->__set_commit_index(Signed(body.leader_commit));
    out->__set_acknowledged_index(Signed(body.acknowledged_index));
    out->__set_promised_index(Signed(body.promised_index));
    out->__set_promised_term(Signed(body.promised_term));
    if (body.loss_round != 0) out->__set_loss_round(Signed(body.loss_round));
    out->__set_read_round(Signed(body.read_round));
    if (body.entries.empty()) return;
    out->__isset.entries = true;
    out->entries.reserve(body.entries.size());
    for (const raft::Entry& entry : body.entries) {
      wire::RaftEntry& e = out->entries.emplace_back();
      e.term = Signed(entry.term);
      e.type = static_cast<int32_t>(entry.type);
      if (entry.data.size() > 0) e.__set_data(std::string(entry.data.view()));
    }
  }
  void operator()(const raft::AppendResponse& body) const {
    out->type = RaftMessageType::APPEND_RESPONSE;
    out->__set_success(body.success);
    out->__set_match_index(Signed(body.match_index));
    out->__set_rejected_index(Signed(body.rejected_index));
    out->__set_hint_index(Signed(body.hint_index));
    out->__set_hint_term(Signed(body.hint_term));
    if (body.lost_tail) out->__set_lost_tail(true);
    if (body.no_space) out->__set_no_space(true);
    if (body.loss_round != 0) out->__set_loss_round(Signed(body.loss_round));
    out->__set_read_round(Signed(body.read_round));
  }
  void operator()(const raft::SnapshotChunk& body) const {
    out->type = RaftMessageType::SNAPSHOT_REQUEST;
    LastEntry(body.meta.index, body.meta.term);
    out->__set_configuration(raft::EncodeConfiguration(body.meta.configuration));
    out->__set_offset(Signed(body.offset));
    out->__set_chunk(std::string(body.data.view()));
    out->__set_done(body.last);
  }
  void operator()(const raft::SnapshotChunkResponse& body) const {
    out->type = RaftMessageType::SNAPSHOT_RESPONSE;
    out->__set_log_index(Signed(body.snapshot_index));
    out->__set_offset(Signed(body.offset));
    out->__set_next_offset(Signed(body.next_offset));
  }
  void operator()(const raft::TimeoutNow&) const {
    out->type = RaftMessageType::TIMEOUT_NOW;
  }
};

raft::AppendRequest ReadAppend(const wire::RaftMessage& in) {
  raft::AppendRequest body;
  body.prev_log_index = LogIndex(Unsigned(in.log_index));
  body.prev_log_term = Term(Unsigned(in.log_term));
  body.leader_commit = LogIndex(Unsigned(in.commit_index));
  body.acknowledged_index = LogIndex(Unsigned(in.acknowledged_index));
  body.promised_index = LogIndex(Unsigned(in.promised_index));
  body.promised_term = Term(Unsigned(in.promised_term));
  body.loss_round = Unsigned(in.loss_round);
  body.read_round = Unsigned(in.read_round);
  body.entries.reserve(in.entries.size());
  LogIndex index = body.prev_log_index;
  for (const wire::RaftEntry& entry : in.entries) {
    index = index.Next();
    body.entries.push_back(raft::Entry{Term(Unsigned(entry.term)), index,
                                       static_cast<raft::EntryType>(entry.type),
                                       raft::Payload(entry.data)});
  }
  return body;
}

raft::AppendResponse ReadAppendResponse(const wire::RaftMessage& in) {
  raft::AppendResponse body;
  body.success = in.success;
  body.match_index = LogIndex(Unsigned(in.match_index));
  body.rejected_index = LogIndex(Unsigned(in.rejected_index));
  body.hint_index = LogIndex(Unsigned(in.hint_index));
  body.hint_term = Term(Unsigned(in.hint_term));
  body.lost_tail = in.lost_tail;
  body.no_space = in.no_space;
  body.loss_round = Unsigned(in.loss_round);
  body.read_round = Unsigned(in.read_round);
  return body;
}

// A cluster is 16 bytes: the high half first, each with the most significant byte first,
// as it is printed.
constexpr size_t kClusterBytes = 16;

std::string EncodeCluster(const ClusterKey& cluster) {
  std::string bytes;
  for (const uint64_t half : {cluster.high, cluster.low}) {
    for (int shift = 56; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<char>(half >> shift & 0xff));
    }
  }
  return bytes;
}

absl::StatusOr<ClusterKey> ReadCluster(const wire::RaftMessage& in) {
  ClusterKey cluster;
  if (!in.__isset.cluster) return cluster;
  if (in.cluster.size() != kClusterBytes) {
    return absl::InvalidArgumentError("a cluster's id of another length");
  }
  for (size_t i = 0; i < kClusterBytes; ++i) {
    uint64_t* half = i < kClusterBytes / 2 ? &cluster.high : &cluster.low;
    *half = *half << 8 | static_cast<uint8_t>(in.cluster[i]);
  }
  return cluster;
}

absl::StatusOr<raft::Message::Body> ReadSnapshotChunk(const wire::RaftMessage& in) {
  auto configuration = raft::DecodeConfiguration(in.configuration);
  if (!configuration.has_value()) {
    return absl::InvalidArgumentError("a snapshot whose members do not decode");
  }
  raft::SnapshotChunk body;
  body.meta.index = LogIndex(Unsigned(in.log_index));
  body.meta.term = Term(Unsigned(in.log_term));
  body.meta.configuration = *std::move(configuration);
  body.offset = Unsigned(in.offset);
  body.data = raft::Payload(in.chunk);
  body.last = in.done;
  return body;
}

absl::StatusOr<raft::Message::Body> ReadBody(const wire::RaftMessage& in) {
  const LogIndex log_index(Unsigned(in.log_index));
  const Term log_term(Unsigned(in.log_term));
  const Term campaign(Unsigned(in.campaign_term));
  switch (in.type) {
    case RaftMessageType::PRE_VOTE_REQUEST:
      return raft::PreVoteRequest{campaign, log_index, log_term};
    case RaftMessageType::PRE_VOTE_RESPONSE:
      return raft::PreVoteResponse{campaign, in.success, in.removed};
    case RaftMessageType::VOTE_REQUEST:
      return raft::VoteRequest{log_index, log_term, in.leadership_transfer};
    case RaftMessageType::VOTE_RESPONSE:
      return raft::VoteResponse{in.success};
    case RaftMessageType::APPEND_REQUEST:
      return ReadAppend(in);
    case RaftMessageType::APPEND_RESPONSE:
      return ReadAppendResponse(in);
    case RaftMessageType::SNAPSHOT_REQUEST:
      return ReadSnapshotChunk(in);
    case RaftMessageType::SNAPSHOT_RESPONSE:
      return raft::SnapshotChunkResponse{log_index, Unsigned(in.offset),
                                         Unsigned(in.next_offset)};
    case RaftMessageType::TIMEOUT_NOW:
      return raft::TimeoutNow{};
  }
  return absl::InvalidArgumentError(
      absl::StrCat("Raft message type ", static_cast<int>(in.type), " is not known"));
}

}  // namespace

wire::RaftMessage ToWire(const raft::Message& message) {
  wire::RaftMessage out;
  out.group = static_cast<int32_t>(message.group.value());
  out.from_node = Signed(message.from);
  out.to_node = Signed(message.to);
  out.term = Signed(message.term);
  if (!message.cluster.is_none()) out.__set_cluster(EncodeCluster(message.cluster));
  if (!message.from_log.is_none()) out.__set_from_log(Signed(message.from_log));
  if (!message.to_log.is_none()) out.__set_to_log(Signed(message.to_log));
  std::visit(BodyWriter{&out}, message.body);
  return out;
}

absl::StatusOr<raft::Message> FromWire(const wire::RaftMessage& in) {
  const auto cluster = ReadCluster(in);
  if (!cluster.ok()) return cluster.status();
  auto body = ReadBody(in);
  if (!body.ok()) return body.status();
  raft::Message message;
  message.group = GroupId(static_cast<uint32_t>(in.group));
  message.from = NodeId(Unsigned(in.from_node));
  message.to = NodeId(Unsigned(in.to_node));
  message.term = Term(Unsigned(in.term));
  message.body = std::move(*body);
  message.cluster = *cluster;
  message.from_log = LogId(Unsigned(in.from_log));
  message.to_log = LogId(Unsigned(in.to_log));
  return message;
}

}  // namespace concordat::rpc
