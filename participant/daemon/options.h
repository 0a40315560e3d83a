// What concordat-rm is told: by flags, or by a config file with the same names.
#ifndef PARTICIPANT_DAEMON_OPTIONS_H_
#define PARTICIPANT_DAEMON_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace concordat::participant {

struct DaemonOptions {
  std::string listen;
  std::string advertise;  // empty: what it listens on
  std::vector<std::string> coordinators;
  std::vector<std::string> resources;       // NAME=URL
  std::vector<std::string> replace_stores;  // names of resources
  std::string log_file;
  std::string log_level = "info";
  int64_t idle_timeout_ms = 30'000;
  int64_t in_doubt_inquiry_ms = 2'000;
  int64_t generation_interval_ms = 5'000;
};

struct ParsedOptions {
  DaemonOptions options;
  // Set when the program should end at once: help was asked for, or the words were
  // wrong (and the message has been printed).
  bool exit = false;
  int exit_code = 0;
};
[[nodiscard]] ParsedOptions ParseCommandLine(int argc, char** argv);

}  // namespace concordat::participant

#endif  // PARTICIPANT_DAEMON_OPTIONS_H_
