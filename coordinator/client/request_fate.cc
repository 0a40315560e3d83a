#include "coordinator/client/request_fate.h"

namespace concordat::client {

NextStep RequestFate::Hear(Answer answer) {
  switch (answer) {
    case Answer::kFinal:
      answered_ = true;
      return NextStep::kStop;
    // No other node knows more.
    case Answer::kForgotten:
    case Answer::kNotFound:
      return NextStep::kStop;
    case Answer::kNotLeader:
    case Answer::kRefusedByOther:
      return NextStep::kAskOther;
    case Answer::kNotReady:
      return NextStep::kAskSame;
    case Answer::kUndecided:
      may_have_begun_ = true;
      return NextStep::kAskSame;
    case Answer::kNoAnswer:
      may_have_begun_ = true;
      return NextStep::kAskOther;
    // The answer may come from a leader that does not know yet that it was deposed.
    // Another node may know of the earlier attempt.
    case Answer::kRefused:
      return may_have_begun_ ? NextStep::kAskOther : NextStep::kStop;
  }
  return NextStep::kStop;
}

Verdict RequestFate::verdict() const {
  if (answered_) return Verdict::kAnswered;
  return may_have_begun_ ? Verdict::kUnknown : Verdict::kNothingBegun;
}

}  // namespace concordat::client
