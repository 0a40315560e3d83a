// Changes of a group's members, one at a time: which of them there are, and what the
// members are afterwards. Whether a leader may make a change now is Raft's to say
// (Raft::ChangeMembers).
//
// A change adds or removes at most one voter. So every quorum before it and every quorum
// after it have a node in common, and no two leaders can be elected in one term (thesis,
// section 4.1).
#ifndef COORDINATOR_RAFT_MEMBER_CHANGE_H_
#define COORDINATOR_RAFT_MEMBER_CHANGE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/configuration.h"

namespace concordat::raft {

struct MemberChange {
  enum class Kind : uint8_t {
    kAdd,         // a new member, as a learner: no quorum depends on it
    kPromote,     // a learner becomes a voter
    kDemote,      // a voter becomes a learner
    kRemove,      // it is no member any more; its id is never used again
    kReplace,     // the member's log is lost: a learner whose log is not known yet
    kSetAddress,  // it is reached elsewhere; its role stays
    kSetLog,      // the log of a member that had none
  };
  Kind kind = Kind::kAdd;
  NodeId node;
  // kAdd, and kSetAddress, where an empty one stays as it is.
  std::string peer_address;
  std::string client_address;
  LogId log;           // kSetLog
  std::string record;  // by whom and why, for people; as much of it as there is room for
};
[[nodiscard]] std::string_view MemberChangeName(MemberChange::Kind kind);

// The members after the change.
//   INVALID_ARGUMENT     node 0, an address that is too long, or nothing would change
//   ALREADY_EXISTS       kAdd: it is a member already, or was one
//   NOT_FOUND            it is not a member
//   FAILED_PRECONDITION  it is one in another role than the change needs, it would be one
//                        member too many, or no voter would be left
[[nodiscard]] absl::StatusOr<Configuration> AfterChange(const Configuration& before,
                                                        const MemberChange& change);

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_MEMBER_CHANGE_H_
