// A private database server of a test: what PostgresqlServer and MariadbServer share. It
// is one of examples/processes/database_server.h in a folder of its own, is ended by its
// pid, and ends with this process.
#ifndef TESTS_SUPPORT_PRIVATE_SERVER_H_
#define TESTS_SUPPORT_PRIVATE_SERVER_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "examples/processes/child_process.h"
#include "examples/processes/database_server.h"
#include "tests/support/temp_dir.h"

namespace concordat::testing {

class PrivateServer {
 public:
  PrivateServer(const PrivateServer&) = delete;
  PrivateServer& operator=(const PrivateServer&) = delete;

  void Kill();  // SIGKILL; the children of a postmaster notice it and end
  void Stop();  // a clean end: sessions are ended, prepared transactions stay
  // SIGSTOP; returns when all threads have stopped. A stopped postmaster accepts no new
  // connections.
  void Pause();
  void Resume();
  [[nodiscard]] bool running() const { return process_.has_value(); }
  // Backup() copies the data directory, replacing an earlier copy; Restore() copies it
  // back. The server must be stopped.
  void Backup() const;
  void Restore() const;

  [[nodiscard]] std::string SocketPath() const { return server_->socket(); }
  // The server's log so far.
  [[nodiscard]] std::string Log() const;
  // -1: it does not run.
  [[nodiscard]] pid_t pid() const { return process_ ? process_->pid() : -1; }

 protected:
  using Prepared = absl::StatusOr<std::unique_ptr<example::DatabaseServer>>;
  PrivateServer(Prepared prepare(const std::string& name, const std::string& folder),
                int stop_signal);
  ~PrivateServer();

  [[nodiscard]] const example::DatabaseServer& server() const { return *server_; }
  // Starts it, and returns when `accepts` holds. False: it ended before.
  [[nodiscard]] bool StartOnce(const std::vector<std::string>& more_words,
                               const std::function<bool()>& accepts);

 private:
  void End(int signal);

  const TempDir dir_;
  const int stop_signal_;
  std::unique_ptr<example::DatabaseServer> server_;
  std::optional<example::ChildProcess> process_;  // nullopt: it does not run
};

}  // namespace concordat::testing

#endif  // TESTS_SUPPORT_PRIVATE_SERVER_H_
