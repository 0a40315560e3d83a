// The simulated network. Between two processes packets may be lost, doubled, late,
// out of order, or stopped by a partition, in each direction by itself; packets that
// a partition stopped may come through long after it has healed.
//
//   Network network(&queue, seed, deliver);
//   network.SetQuality({...});            // of all links
//   network.Block(a, b);                  // one way; Block(b, a) for the other
//   network.Send(packet);
//
// A test may decide over each packet by a filter.
#ifndef TESTS_SIMULATION_NETWORK_H_
#define TESTS_SIMULATION_NETWORK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "coordinator/base/clock.h"
#include "coordinator/base/random.h"
#include "tests/simulation/event_queue.h"
#include "tests/simulation/messages.h"

namespace concordat::simulation {

struct LinkQuality {
  Duration min_delay = Duration::Micros(50);
  Duration max_delay = Duration::Micros(300);
  uint32_t loss_permille = 0;
  uint32_t duplicate_permille = 0;
  uint32_t reorder_permille = 0;  // leaves the order of the link
  uint32_t late_permille = 0;     // comes up to late_delay later
  Duration late_delay = Duration::Seconds(2);
  uint32_t held_percent = 30;  // of what a partition stops: comes when it has healed
};

enum class Fate : uint8_t { kDeliver, kDrop, kHold };

class Network {
 public:
  using Deliver = std::function<void(const Packet&)>;
  using Filter = std::function<Fate(const Packet&)>;
  struct Statistics {
    uint64_t sent = 0;
    uint64_t lost = 0;
    uint64_t duplicated = 0;
    uint64_t reordered = 0;
    uint64_t late = 0;
    uint64_t blocked = 0;
    uint64_t released = 0;
    uint64_t cut = 0;
  };

  Network(EventQueue* queue, uint64_t seed, Deliver deliver);

  void Send(Packet packet);

  void SetQuality(const LinkQuality& quality) { quality_ = quality; }
  // Of one direction of one link; goes before the quality of all.
  void SetLinkQuality(ProcessId from, ProcessId to, const LinkQuality& quality) {
    link_quality_[{from, to}] = quality;
  }
  void ResetLinkQualities() { link_quality_.clear(); }

  void Block(ProcessId from, ProcessId to) { blocked_.insert({from, to}); }
  void Unblock(ProcessId from, ProcessId to);
  // What is on the way from here to there now is lost, as what lies in the buffers of
  // a machine that goes off.
  void CutInFlight(ProcessId from, ProcessId to) { cut_[{from, to}] = queue_->now(); }
  void UnblockAll();
  [[nodiscard]] bool IsBlocked(ProcessId from, ProcessId to) const {
    return blocked_.contains({from, to});
  }

  // Asked for each packet before anything else; a null one lets all pass.
  void SetFilter(Filter filter) { filter_ = std::move(filter); }
  // Packets that the filter held.
  [[nodiscard]] const std::vector<Packet>& held() const { return held_; }
  // Delivers at once those of the held packets that the predicate picks; returns how
  // many.
  size_t ReleaseHeld(const std::function<bool(const Packet&)>& pick);
  void DropHeld() { held_.clear(); }

  [[nodiscard]] const Statistics& statistics() const { return statistics_; }

 private:
  using Link = std::pair<ProcessId, ProcessId>;

  [[nodiscard]] const LinkQuality& QualityOf(const Link& link) const;
  void Schedule(Packet packet, const LinkQuality& quality);
  void ReleaseStopped(const Link& link);

  EventQueue* queue_;
  Random random_;
  Deliver deliver_;
  Filter filter_;
  LinkQuality quality_;
  std::map<Link, LinkQuality> link_quality_;
  std::set<Link> blocked_;
  std::map<Link, Timestamp> last_arrival_;
  std::map<Link, Timestamp> cut_;                // what was sent by then is lost
  std::map<Link, std::vector<Packet>> stopped_;  // by a partition, to come later
  std::vector<Packet> held_;                     // by the filter
  Statistics statistics_;
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_NETWORK_H_
