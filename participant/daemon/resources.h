// Makes resource managers from URLs.
//
//   kv:///var/lib/bank-a                              a KV shard in that folder
//   sqlite:///var/lib/bank-b.db?schema=/etc/b.sql     a SQLite file
//   postgresql://app@db.example/bank                  a PostgreSQL database
//   mysql://app@db.example/bank                       a MariaDB database
//   mysql://app@/bank?socket=/run/mysqld/mysqld.sock  the same, by a Unix socket
//   xa:///usr/lib/libqueue.so?switch=queue_switch&work=queue_work&dir=/var/lib/queue
//                                                     a library with an X/Open switch
//
// Parameters of sqlite: schema=FILE, SQL that is run at each start (it must be
// repeatable); isolation=read-committed or serializable, for branches that do not name
// one.
//
// Parameters of postgresql: those of libpq and of ParsePostgresqlUrl. Of mysql (or
// mariadb): those of MakeMariadb and of ParseMariadbUrl.
//
// Parameters of xa: switch and work, the names of the switch and of the work function
// (participant/resources/xa/work.h); dir, a folder for the evidence; work_library, when
// the function is in another library; open and close, the strings for xa_open and
// xa_close; threads, how many branches work at once (8). In texts, % and two hexadecimal
// digits stand for a byte: %26 for &, %25 for %.
#ifndef PARTICIPANT_DAEMON_RESOURCES_H_
#define PARTICIPANT_DAEMON_RESOURCES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant {

// A specification "name=url" from the command line.
struct ResourceSpec {
  std::string name;    // of the resource
  std::string scheme;  // "kv", "sqlite", …
  std::string url;     // as it was given
  std::string path;    // up to the parameters; absolute for a file
  std::map<std::string, std::string> parameters;  // of the URL, decoded
};

// INVALID_ARGUMENT says what is wrong and what is expected.
[[nodiscard]] absl::StatusOr<ResourceSpec> ParseResourceSpec(std::string_view text);

// Opens nothing; Recover does this. INVALID_ARGUMENT: unknown scheme or parameter. Other
// errors: a schema file cannot be read.
[[nodiscard]] absl::StatusOr<std::unique_ptr<ResourceManager>> MakeResourceManager(
    const ResourceSpec& spec);

// How many files and connections the resource manager may have open at once.
[[nodiscard]] uint64_t DescriptorsOf(const ResourceSpec& spec);

}  // namespace concordat::participant

#endif  // PARTICIPANT_DAEMON_RESOURCES_H_
