// The simulated network. In each direction of a link, packets may be lost, duplicated,
// late, out of order, or stopped by a partition. Packets that a partition stopped may
// arrive long after it has healed.
//
//   Network network(&queue, seed, deliver);
//   network.SetQuality({...});            // of all links
//   network.Block(a, b);                  // one way; Block(b, a) for the other
//   network.Send(packet);
//
// A test may decide about each packet with a filter.
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
  uint32_t reorder_permille = 0;  // arrives out of order
  uint32_t late_permille = 0;     // arrives up to late_delay later
  Duration late_delay = Duration::Seconds(2);
  uint32_t held_percent = 30;  // of packets that a partition stops: arrive later
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
  // Sets the quality of one direction of one link, instead of that of all links.
  void SetLinkQuality(ProcessId from, ProcessId to, const LinkQuality& quality) {
    link_quality_[{from, to}] = quality;
  }
  void ResetLinkQualities() { link_quality_.clear(); }

  void Block(ProcessId from, ProcessId to) { blocked_.insert({from, to}); }
  void Unblock(ProcessId from, ProcessId to);
  // Loses all packets that are on their way from `from` to `to`, like those in the
  // buffers of a machine that loses power.
  void CutInFlight(ProcessId from, ProcessId to) { cut_[{from, to}] = queue_->now(); }
  void UnblockAll();
  [[nodiscard]] bool IsBlocked(ProcessId from, ProcessId to) const {
    return blocked_.contains({from, to});
  }

  // The filter is called for each packet first; a null filter lets all pass.
  void SetFilter(Filter filter) { filter_ = std::move(filter); }
  // Packets that the filter held.
  [[nodiscard]] const std::vector<Packet>& held() const { return held_; }
  // Delivers the held packets that the predicate picks at once; returns how many.
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
  std::map<Link, Timestamp> cut_;                // packets sent before this time are lost
  std::map<Link, std::vector<Packet>> stopped_;  // by a partition; arrive after it
  std::vector<Packet> held_;                     // by the filter
  Statistics statistics_;
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_NETWORK_H_
