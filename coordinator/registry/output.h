// What the registry wants done, and the events that it reports.
#ifndef COORDINATOR_REGISTRY_OUTPUT_H_
#define COORDINATOR_REGISTRY_OUTPUT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/base/clock.h"
#include "coordinator/registry/reply.h"

namespace concordat::registry {

enum class EventKind : uint8_t {
  kChanged,  // a resource was registered, changed or retired
  kRefused,  // a registration was refused, for a reason that is not that of the last one
};

struct Event {
  Timestamp time;
  EventKind kind = EventKind::kChanged;
  std::string detail;  // kChanged: Describe(record). kRefused: the reason
};

struct Output {
  std::vector<std::string> proposals;  // encoded records, to be appended in this order
  std::vector<Answer> answers;
  std::vector<Event> events;
};

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_OUTPUT_H_
