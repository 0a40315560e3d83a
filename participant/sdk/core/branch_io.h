// The input and output of the BranchTable (branch_table.h): plain values.
#ifndef PARTICIPANT_SDK_CORE_BRANCH_IO_H_
#define PARTICIPANT_SDK_CORE_BRANCH_IO_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "coordinator/base/clock.h"
#include "coordinator/base/strong_id.h"
#include "coordinator/base/xid.h"
#include "participant/sdk/core/results.h"

namespace concordat::participant {

// Chosen by the caller for each request and returned with its answer. 0: no answer is
// wanted.
using RequestToken = StrongId<struct RequestTokenTag, uint64_t>;

struct BranchTableOptions {
  // A branch that has been in doubt for this long asks the coordinators, and then again
  // and again, each time after twice the time, at most `max_inquiry_interval`. It should
  // be longer than an election and a client's repeated request take.
  Duration in_doubt_inquiry = Duration::Seconds(2);
  Duration max_inquiry_interval = Duration::Seconds(30);
  // An active branch without a call for this long is rolled back, unless its start named
  // another time, which is at most `max_idle_timeout`.
  Duration idle_timeout = Duration::Seconds(30);
  Duration max_idle_timeout = Duration::Seconds(3600);
  // How often timers are checked.
  Duration scan_interval = Duration::Millis(50);
  // How many branches may be here, including look-ups. Another start is refused.
  size_t max_branches = 100'000;
  // How many branches that have ended without evidence (read-only, heuristic) are
  // remembered, so that their answers can be repeated. About 110 bytes each; see
  // remembered_branches.h.
  size_t max_remembered = 131'072;
  // How many bytes of replies to calls are kept to be repeated, for all branches
  // together. Above this the oldest are dropped; if the call of a dropped reply is
  // repeated, its branch is rolled back.
  size_t max_kept_reply_bytes = 64u << 20;
  // True: others than this process can end prepared branches of the store (an operator at
  // a database's console). See BranchTable on COMMIT of a missing branch.
  bool can_be_settled_elsewhere = false;
  // True: the store does not know which branches belong to one transaction. One branch
  // would wait for another's locks until a time-out, while the transaction, which would
  // release them, waits for it. So a transaction may have only one branch here.
  bool one_branch_a_transaction = false;
};

// Why a branch is not started.
enum class StartRefusal : uint8_t {
  kNone,
  kUnavailable,  // recovery is not done, or the participant is closing
  kOverloaded,   // too many branches
  kTooOld,       // the gtid is below the watermark: it can never commit
  kSecond,       // the transaction has a branch here: see one_branch_a_transaction
};
struct StartResult {
  StartRefusal refusal = StartRefusal::kNone;  // kNone: the branch was started
  BranchId branch;  // with kSecond: the branch that the transaction has
};

// The caller's reply to an Execute, kept to be repeated. The core does not look into it.
class ExecuteReply {
 public:
  virtual ~ExecuteReply() = default;
  // About how much memory it takes.
  [[nodiscard]] virtual size_t bytes() const { return 0; }
};
using ExecuteReplyPtr = std::shared_ptr<const ExecuteReply>;

struct RecoveredBranch {
  BranchId branch;
  // How long after recovery the branch does not ask the coordinators; zero: the default.
  // For branches that an application prepared itself.
  Duration ask_after;
};

// How a call in a branch begins.
struct ExecuteOptions {
  // The branch is rolled back if the call has not ended by then.
  Timestamp deadline;
  // True: the resource manager may prepare the branch when the work has succeeded. The
  // branch is not in doubt before deadline, since until then the caller may still be
  // working at other resources.
  bool may_prepare = false;
};

// --- answers ---------------------------------------------------------------------

enum class ExecuteVerdict : uint8_t {
  kReply,        // `reply` is the resource manager's, perhaps a repeated one
  kUnavailable,  // not recovered yet
  kBranchGone,   // rolled back, finished, or never here
  kWrongNumber,  // the call number is neither the next one nor the last one
  kTimedOut,     // not done by its deadline; the branch is rolled back
};
struct ExecuteAnswer {
  ExecuteVerdict verdict = ExecuteVerdict::kReply;
  ExecuteReplyPtr reply;  // with kReply; otherwise null
  std::string detail;     // for operators
};
struct VoteAnswer {
  Vote vote = Vote::kUnavailable;
  std::string detail;
};
struct FinishAnswer {
  FinishState state = FinishState::kRetry;
  // True: the request contradicts what this branch has done or was told, and nothing was
  // done.
  bool protocol_error = false;
  std::string detail;
};
enum class OnePhaseVerdict : uint8_t {
  kCommitted,
  kRefused,
  kUnknown,    // repeat the request: the answer is kept with the data
  kInvalid,    // the branch is in two-phase commit, or busy; nothing was done
  kForgotten,  // so old that its evidence was dropped; the outcome can never be told
               // again
  kConflict,   // rolled back, as OnePhase::kConflict
  kLost,       // rolled back, as OnePhase::kLost
};
struct OnePhaseAnswer {
  OnePhaseVerdict verdict = OnePhaseVerdict::kUnknown;
  std::string detail;
};

struct Answer {
  template <class Body>
  Answer(RequestToken token, Body answer)
      : token(token), body(std::in_place_type<Body>, std::move(answer)) {}

  RequestToken token;
  std::variant<ExecuteAnswer, VoteAnswer, FinishAnswer, OnePhaseAnswer> body;
};

// --- commands for the resource manager ---------------------------------------------

enum class CommandKind : uint8_t {
  kExecute,       // the work of request `token`
  kPrepare,       // End, then Prepare
  kPrepareAgain,  // Prepare; End was called before
  kCommit,
  kCommitOnePhase,  // End, then CommitOnePhase
  kRollback,
  kLookUp,
  kForgetBelow,  // branch.gtid is the watermark
};
struct Command {
  CommandKind kind = CommandKind::kLookUp;
  BranchId branch;
  RequestToken token;  // of the request, for kExecute
};

// --- events, for logs and counters ---------------------------------------------------

enum class EventKind : uint8_t {
  kRecovered,         // a prepared branch was found at the start
  kIdleRollback,      // there was no call for idle_timeout
  kOverdueRollback,   // a call took longer than its caller waits, mostly for a lock
  kInquiry,           // in doubt, and asks for the first time
  kSettledByInquiry,  // ended as the coordinators answered
  kHeuristic,         // ended against the decision, or may have
  kProtocolError,     // a request contradicts the branch's state
};
struct Event {
  EventKind kind = EventKind::kInquiry;
  BranchId branch;
  std::string detail;  // for operators
};

[[nodiscard]] std::string_view ToString(EventKind kind);

struct BranchTableOutput {
  // In the order in which they must be executed. Each command but kForgetBelow is
  // followed, at some time, by its result.
  std::vector<Command> commands;
  std::vector<Answer> answers;
  // Branches in doubt, about which a coordinator should be asked. Those without an answer
  // are listed again after a while.
  std::vector<BranchId> inquiries;
  std::vector<Event> events;

  [[nodiscard]] bool empty() const {
    return commands.empty() && answers.empty() && inquiries.empty() && events.empty();
  }
};

enum class BranchState : uint8_t {
  kActive,
  kPreparing,
  kPrepared,
  kCommitting,
  kCommittingAlone,
  kRollingBack,
  kLookingUp,
};
[[nodiscard]] std::string_view ToString(BranchState state);

// A branch that is here, as `recover` lists it.
struct HeldBranch {
  BranchId branch;
  BranchState state = BranchState::kActive;
  Duration age;  // in that state
};

struct BranchTableStats {
  size_t active = 0;            // may have more calls
  size_t in_doubt = 0;          // prepared, and the decision is not known
  size_t held = 0;              // all branches here, including look-ups
  size_t remembered = 0;        // see max_remembered
  size_t kept_reply_bytes = 0;  // see max_kept_reply_bytes
  Duration oldest_in_doubt;     // how long it has been in doubt
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_CORE_BRANCH_IO_H_
