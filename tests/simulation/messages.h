// The packets of the simulated network: Raft's own messages, and the calls between
// clients, coordinators and participants as plain values (on the real wire they are
// Thrift structs).
#ifndef TESTS_SIMULATION_MESSAGES_H_
#define TESTS_SIMULATION_MESSAGES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "coordinator/base/outcomes.h"
#include "coordinator/base/strong_id.h"
#include "coordinator/base/xid.h"
#include "coordinator/raft/types.h"
#include "coordinator/txn/output.h"

namespace concordat::simulation {

// A process of the simulated world, the same through all its incarnations.
using ProcessId = StrongId<struct ProcessIdTag, uint32_t>;
// Identifies a call, so that its answer can be matched to it. Unique in a run.
using CallId = StrongId<struct CallIdTag, uint64_t>;

// How a call ended: those of types.thrift's codes that occur here.
enum class Code : uint8_t {
  kOk,
  kNotLeader,
  kUnavailable,  // from a participant
  kInvalid,
  kOverloaded,
  kNotFound,
  kUndecided,
  kNotReady,
  kForgotten,
  kVersion,
  kConflict,
  kConditionFailed,
  kBranchGone,
  kUnknown,
};

// --- Client to coordinator ---------------------------------------------------------

struct BeginCall {
  uint32_t count = 1;
};
struct BeginReply {
  Code code = Code::kNotLeader;
  Gtid first;
  uint32_t count = 0;
};
struct CommitCall {
  Gtid gtid;
  std::vector<BranchId> branches;
  CommitMode mode = CommitMode::kDecided;
  uint64_t timeout_ms = 0;
  // Positions of branches that have voted with their work.
  std::vector<uint32_t> prepared{};
};
struct RollbackCall {
  Gtid gtid;
  std::vector<BranchId> branches;
};
struct OutcomeCall {
  Gtid gtid;
};
// Answers CommitCall, RollbackCall and OutcomeCall.
struct OutcomeReply {
  Code code = Code::kNotLeader;
  Outcome outcome = Outcome::kAborted;  // with kOk
  AbortCause cause = AbortCause::kNone;
  bool leads = false;  // the node says that it leads (on the wire: its hint names itself)
};
struct EnlistCall {
  BranchId branch;
};
struct EnlistReply {
  Code code = Code::kNotLeader;
};

// --- Participant to coordinator ----------------------------------------------------

struct InquiryCall {
  std::vector<BranchId> branches;
};
struct InquiryItem {
  BranchId branch;
  Code code = Code::kUnavailable;
  InquiryAnswer answer = InquiryAnswer::kWait;
};
struct InquiryReply {
  std::vector<InquiryItem> items;
};

// --- Coordinator to participant ----------------------------------------------------

struct VerbCall {
  txn::Verb verb = txn::Verb::kPrepare;
  std::vector<BranchId> branches;
};
struct VerbItem {
  BranchId branch;
  Vote vote = Vote::kUnavailable;
  FinishState ack = FinishState::kRetry;
  std::string detail;
};
struct VerbReply {
  txn::Verb verb = txn::Verb::kPrepare;
  std::vector<VerbItem> items;
};

// --- Client to participant ---------------------------------------------------------

struct Write {
  uint32_t account = 0;
  int64_t delta = 0;
};
// Starts a branch of the transaction `start`, or continues in `branch`. Without writes it
// only reads.
struct ExecuteCall {
  std::optional<Gtid> start;
  std::optional<BranchId> branch;
  uint64_t call_number = 1;
  std::vector<Write> writes;
  bool prepare = false;  // the participant may prepare the branch
};
struct ExecuteReply {
  Code code = Code::kUnavailable;
  BranchId branch;
  bool prepared = false;
};
struct OnePhaseCall {
  BranchId branch;
};
struct OnePhaseReply {
  Code code = Code::kUnknown;
  bool committed = false;  // with kOk
};
// The client gives a branch up; a branch that may have voted is not changed.
struct ReleaseCall {
  BranchId branch;
};
struct ReleaseReply {
  FinishState ack = FinishState::kRetry;
};

// --- Participant's heartbeat ---------------------------------------------------------

struct RegisterCall {
  std::string resource;
  Incarnation incarnation;
};
struct RegisterReply {
  bool ok = false;
  Gtid watermark;  // the watermark of the node that answers; with ok
};

// --- Client to a service that works for it ------------------------------------------

struct ServiceCall {
  Gtid gtid;
};
struct ServiceReply {
  Code code = Code::kUnavailable;
};

// --- To the counters (counters.h) ---------------------------------------------------

// No amount: it reads.
struct CounterCall {
  std::string name;
  uint64_t amount = 0;
  std::string operation;
};
struct CounterReply {
  Code code = Code::kNotLeader;  // kUndecided: it may be done
  uint64_t value = 0;
};

using Payload =
    std::variant<raft::Message, BeginCall, BeginReply, CommitCall, RollbackCall,
                 OutcomeCall, OutcomeReply, EnlistCall, EnlistReply, InquiryCall,
                 InquiryReply, VerbCall, VerbReply, ExecuteCall, ExecuteReply,
                 OnePhaseCall, OnePhaseReply, ReleaseCall, ReleaseReply, RegisterCall,
                 RegisterReply, ServiceCall, ServiceReply, CounterCall, CounterReply>;

struct Packet {
  ProcessId from;
  ProcessId to;
  CallId call;  // the same in a call and its answer; none in Raft's messages
  Payload payload;
};

[[nodiscard]] std::string_view ToString(Code code);
// One line for the event history.
[[nodiscard]] std::string Describe(const Payload& payload);

// The payload as a T, or null.
template <class T>
[[nodiscard]] const T* As(const Packet& packet) {
  return std::get_if<T>(&packet.payload);
}

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_MESSAGES_H_
