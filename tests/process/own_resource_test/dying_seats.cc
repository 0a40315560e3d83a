// The example's seat service, which dies at a step:
//   dying-seats COORDINATORS LISTEN DATA_DIR STEP
#include <cstdio>
#include <filesystem>
#include <vector>

#include "absl/strings/str_split.h"
#include "coordinator/base/log.h"
#include "examples/own-resource/seat_service.h"
#include "participant/resources/service/serve.h"
#include "participant/resources/service/service_resource_manager.h"
#include "tests/process/own_resource_test/dying_service.h"

int main(int argc, char** argv) {
  namespace service = concordat::participant::service;
  if (argc != 5) return 64;
  (void)concordat::InitLogging(concordat::LogOptions());
  const std::string dir = argv[3];
  std::filesystem::create_directories(dir);
  auto seats = concordat::example::SeatService::Open(dir + "/seats.db");
  if (!seats.ok()) return 1;
  service::ServeOptions options;
  options.coordinators = absl::StrSplit(argv[1], ',');
  options.listen = argv[2];
  options.participant.branches.in_doubt_inquiry = concordat::Duration::Millis(300);
  std::vector<service::Resource> resources;
  resources.push_back(
      {"seats", std::make_unique<service::ServiceResourceManager>(
                    dir + "/branches", std::make_unique<concordat::testing::DyingService>(
                                           *std::move(seats), argv[4]))});
  const absl::Status end =
      service::Serve(std::move(options), std::move(resources), [](const std::string& at) {
        std::printf("seats ready on %s\n", at.c_str());
        std::fflush(stdout);
      });
  if (!end.ok()) std::fprintf(stderr, "%s\n", end.ToString().c_str());
  return end.ok() ? 0 : 1;
}
