#include "participant/sdk/waiters.h"

#include <cstdint>

#include "thrift/wire/conversion.h"

namespace concordat::participant {
namespace {

using wire::Code;

constexpr char kClosing[] = "the participant is closing; ask again when it is back";
constexpr char kNotHere[] = "this participant does not serve that resource";

// Limits of the texts in one answer: an answer for thousands of branches must not exceed
// the limit of a frame because each branch has a long text.
constexpr size_t kMaxDetail = 1024;
constexpr size_t kMaxDetails = size_t{256} << 10;

bool IsContinuation(char byte) { return (static_cast<uint8_t>(byte) & 0xC0U) == 0x80U; }

// The text for one branch in an answer that has `used` bytes of texts so far.
std::string Shortened(std::string detail, size_t* used) {
  if (detail.size() > kMaxDetail) {
    size_t end = kMaxDetail;
    while (end > 0 && IsContinuation(detail[end])) --end;  // whole characters of UTF-8
    detail.resize(end);
    detail += "...";
  }
  if (*used + detail.size() > kMaxDetails) return {};
  *used += detail.size();
  return detail;
}

AbortCause CauseOf(OnePhaseVerdict verdict) {
  if (verdict == OnePhaseVerdict::kConflict) return AbortCause::kConflict;
  if (verdict == OnePhaseVerdict::kLost) return AbortCause::kLost;
  return AbortCause::kRefused;
}

size_t BytesOf(const wire::ExecuteReply& reply) {
  size_t bytes = sizeof(WireReply) + reply.result.message.size() + reply.opaque.size();
  for (const wire::KvResult& result : reply.kv) {
    bytes += sizeof(result);
    for (const wire::KvPair& pair : result.pairs) {
      bytes += sizeof(pair) + pair.key.size() + pair.value.size();
    }
  }
  for (const wire::SqlResult& result : reply.sql) {
    bytes += sizeof(result);
    for (const wire::SqlRow& row : result.rows) {
      bytes += sizeof(row);
      for (const wire::Value& value : row.values) {
        bytes += sizeof(value) + value.text.size() + value.blob.size();
      }
    }
  }
  return bytes;
}

}  // namespace

WireReply::WireReply(wire::ExecuteReply r) : reply(std::move(r)), size(BytesOf(reply)) {}

// --- execute ---

void Participant::ExecuteWaiter::OnAnswer(const Slot& slot, Answer* answer) {
  --owner_->running_calls_;
  auto& body = std::get<ExecuteAnswer>(answer->body);
  switch (body.verdict) {
    case ExecuteVerdict::kReply:
      return DeliverReply(slot, static_cast<const WireReply&>(*body.reply).reply);
    case ExecuteVerdict::kUnavailable:
      return Refuse(slot, Code::UNAVAILABLE, std::move(body.detail));
    case ExecuteVerdict::kBranchGone:
      return Refuse(slot, Code::BRANCH_GONE, std::move(body.detail));
    case ExecuteVerdict::kWrongNumber:
      return Refuse(slot, Code::INVALID, std::move(body.detail));
    case ExecuteVerdict::kTimedOut:
      return Refuse(slot, Code::TIMED_OUT, std::move(body.detail));
  }
}

void Participant::ExecuteWaiter::OnClosed(const Slot& slot) {
  --owner_->running_calls_;
  Refuse(slot, Code::UNAVAILABLE, kClosing);
}

// A call that was to start a branch and did nothing at all leaves no branch, since its
// caller may not look for one in a failed reply.
void Participant::ExecuteWaiter::DeliverReply(const Slot& slot,
                                              const wire::ExecuteReply& reply) {
  const bool started = slot.request != nullptr && !slot.request->__isset.branch;
  const bool nothing_done =
      reply.result.code == Code::INVALID || reply.result.code == Code::OVERLOADED;
  if (!started || !nothing_done) return cob_(reply);
  if (Resource* resource = owner_->FindResource(slot.branch.resource)) {
    resource->table->Rollback(slot.branch, RequestToken(), owner_->loop_->Now());
    owner_->ScheduleDrain();
  }
  wire::ExecuteReply copy = reply;
  copy.__isset.branch = false;
  copy.__isset.prepared = false;
  cob_(copy);
}

void Participant::ExecuteWaiter::Refuse(const Slot& slot, Code::type code,
                                        std::string message) {
  wire::ExecuteReply reply;
  reply.result = MakeResult(code, std::move(message));
  reply.__set_branch(ToWire(slot.branch));
  cob_(reply);
}

// --- one phase ---

void Participant::OnePhaseWaiter::OnAnswer(const Slot& /*slot*/, Answer* answer) {
  auto& body = std::get<OnePhaseAnswer>(answer->body);
  wire::OnePhaseReply reply;
  switch (body.verdict) {
    case OnePhaseVerdict::kCommitted:
      reply.result = MakeResult(Code::OK, std::move(body.detail));
      reply.__set_outcome(wire::Outcome::COMMITTED);
      break;
    case OnePhaseVerdict::kRefused:
    case OnePhaseVerdict::kConflict:
    case OnePhaseVerdict::kLost:
      reply.result = MakeResult(Code::OK, std::move(body.detail));
      reply.__set_outcome(wire::Outcome::ABORTED);
      reply.__set_cause(ToWire(CauseOf(body.verdict)));
      break;
    case OnePhaseVerdict::kUnknown:
      reply.result = MakeResult(Code::UNAVAILABLE, std::move(body.detail));
      break;
    case OnePhaseVerdict::kInvalid:
      reply.result = MakeResult(Code::INVALID, std::move(body.detail));
      break;
    case OnePhaseVerdict::kForgotten:
      reply.result = MakeResult(Code::UNKNOWN, std::move(body.detail));
      break;
  }
  cob_(reply);
}

void Participant::OnePhaseWaiter::OnClosed(const Slot& /*slot*/) {
  wire::OnePhaseReply reply;
  reply.result = MakeResult(Code::UNAVAILABLE, kClosing);
  cob_(reply);
}

// --- lists ---

Participant::PrepareBatch::PrepareBatch(
    std::function<void(const wire::PrepareReply&)> cob, size_t size)
    : cob_(std::move(cob)), left_(size) {
  reply_.result = MakeResult(Code::OK);
  reply_.__isset.votes = true;
  reply_.votes.resize(size);
}

void Participant::PrepareBatch::OnAnswer(const Slot& slot, Answer* answer) {
  auto& body = std::get<VoteAnswer>(answer->body);
  Set(slot.index, ToWire(body.vote), std::move(body.detail));
}

void Participant::PrepareBatch::OnClosed(const Slot& slot) {
  Set(slot.index, wire::Vote::UNAVAILABLE, kClosing);
}

// The resource may have moved to another participant, and the branch may be prepared
// there.
void Participant::PrepareBatch::OnNotHere(uint32_t index) {
  Set(index, wire::Vote::UNAVAILABLE, kNotHere);
}

void Participant::PrepareBatch::Set(uint32_t index, wire::Vote::type vote,
                                    std::string detail) {
  wire::PrepareResult& item = reply_.votes[index];
  item.vote = vote;
  detail = Shortened(std::move(detail), &detail_bytes_);
  if (!detail.empty()) item.__set_detail(std::move(detail));
  if (--left_ == 0) cob_(reply_);
}

Participant::FinishBatch::FinishBatch(std::function<void(const wire::FinishReply&)> cob,
                                      size_t size)
    : cob_(std::move(cob)), left_(size) {
  reply_.result = MakeResult(Code::OK);
  reply_.__isset.items = true;
  reply_.items.resize(size);
}

void Participant::FinishBatch::OnAnswer(const Slot& slot, Answer* answer) {
  auto& body = std::get<FinishAnswer>(answer->body);
  Set(slot.index, ToWire(body.state), std::move(body.detail));
}

void Participant::FinishBatch::OnClosed(const Slot& slot) {
  Set(slot.index, wire::FinishState::RETRY, kClosing);
}

void Participant::FinishBatch::OnNotHere(uint32_t index) {
  Set(index, wire::FinishState::RETRY, kNotHere);
}

void Participant::FinishBatch::Set(uint32_t index, wire::FinishState::type state,
                                   std::string detail) {
  wire::FinishResult& item = reply_.items[index];
  item.state = state;
  detail = Shortened(std::move(detail), &detail_bytes_);
  if (!detail.empty()) item.__set_detail(std::move(detail));
  if (--left_ == 0) cob_(reply_);
}

}  // namespace concordat::participant
