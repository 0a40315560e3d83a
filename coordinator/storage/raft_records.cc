#include "coordinator/storage/raft_records.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/byte_codec.h"

namespace concordat::storage {

namespace {

ClusterKey ReadCluster(ByteReader* in) {
  ClusterKey cluster;
  cluster.high = in->U64();
  cluster.low = in->U64();
  return cluster;
}

void PutCluster(const ClusterKey& cluster, ByteWriter* out) {
  out->U64(cluster.high);
  out->U64(cluster.low);
}

GroupId ReadGroup(ByteReader* in) { return GroupId(static_cast<uint32_t>(in->Varint())); }

HardStateRecord DecodeHardState(ByteReader* in) {
  HardStateRecord record;
  record.group = ReadGroup(in);
  record.state.term = Term(in->Varint());
  record.state.vote = NodeId(in->Varint());
  record.state.cluster = ReadCluster(in);
  return record;
}

EntryRecord DecodeEntry(ByteReader* in) {
  EntryRecord record;
  record.group = ReadGroup(in);
  record.entry.index = LogIndex(in->Varint());
  record.entry.term = Term(in->Varint());
  record.entry.type = static_cast<raft::EntryType>(in->U8());
  record.entry.data = raft::Payload(std::string(in->Bytes()));
  return record;
}

SnapshotRecord DecodeSnapshot(ByteReader* in) {
  SnapshotRecord record;
  record.group = ReadGroup(in);
  record.discard_log = in->U8() != 0;
  record.meta.index = LogIndex(in->Varint());
  record.meta.term = Term(in->Varint());
  auto configuration = raft::DecodeConfiguration(in->Bytes());
  if (configuration.has_value()) {
    record.meta.configuration = *std::move(configuration);
  } else {
    *in = ByteReader("");
    (void)in->U8();  // reads past the end, so that ok() becomes false
  }
  return record;
}

struct Describer {
  std::string operator()(const HardStateRecord& r) const {
    return absl::StrCat("hard-state group=", r.group.value(),
                        " term=", r.state.term.value(), " vote=", r.state.vote.value(),
                        r.state.cluster.is_none() ? "" : " cluster=",
                        r.state.cluster.is_none() ? "" : ToString(r.state.cluster));
  }
  std::string operator()(const EntryRecord& r) const {
    return absl::StrCat("entry group=", r.group.value(), " index=", r.entry.index.value(),
                        " term=", r.entry.term.value(),
                        " type=", static_cast<int>(r.entry.type),
                        " bytes=", r.entry.data.size());
  }
  std::string operator()(const SnapshotRecord& r) const {
    return absl::StrCat("snapshot group=", r.group.value(),
                        " index=", r.meta.index.value(), " term=", r.meta.term.value(),
                        r.discard_log ? " discards-the-log" : "");
  }
};

}  // namespace

std::string EncodeHardState(GroupId group, const raft::HardState& state) {
  ByteWriter out;
  out.Varint(group.value());
  out.Varint(state.term.value());
  out.Varint(state.vote.value());
  PutCluster(state.cluster, &out);
  return out.Take();
}

std::string EncodeEntry(GroupId group, const raft::Entry& entry) {
  ByteWriter out;
  out.Varint(group.value());
  out.Varint(entry.index.value());
  out.Varint(entry.term.value());
  out.U8(static_cast<uint8_t>(entry.type));
  out.Bytes(entry.data.view());
  return out.Take();
}

std::string EncodeSnapshot(GroupId group, bool discard_log,
                           const raft::SnapshotMeta& meta) {
  ByteWriter out;
  out.Varint(group.value());
  out.U8(discard_log ? 1 : 0);
  out.Varint(meta.index.value());
  out.Varint(meta.term.value());
  out.Bytes(raft::EncodeConfiguration(meta.configuration));
  return out.Take();
}

absl::StatusOr<RaftRecord> DecodeRaftRecord(uint8_t type, std::string_view payload) {
  ByteReader in(payload);
  RaftRecord record;
  switch (static_cast<RecordType>(type)) {
    case RecordType::kHardState:
      record = DecodeHardState(&in);
      break;
    case RecordType::kEntry:
      record = DecodeEntry(&in);
      break;
    case RecordType::kSnapshot:
      record = DecodeSnapshot(&in);
      break;
    default:
      return absl::DataLossError(
          absl::StrCat("record type ", type, " is not known to this version"));
  }
  if (!in.complete()) {
    return absl::DataLossError(absl::StrCat("record of type ", type, " with ",
                                            payload.size(), " bytes does not decode"));
  }
  return record;
}

std::string DescribeRaftRecord(uint8_t type, std::string_view payload) {
  const auto record = DecodeRaftRecord(type, payload);
  if (!record.ok()) return std::string(record.status().message());
  return std::visit(Describer{}, *record);
}

}  // namespace concordat::storage
