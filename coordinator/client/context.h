// The text that a call from one service to another carries, so that both work in one
// transaction. It is short and printable, so it can be the value of a header.
//
//   caller to callee   "concordat-1 <cluster> <gtid>"
//   callee to caller   "concordat-1 <cluster> <gtid> <branch> <branch> …"
//   … after work that  "concordat-1 <cluster> <gtid> <branch> … doomed:<why>"
//     failed           "concordat-1 <cluster> <gtid> <branch> … conflict:<why>"
//
// After the last two the transaction must abort. <why> is text, encoded in base 64 with
// the alphabet for URLs.
#ifndef COORDINATOR_CLIENT_CONTEXT_H_
#define COORDINATOR_CLIENT_CONTEXT_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/base/ids.h"
#include "coordinator/base/xid.h"

namespace concordat::client {

struct Context {
  ClusterId cluster;  // 0: not known
  Gtid gtid;
  std::vector<BranchId> branches;  // of the callee; empty from caller to callee
  // Why the transaction must abort. Empty: it may commit.
  std::string doomed{};
  // The reason was a conflict, so the transaction may succeed when it is run again.
  bool conflict = false;
};

[[nodiscard]] std::string EncodeContext(const Context& context);
// INVALID_ARGUMENT, with the text in the message: it is not a context, or one of a newer
// version.
[[nodiscard]] absl::StatusOr<Context> ParseContext(std::string_view text);

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_CONTEXT_H_
