// A private PostgreSQL or MariaDB server for the time of a run, from Debian's packages:
// its data in a folder of the run's, reached by a socket there and by nothing else, every
// flush made.
//
//   auto server = PreparePostgresql("postgresql-1", folder);   // makes its data
//   supervisor.Add((*server)->program());  supervisor.StartAll();
//   (*server)->RunSql("CREATE TABLE …");
//   concordat-rm --resource bank=<(*server)->url()>
//
// Started by root it runs as the user of its package, whom the folder is given to; the
// folder's own folder must let that user through.
#ifndef EXAMPLES_PROCESSES_DATABASE_SERVER_H_
#define EXAMPLES_PROCESSES_DATABASE_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/processes/supervisor.h"

namespace concordat::example {

// Main thread: it starts programs.
class DatabaseServer {
 public:
  virtual ~DatabaseServer() = default;

  // For the supervisor, under the name given.
  [[nodiscard]] virtual Program program() const = 0;
  // As concordat-rm takes it. A database of its own, empty at first.
  [[nodiscard]] virtual std::string url() const = 0;
  // Statements, in the server's own command-line client. The error has its words.
  [[nodiscard]] virtual absl::Status RunSql(const std::string& sql) = 0;
  // Transactions that are prepared, whosever they are.
  [[nodiscard]] virtual absl::StatusOr<size_t> CountPrepared() = 0;
};

// NOT_FOUND: the package is not installed, and which. INVALID_ARGUMENT: the path is too
// long for a socket. UNAVAILABLE: the data could not be made, with the program's words.
[[nodiscard]] absl::StatusOr<std::unique_ptr<DatabaseServer>> PreparePostgresql(
    const std::string& name, const std::string& folder);
[[nodiscard]] absl::StatusOr<std::unique_ptr<DatabaseServer>> PrepareMariadb(
    const std::string& name, const std::string& folder);

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_DATABASE_SERVER_H_
