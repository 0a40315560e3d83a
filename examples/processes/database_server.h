// A private PostgreSQL or MariaDB server from Debian's packages for the time of a run.
// Its data and its only socket are in a folder of the run, and it makes every flush.
//
//   auto server = PreparePostgresql("postgresql-1", folder);   // creates its data
//   supervisor.Add((*server)->program());
//   absl::Status started = supervisor.StartAll();
//   absl::Status made = (*server)->RunSql("CREATE TABLE …");
//   std::string resource = "bank=" + (*server)->url();         // for concordat-rm
//
// When root starts it, it runs as the user of its package, who then owns the folder. That
// user must be able to pass through the parent folder.
#ifndef EXAMPLES_PROCESSES_DATABASE_SERVER_H_
#define EXAMPLES_PROCESSES_DATABASE_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/processes/supervisor.h"

namespace concordat::example {

// For the main thread, because it starts programs.
class DatabaseServer {
 public:
  virtual ~DatabaseServer() = default;

  // For the supervisor, with the name that was given.
  [[nodiscard]] virtual Program program() const = 0;
  // The path of its socket, and of the folder of its data. Both are the same for life.
  [[nodiscard]] virtual std::string socket() const = 0;
  [[nodiscard]] virtual std::string data() const = 0;
  // The URL for concordat-rm, of the database of RunSql, which is empty at first.
  [[nodiscard]] std::string url() const { return UrlOf(database()); }
  [[nodiscard]] virtual std::string UrlOf(const std::string& database) const = 0;
  // Runs statements with the server's own command-line client. The error has its output.
  [[nodiscard]] virtual absl::Status RunSql(const std::string& sql) = 0;
  // The number of all prepared transactions at the server.
  [[nodiscard]] virtual absl::StatusOr<size_t> CountPrepared() = 0;

 protected:
  [[nodiscard]] virtual std::string database() const = 0;
};

// NOT_FOUND: a package is not installed; the message names it.
[[nodiscard]] absl::Status CheckPostgresqlInstalled();
[[nodiscard]] absl::Status CheckMariadbInstalled();

// Create the server's data in <folder>/<name>. NOT_FOUND: as above. INVALID_ARGUMENT: the
// path is too long for a socket. UNAVAILABLE: the data could not be created; the message
// has the program's output.
[[nodiscard]] absl::StatusOr<std::unique_ptr<DatabaseServer>> PreparePostgresql(
    const std::string& name, const std::string& folder);
[[nodiscard]] absl::StatusOr<std::unique_ptr<DatabaseServer>> PrepareMariadb(
    const std::string& name, const std::string& folder);

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_DATABASE_SERVER_H_
