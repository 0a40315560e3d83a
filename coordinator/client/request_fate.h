// What a client may conclude from the answers to a request that it repeats, with the same
// gtid, until an answer is final. Pure: it sees answers, but neither the wire nor the
// time. The client library and the simulator's clients follow the same rule.
//
//   RequestFate fate;
//   NextStep next = NextStep::kAskOther;
//   while (next != NextStep::kStop && HasTimeLeft()) next = fate.Hear(Ask(next));
//   switch (fate.verdict()) { … }
//
// The rule: the answer "nothing was begun" is about one attempt. Only if every attempt
// was answered so, nothing was begun. An attempt that was answered "begun, outcome not
// known yet", or not at all, may be in the log of the next leader, even if other nodes
// refuse later attempts. A client that took such a refusal as the outcome would report
// ABORTED, while the next leader commits.
#ifndef COORDINATOR_CLIENT_REQUEST_FATE_H_
#define COORDINATOR_CLIENT_REQUEST_FATE_H_

#include <cstdint>

namespace concordat::client {

// How one attempt was answered.
enum class Answer : uint8_t {
  kFinal,           // what was asked for: the outcome, a block of gtids, …
  kForgotten,       // it is over, or was never begun and never will be
  kNotFound,        // no commit was requested, as far as the leader knows
  kNotLeader,       // nothing begun; ask another node
  kNotReady,        // nothing begun; the node leads, ask it again soon
  kUndecided,       // begun, by this attempt or an earlier one; outcome not known yet
  kNoAnswer,        // lost or too late: it may have been begun
  kRefused,         // nothing begun; said by the leader, or true at every node
  kRefusedByOther,  // nothing begun; said by a node that does not claim to lead
};

enum class NextStep : uint8_t { kStop, kAskSame, kAskOther };

enum class Verdict : uint8_t {
  kAnswered,      // the last answer is final
  kNothingBegun,  // no attempt has begun anything
  kUnknown,       // an attempt may have begun it, and no answer has said how it ended
};

class RequestFate {
 public:
  // `heard_before`: the same gtid was in an earlier request whose outcome is not known.
  explicit RequestFate(bool heard_before = false) : may_have_begun_(heard_before) {}

  // What to do after this answer, if there is time left.
  NextStep Hear(Answer answer);
  // What all answers so far mean.
  [[nodiscard]] Verdict verdict() const;
  [[nodiscard]] bool may_have_begun() const { return may_have_begun_; }

 private:
  bool may_have_begun_;    // an attempt may be in the log of some node
  bool answered_ = false;  // the last answer was final
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_REQUEST_FATE_H_
