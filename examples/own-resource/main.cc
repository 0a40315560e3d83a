// The process of the seat service:
//
//   seats --coordinators 127.0.0.1:7001 --listen 127.0.0.1:7080 --data-dir /var/lib/seats
//
// It has two stores, which belong together: seats.db is the service's own, branches/ is
// the SDK's log of requests and promises. It stops on SIGTERM, and may be killed at any
// time.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "coordinator/base/log.h"
#include "examples/own-resource/seat_service.h"
#include "participant/resources/service/serve.h"
#include "participant/resources/service/service_resource_manager.h"

namespace {

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "seats: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  namespace service = concordat::participant::service;
  service::ServeOptions serve;
  serve.listen = "127.0.0.1:0";
  std::string data_dir;
  std::string name = "seats";
  CLI::App app("seats: a seat reservation service that takes part in transactions");
  app.add_option("--coordinators", serve.coordinators, "Client addresses")
      ->delimiter(',')
      ->required();
  app.add_option("--listen", serve.listen, "host:port, as others reach it")
      ->capture_default_str();
  app.add_option("--data-dir", data_dir, "Folder of the stores, made if missing")
      ->required();
  app.add_option("--name", name, "The resource's name")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  concordat::LogOptions log;
  log.process_name = "seats";
  if (absl::Status s = concordat::InitLogging(log); !s.ok()) return Fail(s);

  std::error_code error;
  std::filesystem::create_directories(data_dir, error);
  auto seats = concordat::example::SeatService::Open(data_dir + "/seats.db");
  if (!seats.ok()) return Fail(seats.status());

  service::ServiceOptions options;
  options.kind = "seats";
  std::vector<service::Resource> resources;
  resources.push_back({name, std::make_unique<service::ServiceResourceManager>(
                                 data_dir + "/branches", *std::move(seats), options)});
  const absl::Status end =
      service::Serve(std::move(serve), std::move(resources), [](const std::string& at) {
        std::printf("seats ready on %s\n", at.c_str());
        std::fflush(stdout);
      });
  return end.ok() ? 0 : Fail(end);
}
