// The options of concordat-rm: flags, or a config file with the same names.
#ifndef PARTICIPANT_DAEMON_OPTIONS_H_
#define PARTICIPANT_DAEMON_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace concordat::participant {

struct DaemonOptions {
  std::string listen;                       // host:port or unix:/path
  std::string advertise;                    // empty: the address that it listens on
  std::vector<std::string> coordinators;    // client addresses
  std::vector<std::string> resources;       // NAME=URL
  std::vector<std::string> replace_stores;  // names of resources
  std::string log_file;                     // empty: standard error
  std::string log_level = "info";           // see coordinator/base/log.h
  int64_t idle_timeout_ms = 30'000;         // see BranchTableOptions::idle_timeout
  int64_t in_doubt_inquiry_ms = 2'000;      // see BranchTableOptions::in_doubt_inquiry
  int64_t generation_interval_ms = 5'000;
};

struct ParsedOptions {
  DaemonOptions options;
  // True: the program should end at once, because help was asked for or a flag was wrong.
  // The message has been printed.
  bool exit = false;
  int exit_code = 0;  // of the program, when `exit` is true
};
[[nodiscard]] ParsedOptions ParseCommandLine(int argc, char** argv);

}  // namespace concordat::participant

#endif  // PARTICIPANT_DAEMON_OPTIONS_H_
