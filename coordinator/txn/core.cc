#include "coordinator/txn/core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/txn/commit_protocol.h"
#include "coordinator/txn/inheritance.h"
#include "coordinator/txn/retention.h"

namespace concordat::txn {

namespace {

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

}  // namespace

Core::Core(GroupId group, const CoreOptions& options)
    : options_(options),
      table_(group),
      until_ready_(options_.max_not_ready),
      protocol_(std::make_unique<CommitProtocol>(options_, table_, room_, &out_)),
      inheritance_(std::make_unique<Inheritance>(table_, protocol_.get())),
      watermark_(std::make_unique<WatermarkKeeper>(options_, table_)) {}

Core::~Core() = default;

void Core::Advance(Timestamp now) {
  CONCORDAT_CHECK(now >= now_) << now.micros() << " after " << now_.micros();
  now_ = now;
}

void Core::Emit(EventKind kind, Timestamp now, uint64_t number) {
  Event& event = out_.events.emplace_back();
  event.time = now;
  event.kind = kind;
  event.number = number;
}

void Core::BecomeLeader(Term term, Timestamp now) {
  Advance(now);
  CONCORDAT_CHECK(term > term_) << term << " after " << term_;
  LoseLeadership(now);
  role_ = Role::kLeading;
  term_ = term;
  next_sequence_ = 1;
  Emit(EventKind::kLeading, now, term.value());
}

void Core::LeaderReady(Term term, Timestamp now) {
  Advance(now);
  if (role_ != Role::kLeading || term != term_) return;
  role_ = Role::kReady;
  Emit(EventKind::kReady, now, term.value());
  watermark_->BeginTerm(term, now);
  until_ready_.OnReady();
  inheritance_->Begin();
  WorkOff(now);
}

void Core::WorkOff(Timestamp now) {
  const auto room = [this] {
    return options_.max_work_per_output -
           std::min(work_in_output_, options_.max_work_per_output);
  };
  if (inheritance_->under_way()) work_in_output_ += inheritance_->Advance(room(), now);
  while (until_ready_.HasNext() && room() > 0) {
    ++work_in_output_;
    auto next = until_ready_.TakeNext();
    Dispatch(next->token, std::move(next->request), now);
  }
  work_in_output_ += protocol_->Tick(room(), now);
}

bool Core::HasMoreWork() const {
  if (role_ != Role::kReady) return false;
  return inheritance_->under_way() || until_ready_.HasNext() ||
         protocol_->NextTimer() <= now_;
}

void Core::AdmitNewWork(bool admit) { room_.for_new_work = admit; }

void Core::RetryNow(std::string_view resource, Timestamp now) {
  Advance(now);
  protocol_->RetryNow(resource, now);
}

void Core::LoseLeadership(Timestamp now) {
  Advance(now);
  if (role_ == Role::kFollower) return;
  role_ = Role::kFollower;
  // Not taken yet, so not appended: in a later term nobody would know of them.
  out_.proposals.clear();
  out_.reads.clear();
  protocol_->Abandon();
  inheritance_->End();
  watermark_->EndTerm();
  for (const RequestToken token : until_ready_.TakeAll()) {
    out_.answers.push_back(Answer{token, NotLeaderReply{}});
  }
  Emit(EventKind::kSteppedDown, now, term_.value());
}

absl::Status Core::Check(std::string_view record) const {
  return DecodeRecord(record).status();
}

absl::Status Core::Apply(LogIndex index, std::string_view bytes, Timestamp now) {
  Advance(now);
  auto record = DecodeRecord(bytes);
  if (!record.ok()) return record.status();
  const Effect effect = table_.Apply(index, *record);
  // Until the own term's entry is applied the records are earlier leaders', and the
  // Inheritance finds in the table what they add up to.
  if (role_ != Role::kReady) return absl::OkStatus();
  std::visit(Overloaded{[&](const StagedEffect& e) { protocol_->OnStaged(e, now); },
                        [&](const DecidedEffect& e) {
                          protocol_->OnDecided(std::get<DecidedRecord>(*record), e, now);
                        },
                        [&](const EnlistedEffect& e) { protocol_->OnEnlisted(e, now); },
                        [&](const EndedEffect& e) {
                          protocol_->OnEnded(std::get<EndedRecord>(*record), e, now);
                        },
                        [&](const WatermarkEffect& e) {
                          Emit(EventKind::kWatermark, now);
                          out_.events.back().gtid = e.watermark;
                        },
                        [&](const HeuristicEffect&) {
                          protocol_->OnHeuristic(std::get<HeuristicRecord>(*record));
                        }},
             effect);
  return absl::OkStatus();
}

class Core::Restore final : public group::SnapshotRestore {
 public:
  Restore(Core* core, LogIndex at) : core_(core), restored_(core->table_.group(), at) {}

  absl::Status Append(std::string_view portion) override {
    return restored_.Append(portion);
  }
  absl::Status Finish() override { return restored_.Finish(); }
  void Install() override {
    CONCORDAT_CHECK(core_->role_ == Role::kFollower) << "a leader restores nothing";
    std::swap(core_->table_, restored_.table());
  }

 private:
  Core* const core_;
  TableRestore restored_;
};

std::unique_ptr<group::SnapshotSource> Core::TakeSnapshot() {
  return table_.TakeSnapshot();
}

std::unique_ptr<group::SnapshotRestore> Core::BeginRestore(LogIndex at) {
  return std::make_unique<Restore>(this, at);
}

void Core::Handle(Input input, Timestamp now) {
  std::visit(Overloaded{[&](SubmittedRequest& submitted) {
                          Submit(submitted.token, std::move(submitted.request), now);
                        },
                        [&](const ReceivedVote& vote) {
                          Advance(now);
                          protocol_->OnVote(vote, now);
                        },
                        [&](const ReceivedAck& ack) {
                          Advance(now);
                          protocol_->OnAcknowledged(ack, now);
                        }},
             input);
}

void Core::Submit(RequestToken token, Request request, Timestamp now) {
  Advance(now);
  switch (role_) {
    case Role::kFollower:
      out_.answers.push_back(Answer{token, NotLeaderReply{}});
      return;
    case Role::kLeading:
      return Await(token, std::move(request), now);
    case Role::kReady:
      return Dispatch(token, std::move(request), now);
  }
}

void Core::Await(RequestToken token, Request request, Timestamp now) {
  Duration wait = options_.not_ready_wait;
  std::visit(
      [&wait](const auto& r) {
        if constexpr (requires { r.answer_within; }) {
          if (r.answer_within > Duration()) wait = std::min(wait, r.answer_within);
        }
      },
      request);
  if (!until_ready_.Add(token, std::move(request), now + wait)) {
    out_.answers.push_back(Answer{token, NotReadyReply{}});
  }
}

void Core::Dispatch(RequestToken token, Request request, Timestamp now) {
  std::visit(
      Overloaded{
          [&](const AllocateGtidsRequest& r) { Handle(token, r, now); },
          [&](const CommitRequest& r) {
            if (CheckGtid(token, r.gtid, now)) protocol_->Commit(token, r, now);
          },
          [&](const RollbackRequest& r) {
            if (CheckGtid(token, r.gtid, now)) protocol_->Rollback(token, r, now);
          },
          [&](const EnlistRequest& r) {
            if (CheckGtid(token, r.branch.gtid, now)) protocol_->Enlist(token, r, now);
          },
          [&](const InquireRequest& r) {
            if (CheckGtid(token, r.branch.gtid, now)) protocol_->Inquire(token, r, now);
          },
          [&](const OutcomeRequest& r) {
            if (CheckGtid(token, r.gtid, now)) protocol_->AskOutcome(token, r, now);
          },
          [&](const ForgetHeuristicRequest& r) { protocol_->ForgetHeuristic(token, r); },
      },
      request);
}

void Core::Handle(RequestToken token, const AllocateGtidsRequest& request,
                  Timestamp now) {
  if (request.count == 0) {
    out_.answers.push_back(
        Answer{token, RefusedReply{Refusal::kBadRequest, "no gtids asked for"}});
    return;
  }
  if (!room_.for_new_work) {
    out_.answers.push_back(
        Answer{token, RefusedReply{Refusal::kOverloaded, std::string(kDiskFull)}});
    return;
  }
  GtidBlockReply block;
  block.count = std::min(request.count, options_.max_gtid_block);
  // Unique without a record: one leader a term, and the term is in the gtid.
  block.first = Gtid{table_.group(), term_, next_sequence_};
  next_sequence_ += block.count;
  block.use_within_ms = static_cast<uint64_t>(options_.min_retention.millis());
  watermark_->OnHandedOut(Gtid{table_.group(), term_, next_sequence_ - 1}, now);
  out_.answers.push_back(Answer{token, block});
}

bool Core::CheckGtid(RequestToken token, const Gtid& gtid, Timestamp now) {
  const bool ours =
      gtid.group == table_.group() && !gtid.is_none() && !gtid.term.is_none();
  if (ours && gtid.term > term_) {
    // A later leader's, if it is no forgery: then this node leads no more and does not
    // know it yet. Saying "refused" could be taken for "will never commit".
    out_.answers.push_back(Answer{token, NotLeaderReply{}});
  } else if (!ours || (gtid.term == term_ && gtid.sequence >= next_sequence_)) {
    out_.answers.push_back(Answer{
        token, RefusedReply{Refusal::kForged, absl::StrCat("gtid ", ToString(gtid),
                                                           " was never handed out")}});
  } else {
    inheritance_->Hurry(gtid, now);
    return true;
  }
  Emit(EventKind::kRefusedRequest, now);
  out_.events.back().gtid = gtid;
  out_.events.back().detail = "not a gtid that this leader can know";
  return false;
}

void Core::OnReadConfirmed(group::ReadToken token, Timestamp now) {
  Advance(now);
  protocol_->OnReadConfirmed(RequestToken(token.value()), now);
}

std::vector<std::string> Core::TakeProposals() {
  return std::exchange(out_.proposals, {});
}

std::vector<group::ReadToken> Core::TakeReads() { return std::exchange(out_.reads, {}); }

void Core::ExpireWaiting(Timestamp now) {
  for (const RequestToken token : until_ready_.TakeExpired(now)) {
    out_.answers.push_back(Answer{token, NotReadyReply{}});
  }
}

void Core::Tick(Timestamp now) {
  Advance(now);
  if (role_ != Role::kReady) return ExpireWaiting(now);
  WorkOff(now);
  if (!room_.for_new_work) return;  // the watermark can wait
  if (const auto watermark = watermark_->Tick(now)) {
    out_.proposals.push_back(EncodeRecord(WatermarkRecord{*watermark}));
  }
}

Timestamp Core::NextTimer() const {
  if (HasMoreWork()) return now_;
  if (role_ != Role::kReady) return until_ready_.NextExpiry();
  return std::min(protocol_->NextTimer(), watermark_->NextTimer());
}

Output Core::TakeOutput() {
  work_in_output_ = 0;
  return std::exchange(out_, Output{});
}

}  // namespace concordat::txn
