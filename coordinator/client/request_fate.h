// What a client may conclude from the answers to one request, which it repeats with the
// same gtid until one of them is final. Pure: it sees answers, and neither the wire nor
// the time. The client library and the simulator's clients follow the same rule.
//
//   RequestFate fate;
//   switch (fate.Hear(answer)) { … ask the same node, another one, or stop … }
//   // stopped, or out of time:
//   fate.verdict();
//
// The rule: "nothing was begun" speaks of the attempt that it answers. Only if every
// attempt was answered so has nothing been begun. One that was answered "begun, not known
// yet", or not at all, may stand in the log of the next leader, whatever other nodes
// refuse meanwhile. A client that took such a refusal for the end would report ABORTED,
// and the next leader commits.
#ifndef COORDINATOR_CLIENT_REQUEST_FATE_H_
#define COORDINATOR_CLIENT_REQUEST_FATE_H_

#include <cstdint>

namespace concordat::client {

// How one attempt was answered.
enum class Answer : uint8_t {
  kFinal,           // what was asked for: the outcome, a block of gtids, …
  kForgotten,       // over, or never begun and never will be; nothing begun by this
  kNotFound,        // nobody has asked to commit it, as far as the leader knows
  kNotLeader,       // nothing begun; another node is to be asked
  kNotReady,        // nothing begun; the node leads and can tell in a moment
  kUndecided,       // begun, by this attempt or before it, and not known yet
  kNoAnswer,        // lost, or too late: it may have been begun
  kRefused,         // nothing begun, and the leader says so, or it holds at every node
  kRefusedByOther,  // nothing begun, and the node does not claim to lead
};

enum class NextStep : uint8_t { kStop, kAskSame, kAskOther };

enum class Verdict : uint8_t {
  kAnswered,      // the last answer is final
  kNothingBegun,  // no attempt was begun by anybody
  kUnknown,       // an attempt may have been begun, and nobody has said what became of it
};

class RequestFate {
 public:
  // `heard_before`: the same gtid was asked for before, in a request whose end this does
  // not know of.
  explicit RequestFate(bool heard_before = false) : may_have_begun_(heard_before) {}

  // What to do after this answer, if there is time left.
  NextStep Hear(Answer answer);
  // What is known now.
  [[nodiscard]] Verdict verdict() const;
  [[nodiscard]] bool may_have_begun() const { return may_have_begun_; }

 private:
  bool may_have_begun_;
  bool answered_ = false;
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_REQUEST_FATE_H_
