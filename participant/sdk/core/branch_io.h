// What goes into and comes out of the BranchTable (branch_table.h): plain values.
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

// Chosen by the caller for each request, handed back with its answer. 0: wants none.
using RequestToken = StrongId<struct RequestTokenTag, uint64_t>;

struct BranchTableOptions {
  // A branch in doubt for this long asks the coordinators (design: longer than an
  // election and a client's repeated request), then again and again, each time after
  // twice the time, at most `max_inquiry_interval`.
  Duration in_doubt_inquiry = Duration::Seconds(2);
  Duration max_inquiry_interval = Duration::Seconds(30);
  // An active branch without a call for this long is rolled back, unless its start
  // named another time; that is cut to `max_idle_timeout`.
  Duration idle_timeout = Duration::Seconds(30);
  Duration max_idle_timeout = Duration::Seconds(3600);
  // Timers are looked at this often.
  Duration scan_interval = Duration::Millis(50);
  // Branches that are not over, look-ups included. One more start is refused.
  size_t max_branches = 100'000;
  // Branches that are over and leave no evidence (read-only, heuristic): the answers
  // that are kept to be repeated. About 110 bytes each; see remembered.h.
  size_t max_remembered = 131'072;
  // Answers to calls that are kept to be repeated, of all branches together, in bytes.
  // Beyond it the oldest go; a repeat of such a call rolls its branch back.
  size_t max_kept_reply_bytes = 64u << 20;
  // Somebody else than this process can settle prepared branches of the store (a
  // person in a database's console): see BranchTable on COMMIT of a missing branch.
  bool can_be_settled_elsewhere = false;
  // The store does not know which branches are of one transaction: one would wait for
  // another's locks until a time-out, for an end that waits for it. So a transaction has
  // one at a time.
  bool one_branch_a_transaction = false;
};

// Why a branch is not started.
enum class StartRefusal : uint8_t {
  kNone,
  kUnavailable,  // recovery is not done, or the participant is closing
  kOverloaded,   // too many branches
  kTooOld,       // the watermark has passed the gtid: it can never commit
  kSecond,       // the transaction has a branch here: see one_branch_a_transaction
};
struct StartResult {
  StartRefusal refusal = StartRefusal::kNone;
  BranchId branch;  // with kSecond the first
};

// The caller's reply to an Execute, kept to be repeated. The core does not look at it.
class ExecuteReply {
 public:
  virtual ~ExecuteReply() = default;
  // What it takes in memory, about.
  [[nodiscard]] virtual size_t bytes() const { return 0; }
};
using ExecuteReplyPtr = std::shared_ptr<const ExecuteReply>;

struct RecoveredBranch {
  BranchId branch;
  // Not asked about before this time has passed since recovery; zero: the default.
  // For branches that an application prepared itself.
  Duration ask_after;
};

// How a call in a branch is begun.
struct ExecuteOptions {
  // The branch is rolled back when the call has not ended by then.
  Timestamp deadline;
  // The resource manager may prepare the branch when the work has succeeded. Until
  // deadline the caller may still be working at other resources, so that the branch is
  // not in doubt before.
  bool may_prepare = false;
};

// --- answers ---------------------------------------------------------------------

enum class ExecuteVerdict : uint8_t {
  kReply,        // `reply`: the resource manager's, perhaps a repeated one
  kUnavailable,  // recovery is not done
  kBranchGone,   // rolled back, finished, or never there
  kWrongNumber,  // the call number is neither the next one nor the last one
  kTimedOut,     // not done by its deadline, and the branch is rolled back
};
struct ExecuteAnswer {
  ExecuteVerdict verdict = ExecuteVerdict::kReply;
  ExecuteReplyPtr reply;
  std::string detail;
};
struct VoteAnswer {
  Vote vote = Vote::kUnavailable;
  std::string detail;
};
struct FinishAnswer {
  FinishState state = FinishState::kRetry;
  // The request contradicts what this branch has done or was told; nothing was done.
  bool protocol_error = false;
  std::string detail;
};
enum class OnePhaseVerdict : uint8_t {
  kCommitted,
  kRefused,
  kUnknown,    // repeat: the answer is kept with the data
  kInvalid,    // the branch is in two-phase commit, or busy; nothing was done
  kForgotten,  // so long ago that the evidence was dropped; can never be told again
  kConflict,   // rolled back, as OnePhase::kConflict and kLost
  kLost,
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
  kPrepareAgain,  // Prepare, End was called before
  kCommit,
  kCommitOnePhase,  // End, then CommitOnePhase
  kRollback,
  kLookUp,
  kForgetBelow,  // branch.gtid is the watermark
};
struct Command {
  CommandKind kind = CommandKind::kLookUp;
  BranchId branch;
  RequestToken token;
};

// --- events, for logs and counters ---------------------------------------------------

enum class EventKind : uint8_t {
  kRecovered,         // a prepared branch was found at start
  kIdleRollback,      // nobody called for idle_timeout
  kOverdueRollback,   // a call took longer than its caller waits (a lock, mostly)
  kInquiry,           // in doubt: asked about, for the first time
  kSettledByInquiry,  // and told
  kHeuristic,         // ended against the decision, or may have
  kProtocolError,     // a request that contradicts the branch's state
};
struct Event {
  EventKind kind = EventKind::kInquiry;
  BranchId branch;
  std::string detail;
};

[[nodiscard]] std::string_view ToString(EventKind kind);

struct BranchTableOutput {
  // In order. Each kind but kForgetBelow is followed, some time, by its result.
  std::vector<Command> commands;
  std::vector<Answer> answers;
  // Branches in doubt to ask a coordinator about. Those that get no answer are
  // listed again after a while.
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

// A branch that is not over, as `recover` lists it.
struct HeldBranch {
  BranchId branch;
  BranchState state = BranchState::kActive;
  Duration age;  // in that state
};

struct BranchTableStats {
  size_t active = 0;
  size_t in_doubt = 0;  // prepared and not told
  size_t held = 0;      // all that are not over
  size_t remembered = 0;
  size_t kept_reply_bytes = 0;
  Duration oldest_in_doubt;
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_CORE_BRANCH_IO_H_
