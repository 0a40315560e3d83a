// What travels with a call from one service to the next, so that both work in one
// transaction: a short printable text, fit for a header.
//
//   "concordat-1 <cluster> <gtid>"                  caller to callee
//   "concordat-1 <cluster> <gtid> <branch> <branch> …"   callee back to caller
//   "concordat-1 <cluster> <gtid> <branch> … doomed:<why>"   the same, after work that
//   "concordat-1 <cluster> <gtid> <branch> … conflict:<why>" failed: it has to abort
// <why> is text in the alphabet of base 64 for URLs.
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
  std::vector<BranchId> branches;
  // Why the transaction has to abort; empty: it may commit.
  std::string doomed{};
  // That was a conflict: it may go well when it is run again.
  bool conflict = false;
};

[[nodiscard]] std::string EncodeContext(const Context& context);
// INVALID_ARGUMENT, naming the text, when it is no context, or one of a newer version.
[[nodiscard]] absl::StatusOr<Context> ParseContext(std::string_view text);

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_CONTEXT_H_
