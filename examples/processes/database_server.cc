#include "examples/processes/database_server.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace concordat::example {

namespace {

constexpr char kPostgresqlBin[] = "/usr/lib/postgresql/15/bin/";
constexpr char kPsql[] = "/usr/bin/psql";
constexpr char kMariadbd[] = "/usr/sbin/mariadbd";
constexpr char kMariadbInstall[] = "/usr/bin/mariadb-install-db";
constexpr char kMariadb[] = "/usr/bin/mariadb";
constexpr Duration kRunLimit = Duration::Seconds(60);

// The folder of a server, and the user as whom it runs.
class Place {
 public:
  // `user` is the package's user. Only root can start a program as another user.
  Place(std::string name, const std::string& folder, std::string user)
      : name_(std::move(name)), path_(absl::StrCat(folder, "/", name_)) {
    if (geteuid() == 0) user_ = std::move(user);
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string data() const { return path_ + "/data"; }
  [[nodiscard]] std::string log() const { return path_ + ".out"; }

  absl::Status Make(const std::string& socket) const {
    if (socket.size() >= sizeof(sockaddr_un::sun_path)) {
      return absl::InvalidArgumentError(absl::StrCat(
          socket, " is too long for the path of a socket (at most ",
          sizeof(sockaddr_un::sun_path) - 1, " bytes); set TMPDIR to a shorter one"));
    }
    if (mkdir(path_.c_str(), 0700) != 0) return Failed("make");
    if (user_.empty()) return absl::OkStatus();
    const passwd* user = getpwnam(user_.c_str());
    if (user == nullptr) {
      return absl::NotFoundError(absl::StrCat("there is no user ", user_));
    }
    if (chown(path_.c_str(), user->pw_uid, user->pw_gid) != 0) return Failed("give away");
    return absl::OkStatus();
  }

  // Runs `words` as the server's user. The change of user clears the parent-death signal,
  // so it is set again afterwards.
  [[nodiscard]] std::vector<std::string> As(std::vector<std::string> words,
                                            const std::string& death_signal) const {
    if (user_.empty()) return words;
    std::vector<std::string> all = {"/usr/bin/setpriv", "--reuid=" + user_,
                                    "--regid=" + user_, "--init-groups",
                                    "--pdeathsig=" + death_signal};
    all.insert(all.end(), words.begin(), words.end());
    return all;
  }

 private:
  [[nodiscard]] absl::Status Failed(const std::string& what) const {
    return absl::UnavailableError(
        absl::StrCat("cannot ", what, " ", path_, ": ", strerror(errno)));
  }

  const std::string name_;
  const std::string path_;
  std::string user_;
};

absl::Status CheckInstalled(const std::vector<std::string>& programs,
                            const std::string& package) {
  for (const std::string& program : programs) {
    if (access(program.c_str(), X_OK) == 0) continue;
    return absl::NotFoundError(absl::StrCat(program, " is not there: install ", package,
                                            " (tests/setup.sh --databases does)"));
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> CountLines(const absl::StatusOr<std::string>& output) {
  if (!output.ok()) return output.status();
  const std::vector<std::string> lines =
      absl::StrSplit(*output, '\n', absl::SkipWhitespace());
  return lines.size();
}

std::string Bin(const std::string& program) { return kPostgresqlBin + program; }

class Postgresql final : public DatabaseServer {
 public:
  Postgresql(const std::string& name, const std::string& folder)
      : place_(name, folder, "postgres") {}

  absl::Status Prepare() {
    absl::Status status = CheckPostgresqlInstalled();
    if (status.ok()) status = place_.Make(socket());
    if (!status.ok()) return status;
    status = RunProgram(place_.As({Bin("initdb"), "-D", place_.data(), "-A", "trust",
                                   "-U", "postgres", "-E", "UTF8", "--locale=C",
                                   "--no-instructions", "--no-sync"},
                                  "KILL"),
                        place_.log(), kRunLimit)
                 .status();
    if (!status.ok()) return status;
    std::ofstream conf(place_.data() + "/postgresql.conf", std::ios::app);
    conf << "\nlisten_addresses = ''\nunix_socket_directories = '" << place_.path()
         << "'\nmax_prepared_transactions = 256\n";
    conf.close();
    return conf ? absl::OkStatus() : absl::UnavailableError("cannot write its settings");
  }

  Program program() const override {
    Program program;
    program.name = place_.name();
    program.words = place_.As({Bin("postgres"), "-D", place_.data()}, "QUIT");
    program.output = place_.log();
    program.ready = "database system is ready to accept connections";
    program.serves_others = true;
    program.end_signal = SIGQUIT;
    return program;
  }

  std::string socket() const override { return place_.path() + "/.s.PGSQL.5432"; }
  std::string data() const override { return place_.data(); }

  std::string UrlOf(const std::string& database) const override {
    return absl::StrCat("postgresql://postgres@",
                        absl::StrReplaceAll(place_.path(), {{"/", "%2F"}}), "/",
                        database);
  }

  absl::Status RunSql(const std::string& sql) override { return Psql(sql).status(); }

  absl::StatusOr<size_t> CountPrepared() override {
    return CountLines(Psql("SELECT gid FROM pg_prepared_xacts"));
  }

 private:
  std::string database() const override { return "postgres"; }

  absl::StatusOr<std::string> Psql(const std::string& sql) const {
    return RunProgram({kPsql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h",
                       place_.path(), "-U", "postgres", "-c", sql},
                      place_.path() + ".client.out", kRunLimit);
  }

  const Place place_;
};

class Mariadb final : public DatabaseServer {
 public:
  Mariadb(const std::string& name, const std::string& folder)
      : place_(name, folder, "mysql") {}

  absl::Status Prepare() {
    absl::Status status = CheckMariadbInstalled();
    if (status.ok()) status = place_.Make(socket());
    if (!status.ok()) return status;
    return RunProgram(
               place_.As({kMariadbInstall, "--no-defaults", "--datadir=" + place_.data(),
                          "--auth-root-authentication-method=normal", "--skip-test-db",
                          "--tmpdir=" + place_.path()},
                         "KILL"),
               place_.log(), kRunLimit)
        .status();
  }

  // At its start a server removes what is in its folder for temporary tables, so servers
  // must not share one.
  Program program() const override {
    Program program;
    program.name = place_.name();
    program.words = place_.As(
        {kMariadbd, "--no-defaults", "--skip-networking", "--datadir=" + place_.data(),
         "--socket=" + socket(), "--pid-file=" + place_.path() + "/pid",
         "--tmpdir=" + place_.path(), "--max-connections=200"},
        "KILL");
    program.output = place_.log();
    program.ready = "ready for connections";
    program.serves_others = true;
    return program;
  }

  std::string socket() const override { return place_.path() + "/socket"; }
  std::string data() const override { return place_.data(); }

  std::string UrlOf(const std::string& database) const override {
    return absl::StrCat("mysql://root@/", database, "?socket=", socket());
  }

  absl::Status RunSql(const std::string& sql) override {
    return Client(absl::StrCat("CREATE DATABASE IF NOT EXISTS ", database(), "; USE ",
                               database(), "; ", sql))
        .status();
  }

  absl::StatusOr<size_t> CountPrepared() override {
    return CountLines(Client("XA RECOVER"));
  }

 private:
  std::string database() const override { return "bank"; }

  absl::StatusOr<std::string> Client(const std::string& sql) const {
    return RunProgram({kMariadb, "--no-defaults", "--socket=" + socket(), "--user=root",
                       "--batch", "--skip-column-names", "-e", sql},
                      place_.path() + ".client.out", kRunLimit);
  }

  const Place place_;
};

template <class Server>
absl::StatusOr<std::unique_ptr<DatabaseServer>> Prepare(const std::string& name,
                                                        const std::string& folder) {
  auto server = std::make_unique<Server>(name, folder);
  if (absl::Status s = server->Prepare(); !s.ok()) {
    return absl::Status(s.code(), absl::StrCat(name, ": ", s.message()));
  }
  return server;
}

}  // namespace

absl::Status CheckPostgresqlInstalled() {
  return CheckInstalled({Bin("initdb"), Bin("postgres"), kPsql}, "postgresql-15");
}

absl::Status CheckMariadbInstalled() {
  return CheckInstalled({kMariadbInstall, kMariadbd, kMariadb}, "mariadb-server");
}

absl::StatusOr<std::unique_ptr<DatabaseServer>> PreparePostgresql(
    const std::string& name, const std::string& folder) {
  return Prepare<Postgresql>(name, folder);
}

absl::StatusOr<std::unique_ptr<DatabaseServer>> PrepareMariadb(
    const std::string& name, const std::string& folder) {
  return Prepare<Mariadb>(name, folder);
}

}  // namespace concordat::example
