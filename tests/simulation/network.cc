#include "tests/simulation/network.h"

#include <algorithm>
#include <utility>

namespace concordat::simulation {

namespace {

// At most so many packets of a link are kept during a partition to arrive after it.
constexpr size_t kMaxStopped = 64;

}  // namespace

Network::Network(EventQueue* queue, uint64_t seed, Deliver deliver)
    : queue_(queue), random_(seed), deliver_(std::move(deliver)) {}

const LinkQuality& Network::QualityOf(const Link& link) const {
  const auto own = link_quality_.find(link);
  return own == link_quality_.end() ? quality_ : own->second;
}

void Network::Send(Packet packet) {
  ++statistics_.sent;
  if (filter_) {
    const Fate fate = filter_(packet);
    if (fate == Fate::kHold) {
      held_.push_back(std::move(packet));
    }
    if (fate != Fate::kDeliver) {
      return;
    }
  }
  const Link link{packet.from, packet.to};
  const LinkQuality& quality = QualityOf(link);
  if (blocked_.contains(link)) {
    ++statistics_.blocked;
    std::vector<Packet>& stopped = stopped_[link];
    if (random_.Percent(quality.held_percent) && stopped.size() < kMaxStopped) {
      stopped.push_back(std::move(packet));
    }
    return;
  }
  if (random_.Below(1000) < quality.loss_permille) {
    ++statistics_.lost;
    return;
  }
  // TCP delivers a request once, and the library's channels send it once. A client that
  // was answered "not begun" may rely on that: no copy of the request is still on its
  // way.
  const bool once = As<CommitCall>(packet) != nullptr;
  if (!once && random_.Below(1000) < quality.duplicate_permille) {
    ++statistics_.duplicated;
    Schedule(packet, quality);
  }
  Schedule(std::move(packet), quality);
}

void Network::Schedule(Packet packet, const LinkQuality& quality) {
  Timestamp arrival =
      queue_->now() + Duration::Micros(random_.Between(quality.min_delay.micros(),
                                                       quality.max_delay.micros()));
  if (random_.Below(1000) < quality.late_permille) {
    ++statistics_.late;
    arrival = arrival + Duration::Micros(random_.Between(0, quality.late_delay.micros()));
  } else if (random_.Below(1000) < quality.reorder_permille) {
    ++statistics_.reordered;
  } else {
    Timestamp& last = last_arrival_[{packet.from, packet.to}];
    arrival = std::max(arrival, last);
    last = arrival;
  }
  queue_->At(arrival, [this, sent = queue_->now(), packet = std::move(packet)] {
    if (!cut_.empty()) {
      const auto cut = cut_.find({packet.from, packet.to});
      if (cut != cut_.end() && sent <= cut->second) {
        ++statistics_.cut;
        return;
      }
    }
    deliver_(packet);
  });
}

void Network::Unblock(ProcessId from, ProcessId to) {
  if (blocked_.erase({from, to}) != 0) {
    ReleaseStopped({from, to});
  }
}

void Network::UnblockAll() {
  const std::set<Link> links = std::exchange(blocked_, {});
  for (const Link& link : links) {
    ReleaseStopped(link);
  }
}

void Network::ReleaseStopped(const Link& link) {
  const auto stopped = stopped_.find(link);
  if (stopped == stopped_.end()) {
    return;
  }
  for (Packet& packet : stopped->second) {
    ++statistics_.released;
    Schedule(std::move(packet), QualityOf(link));
  }
  stopped_.erase(stopped);
}

size_t Network::ReleaseHeld(const std::function<bool(const Packet&)>& pick) {
  std::vector<Packet> released;
  for (auto it = held_.begin(); it != held_.end();) {
    if (pick(*it)) {
      released.push_back(std::move(*it));
      it = held_.erase(it);
    } else {
      ++it;
    }
  }
  for (Packet& packet : released) {
    queue_->At(queue_->now(), [this, packet = std::move(packet)] { deliver_(packet); });
  }
  return released.size();
}

}  // namespace concordat::simulation
