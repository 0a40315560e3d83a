#include "tests/simulation/event_queue.h"

#include <algorithm>
#include <utility>

namespace concordat::simulation {

void EventQueue::At(Timestamp when, Action action) {
  heap_.push_back({std::max(when, now_), next_sequence_++, std::move(action)});
  std::push_heap(heap_.begin(), heap_.end(), Later);
}

bool EventQueue::RunNext() {
  if (heap_.empty()) {
    return false;
  }
  std::pop_heap(heap_.begin(), heap_.end(), Later);
  Event event = std::move(heap_.back());
  heap_.pop_back();
  now_ = event.when;
  ++executed_;
  event.action();
  return true;
}

Timestamp EventQueue::NextTime() const {
  return heap_.empty() ? Timestamp::Infinite() : heap_.front().when;
}

}  // namespace concordat::simulation
