// The process of a service. Serve runs resource managers for the coordinators and clients
// on a loop of its own until the process is told to end. Call it from your main():
//
//   int main() {
//     std::vector<service::Resource> resources;
//     resources.push_back({"seats", std::make_unique<service::ServiceResourceManager>(
//         "/var/lib/seats/branches", std::make_unique<SeatService>())});
//     absl::Status end = service::Serve(
//         {.listen = "10.0.0.9:7080", .coordinators = {"10.0.0.1:7001"}},
//         std::move(resources), [](const std::string& address) { … });
//     return end.ok() ? 0 : 1;
//   }
//
// A service that has a loop of its own uses participant/sdk/participant.h instead.
#ifndef PARTICIPANT_RESOURCES_SERVICE_SERVE_H_
#define PARTICIPANT_RESOURCES_SERVICE_SERVE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "participant/sdk/participant.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant::service {

struct Resource {
  // Its name in the cluster, which never changes: see IsValidResourceName.
  std::string name;
  std::unique_ptr<ResourceManager> manager;
};

struct ServeOptions {
  std::string listen;       // host:port (port 0: the system chooses) or unix:/path
  std::string advertise{};  // how others reach it, if by another address; otherwise empty
  std::vector<std::string> coordinators;  // client addresses of all coordinators
  ParticipantOptions participant{};       // its `advertise` is not used
};

// Returns OK after SIGTERM or SIGINT, when everything is closed. Waits for a coordinator
// for as long as it takes. `ready` is called on another thread with the address, once
// everything is served. Serve must be called from main before other threads are started,
// since it blocks both signals. kill -9 is safe too: nothing that was promised is lost.
//   INVALID_ARGUMENT: a bad address or name
//   ALREADY_EXISTS: another process listens on the address
//   others: a resource cannot be opened; the message says which, why, and what to do
[[nodiscard]] absl::Status Serve(ServeOptions options, std::vector<Resource> resources,
                                 std::function<void(const std::string&)> ready);

}  // namespace concordat::participant::service

#endif  // PARTICIPANT_RESOURCES_SERVICE_SERVE_H_
