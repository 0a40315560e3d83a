// LeaderFinder: the nodes of a cluster as one caller knows them, and which of them it
// asks next. Clients and participants find the leader by the same rules:
//
//   const std::string asked = nodes_.current();
//   const wire::Result result = Ask(asked);
//   if (result.code != wire::Code::OK) nodes_.MoveOn(asked, result.leader_hint);
//
//   1. A node is asked until it fails or another one is named: the leader seldom changes.
//   2. A hint is followed, also to a node that was not known, which is known from then
//   on.
//   3. Without a hint the next node of the list is asked, after the last one the first.
//   4. Calls that are under way at once share the choice: what one has learned is not
//      undone by the later answer to another.
//
// It does not look at addresses: the caller checks a hint that it cannot trust. Not
// thread-safe.
#ifndef COORDINATOR_BASE_LEADER_FINDER_H_
#define COORDINATOR_BASE_LEADER_FINDER_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/base/clock.h"

namespace concordat {

class LeaderFinder {
 public:
  // More nodes than a cluster has are not learned from hints.
  static constexpr size_t kMaxNodes = 32;

  // `nodes` must not be empty.
  explicit LeaderFinder(std::vector<std::string> nodes);

  // The node to be asked next. The reference is valid until the next call.
  [[nodiscard]] const std::string& current() const { return nodes_[current_]; }
  [[nodiscard]] size_t size() const { return nodes_.size(); }

  // The node `asked` has named the node `hint`, or none if empty. Stays at `asked` if
  // there is no other node to follow. True: current() is another node, and likely to
  // lead.
  bool Follow(std::string_view asked, const std::string& hint);
  // The same for a node that did not answer or does not lead: if there is no hint to
  // follow, the next node becomes the current one, and false is returned.
  bool MoveOn(std::string_view asked, const std::string& hint = {});
  // `leader` surely leads, or did a moment ago.
  void Choose(const std::string& leader) { Select(leader); }

  // Adds it behind the others if it is not known. False: the list is full.
  bool Add(const std::string& node);

 private:
  bool Select(const std::string& node);

  std::vector<std::string> nodes_;
  size_t current_ = 0;  // in nodes_
};

// The pauses of one call that is repeated until a leader has answered it. An election
// takes some tenths of a second, and the first commit after it should not wait much
// longer; but many callers without a leader must not add load either.
class LeaderSearchPauses {
 public:
  static constexpr Duration kFirst = Duration::Millis(10);
  static constexpr Duration kLongest = Duration::Millis(100);

  // Before the next attempt. `likely`: what Follow or MoveOn has returned. Then there is
  // no pause, but not twice in a row: two nodes may each name the other as the leader.
  // Other pauses double.
  [[nodiscard]] Duration Next(bool likely);

 private:
  Duration pause_ = kFirst;
  bool hurried_ = false;  // there was no pause before the last attempt
};

}  // namespace concordat

#endif  // COORDINATOR_BASE_LEADER_FINDER_H_
