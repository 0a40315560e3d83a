// Resource managers by URL.
//
//   kv:///var/lib/bank-a                              a KV shard in that folder
//   sqlite:///var/lib/bank-b.db?schema=/etc/b.sql     a SQLite file
//   postgresql://app@db.example/bank                  a PostgreSQL database
//   mysql://app@db.example/bank                       a MariaDB database
//   mysql://app@/bank?socket=/run/mysqld/mysqld.sock  the same, by a Unix socket
//   xa:///usr/lib/libqueue.so?switch=queue_switch&work=queue_work&dir=/var/lib/queue
//                                                     what exports an X/Open switch
//
// Parameters of sqlite: schema=FILE, SQL that is run at each start (make it repeatable);
// isolation=read-committed or serializable, for branches that name none.
//
// Parameters of postgresql: libpq's own, and those of ParsePostgresqlUrl. Of mysql (or
// mariadb): those of MakeMariadb and of ParseMariadbUrl.
//
// Parameters of xa: switch and work, the names of the switch and of the work function
// (participant/resources/xa/work.h); dir, a folder for the evidence; work_library, when
// the function is in another library; open and close, the strings that xa_open and
// xa_close get; threads, how many branches work at once (8). % and two hexadecimal digits
// stand for a byte in texts: %26 for &, %25 for %.
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

// "name=url" as it is given on the command line.
struct ResourceSpec {
  std::string name;
  std::string scheme;
  std::string url;   // as it was given
  std::string path;  // up to the parameters; absolute where it is a file's
  std::map<std::string, std::string> parameters;
};

// INVALID_ARGUMENT, saying what is wrong and what is wanted.
[[nodiscard]] absl::StatusOr<ResourceSpec> ParseResourceSpec(std::string_view text);

// Opens nothing yet: that is Recover's part. INVALID_ARGUMENT: unknown scheme or
// parameter; others: a schema file that cannot be read.
[[nodiscard]] absl::StatusOr<std::unique_ptr<ResourceManager>> MakeResourceManager(
    const ResourceSpec& spec);

// How many files and connections it may have open at once.
[[nodiscard]] uint64_t DescriptorsOf(const ResourceSpec& spec);

}  // namespace concordat::participant

#endif  // PARTICIPANT_DAEMON_RESOURCES_H_
