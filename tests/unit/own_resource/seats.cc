#include "tests/unit/own_resource/seats.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/byte_codec.h"

namespace concordat::participant {
namespace {

using wire::Code;

wire::ExecuteReply ReplyOf(Code::type code, const std::string& message) {
  wire::ExecuteReply reply;
  reply.result.code = code;
  reply.result.__set_message(message);
  return reply;
}

wire::ExecuteReply Say(const std::string& text) {
  wire::ExecuteReply reply;
  reply.result.code = Code::OK;
  reply.__set_opaque(text);
  return reply;
}

}  // namespace

// --- recovery ---

void Seats::Recover(ClusterId cluster,
                    Callback<absl::StatusOr<std::vector<BranchId>>> done) {
  done(Open(cluster));  // a long log should be read on a thread of its own
}

absl::StatusOr<std::vector<BranchId>> Seats::Open(ClusterId cluster) {
  // The log refuses a folder of another owner, which keeps the clusters' branches apart.
  options_.owner = absl::StrCat("seats:cluster-", absl::Hex(cluster.value()));
  wal::LogWriterOptions writer;
  writer.queue_bytes = 256 << 10;
  writer.block_when_full = false;  // the caller is an event loop that serves others, too
  writer.on_durable = [this](wal::Lsn lsn) { OnDurable(lsn); };
  absl::Status replayed;
  auto opened =
      wal::LogWriter::Open(env_, options_, writer,
                           [&](wal::Lsn /*lsn*/, uint8_t type, std::string_view payload) {
                             MutexLock lock(&mutex_);
                             if (replayed.ok())
                               replayed = Replay(static_cast<Record>(type), payload);
                           });
  if (!opened.ok()) return opened.status();
  if (!replayed.ok()) return replayed;
  log_ = *std::move(opened);
  MutexLock lock(&mutex_);
  std::vector<BranchId> prepared;
  for (const auto& [id, branch] : branches_) prepared.push_back(id);
  return prepared;
}

absl::Status Seats::Replay(Record type, std::string_view payload) {
  ByteReader in(payload);
  const BranchId id = DecodeBranchId(&in);
  Branch branch{.prepared = true, .seats = {}};
  while (in.ok() && !in.at_end()) branch.seats.insert(std::string(in.Bytes()));
  if (!in.ok()) return absl::DataLossError(options_.dir + ": a record cannot be read");
  const bool begins = type == Record::kPrepared || type == Record::kCommittedAlone;
  if (begins == branches_.contains(id)) {
    return absl::DataLossError(absl::StrCat(options_.dir, ": the log contradicts itself ",
                                            "about branch ", ToString(id)));
  }
  if (begins) {
    for (const std::string& seat : branch.seats) held_.insert_or_assign(seat, id);
    branches_.emplace(id, std::move(branch));
  }
  if (type == Record::kCommitted) Sell(id, Evidence::kCommitted);
  if (type == Record::kCommittedAlone) Sell(id, Evidence::kCommittedAlone);
  if (type == Record::kRolledBack) Free(id);
  return absl::OkStatus();
}

// --- work ---

absl::Status Seats::Start(const BranchId& id, const StartOptions& options) {
  if (!options.isolation.empty()) {
    return absl::InvalidArgumentError("seats know no isolation levels");
  }
  if (!log_->HasSpace(wal::Reserve::kNormal)) {
    return absl::ResourceExhaustedError("the disk is full: no new work is taken");
  }
  MutexLock lock(&mutex_);
  branches_.emplace(id, Branch());
  return absl::OkStatus();
}

void Seats::Execute(const BranchId& id, const wire::ExecuteRequest& request,
                    Callback<wire::ExecuteReply> done) {
  wire::ExecuteReply reply;
  {
    MutexLock lock(&mutex_);
    reply = Work(id, request.opaque);
  }
  done(std::move(reply));  // without the mutex: it may call back into this object
}

wire::ExecuteReply Seats::Work(const BranchId& id, const std::string& text) {
  if (!branches_.contains(id)) return ReplyOf(Code::BRANCH_GONE, "no such branch here");
  const std::string verb = text.substr(0, 5);
  const std::string seat = text.size() > 5 ? text.substr(5) : "";
  if (seat.empty() || (verb != "book " && verb != "show ")) {
    return ReplyOf(Code::INVALID, "say \"book SEAT\" or \"show SEAT\"");
  }
  if (verb == "book ") return Book(id, seat);
  return Say(sold_.contains(seat) ? "sold" : held_.contains(seat) ? "held" : "free");
}

wire::ExecuteReply Seats::Book(const BranchId& id, const std::string& seat) {
  if (sold_.contains(seat)) return ReplyOf(Code::CONDITION_FAILED, seat + " is sold");
  const auto [holder, taken] = held_.try_emplace(seat, id);
  if (!taken && holder->second != id) {
    Free(id);  // CONFLICT means that the branch has ended
    return ReplyOf(Code::CONFLICT, seat + " is held by another transaction");
  }
  branches_.at(id).seats.insert(seat);
  return Say("booked");
}

void Seats::Free(const BranchId& id) {
  const auto it = branches_.find(id);
  for (const std::string& seat : it->second.seats) held_.erase(seat);
  branches_.erase(it);
}

void Seats::Sell(const BranchId& id, Evidence evidence) {
  const std::set<std::string> seats = branches_.at(id).seats;
  Free(id);
  sold_.insert(seats.begin(), seats.end());
  evidence_[id] = evidence;
}

// --- the log ---

absl::StatusOr<wal::Lsn> Seats::Append(Record type, const BranchId& id,
                                       wal::Reserve use) {
  ByteWriter out;
  Encode(id, &out);
  if (type == Record::kPrepared || type == Record::kCommittedAlone) {
    for (const std::string& seat : branches_.at(id).seats) out.Bytes(seat);
  }
  return log_->Append(static_cast<uint8_t>(type), out.str(), use);
}

void Seats::OnDurable(wal::Lsn lsn) {
  std::deque<Waiting> due;
  {
    MutexLock lock(&mutex_);
    while (!waiting_.empty() && waiting_.front().lsn <= lsn) {
      due.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
  }
  for (Waiting& waiting : due) waiting.then();
}

// --- ends ---

void Seats::Prepare(const BranchId& id, Callback<PrepareResult> done) {
  PrepareResult result{Vote::kRefused, "the branch is not active here"};
  {
    MutexLock lock(&mutex_);
    const auto it = branches_.find(id);
    if (it != branches_.end() && it->second.seats.empty()) {
      branches_.erase(it);
      result = {Vote::kReadOnly, ""};  // nothing to write, nothing to flush
    } else if (it != branches_.end()) {
      const auto lsn = Append(Record::kPrepared, id, wal::Reserve::kNormal);
      if (lsn.ok()) {
        waiting_.push_back({*lsn, [this, id, done = std::move(done)]() mutable {
                              {
                                MutexLock then(&mutex_);
                                branches_.at(id).prepared = true;
                              }
                              done({Vote::kPrepared, ""});
                            }});
        return;  // the vote is sent after the flush
      }
      const bool later = absl::IsUnavailable(lsn.status());
      if (!later) Free(id);  // REFUSED means that nothing of the branch is left
      result = {later ? Vote::kUnavailable : Vote::kRefused,
                std::string(lsn.status().message())};
    }
  }
  done(std::move(result));
}

void Seats::Commit(const BranchId& id, Callback<FinishResult> done) {
  FinishResult result{FinishState::kRetry, "the branch is not prepared here"};
  {
    MutexLock lock(&mutex_);
    const auto it = branches_.find(id);
    if (it != branches_.end() && it->second.prepared) {
      // A prepared branch must commit on a full disk, too: use the log's reserve.
      const auto lsn = Append(Record::kCommitted, id, wal::Reserve::kFinish);
      if (lsn.ok()) {
        waiting_.push_back({*lsn, [this, id, done = std::move(done)]() mutable {
                              {
                                MutexLock then(&mutex_);
                                Sell(id, Evidence::kCommitted);
                              }
                              done({FinishState::kDone, ""});
                            }});
        return;
      }
      result.detail = std::string(lsn.status().message());
    }
  }
  done(std::move(result));
}

void Seats::CommitOnePhase(const BranchId& id, Callback<OnePhaseResult> done) {
  OnePhaseResult result{OnePhase::kRefused, "the branch is not active here"};
  {
    MutexLock lock(&mutex_);
    const auto it = branches_.find(id);
    if (it != branches_.end() && it->second.seats.empty()) {
      branches_.erase(it);
      result = {OnePhase::kReadOnly, ""};
    } else if (it != branches_.end()) {
      const auto lsn = Append(Record::kCommittedAlone, id, wal::Reserve::kNormal);
      if (lsn.ok()) {
        waiting_.push_back({*lsn, [this, id, done = std::move(done)]() mutable {
                              {
                                MutexLock then(&mutex_);
                                Sell(id, Evidence::kCommittedAlone);
                              }
                              done({OnePhase::kCommitted, ""});
                            }});
        return;
      }
      Free(id);
      result.detail = std::string(lsn.status().message());
    }
  }
  done(std::move(result));
}

void Seats::Rollback(const BranchId& id, Callback<FinishResult> done) {
  FinishResult result{FinishState::kDone, ""};  // also for an unknown branch
  {
    MutexLock lock(&mutex_);
    const auto it = branches_.find(id);
    if (it != branches_.end() && !it->second.prepared) {
      Free(id);
    } else if (it != branches_.end()) {
      const auto lsn = Append(Record::kRolledBack, id, wal::Reserve::kFinish);
      if (lsn.ok()) {
        waiting_.push_back({*lsn, [this, id, done = std::move(done)]() mutable {
                              {
                                MutexLock then(&mutex_);
                                Free(id);
                              }
                              done({FinishState::kDone, ""});
                            }});
        return;
      }
      result = {FinishState::kRetry, std::string(lsn.status().message())};
    }
  }
  done(std::move(result));
}

// --- evidence ---

void Seats::LookUp(const BranchId& id, Callback<Evidence> done) {
  Evidence found = Evidence::kNone;
  {
    MutexLock lock(&mutex_);
    const auto branch = branches_.find(id);
    const auto evidence = evidence_.find(id);
    if (branch != branches_.end()) {
      found = branch->second.prepared ? Evidence::kPrepared : Evidence::kUnknown;
    } else if (evidence != evidence_.end()) {
      found = evidence->second;
    }
  }
  done(found);
}

void Seats::ForgetBelow(const Gtid& watermark) {
  MutexLock lock(&mutex_);
  std::erase_if(evidence_, [&](const auto& entry) {
    const Gtid& gtid = entry.first.gtid;
    return gtid.group == watermark.group && gtid < watermark;
  });
}

void Seats::Close() {
  if (log_ == nullptr) return;
  log_->Stop();  // flushes, and runs the steps that waited for the flush
  log_.reset();  // releases the folder
}

}  // namespace concordat::participant
