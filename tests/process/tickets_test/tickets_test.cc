// A run of the example that cannot go on ends, and says why.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mysql.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "tests/support/processes.h"

namespace concordat::testing {
namespace {

using ::testing::HasSubstr;

// The socket of the example's MariaDB server, in the run's own folder.
std::string FindSocket(const std::string& dir) {
  std::error_code error;
  for (const auto& run : std::filesystem::directory_iterator(dir, error)) {
    const auto socket = run.path() / "loyalty" / "socket";
    if (std::filesystem::is_socket(socket, error)) return socket.string();
  }
  return "";
}

std::string Exec(const std::string& socket, const char* sql) {
  const std::unique_ptr<MYSQL, void (*)(MYSQL*)> session(mysql_init(nullptr),
                                                         mysql_close);
  if (mysql_real_connect(session.get(), nullptr, "root", nullptr, nullptr, 0,
                         socket.c_str(), 0) == nullptr ||
      mysql_query(session.get(), sql) != 0) {
    return mysql_error(session.get());
  }
  return "";
}

TEST(TicketsExample, TableThatStopsRollingBack_RunEndsWithTheRefusal) {
  const TempDir dir("/tmp");
  chmod(dir.path().c_str(), 0711);  // the servers' users go through it to their own
  const std::string log = dir.path() + "/out";
  Child run({"/usr/bin/env", "TMPDIR=" + dir.path(),
             ProgramDir() + "/../../../examples/tickets/tickets", "--buyers", "100",
             "--seats", "40", "--clients", "16", "--kills", "0", "--think-ms", "2000",
             "--standstill-s", "5"},
            log);
  ASSERT_TRUE(run.WaitForLine("3 coordinators, the seat service", 60)) << TextOf(log);
  const std::string socket = FindSocket(dir.path());
  ASSERT_FALSE(socket.empty());
  ASSERT_EQ(Exec(socket, "ALTER TABLE bank.earned ENGINE=Aria"), "");
  EXPECT_GT(run.WaitForExit(60), 0) << TextOf(log);
  EXPECT_THAT(TextOf(log), HasSubstr("nobody has had an answer for 5 seconds; the last "
                                     "try ended so: a statement wrote to a table whose "
                                     "engine cannot roll back"));
}

}  // namespace
}  // namespace concordat::testing
