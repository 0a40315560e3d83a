// What is checked of a server: it must be a MariaDB of a recent version, and not a node
// of Galera. Also TLS over TCP, with certificates that the test makes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/processes.h"
#include "tests/unit/mariadb/support.h"

namespace concordat::participant {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ServerTest : public MariadbTest {
 protected:
  ~ServerTest() override { UseServerAsItIs(&SharedServer()); }

  // The message with which the URL is refused. A connection that fails is tried again for
  // start_patience.
  std::string Refusal(const std::string& url) {
    MariadbOptions options = Options();
    options.start_patience = Duration::Millis(500);
    const absl::Status status = TryOpenAt(url, std::move(options)).status();
    EXPECT_FALSE(status.ok());
    return std::string(status.message());
  }
};

// MariaDB can report another version, as it does for replication. Connector/C recognizes
// MySQL by the same text.
TEST_F(ServerTest, AnotherVersionOrMysql_IsRefused) {
  for (const char* version : {"10.10.7-MariaDB", "8.0.33"}) {
    testing::MariadbServerOptions options;
    options.settings = {absl::StrCat("--version=", version)};
    testing::MariadbServer own(options);
    UseServer(&own);
    EXPECT_THAT(Refusal(Url()), AllOf(HasSubstr(absl::StrCat("the server is ", version)),
                                      HasSubstr("MariaDB 10.11 or later is needed")));
    UseServerAsItIs(&SharedServer());
  }
}

TEST_F(ServerTest, GaleraNode_IsRefused) {
  testing::MariadbServerOptions options;
  options.settings = {"--wsrep-on=ON", "--binlog-format=ROW"};
  testing::MariadbServer own(options);
  UseServer(&own);
  EXPECT_THAT(Refusal(Url()), HasSubstr("wsrep_on=OFF"));
  UseServerAsItIs(&SharedServer());
}

// A server on TCP has a certificate for 127.0.0.1, from an authority that the test makes.
class TlsTest : public ServerTest {
 protected:
  TlsTest() : dir_("/tmp"), port_(testing::FreePort()) {
    // The server's user reads them.
    chmod(dir_.path().c_str(), 0755);
    MakeAuthority("ca");
    MakeAuthority("stranger");
    MakeCertificate("server", "127.0.0.1");
    MakeCertificate("other", "other.example");
    StartServer("server");
  }

  void StartServer(const std::string& certificate) {
    testing::MariadbServerOptions options;
    options.settings = {"--skip-networking=0",
                        "--bind-address=127.0.0.1",
                        absl::StrCat("--port=", port_),
                        "--ssl-ca=" + File("ca.pem"),
                        "--ssl-cert=" + File(certificate + ".pem"),
                        "--ssl-key=" + File(certificate + ".key")};
    UseServerAsItIs(&SharedServer());
    own_.reset();  // it uses the port
    own_ = std::make_unique<testing::MariadbServer>(options);
    UseServer(own_.get());
    Sql("CREATE USER tls@'127.0.0.1' REQUIRE SSL; GRANT ALL ON *.* TO tls@'127.0.0.1';"
        "GRANT concordat_rm TO tls@'127.0.0.1'");
  }
  ~TlsTest() override { UseServerAsItIs(&SharedServer()); }

  [[nodiscard]] std::string File(const std::string& name) const {
    return dir_.path() + "/" + name;
  }
  [[nodiscard]] std::string Tcp(const std::string& parameters) const {
    return absl::StrCat("mysql://tls@127.0.0.1:", port_, "/", Database(), parameters);
  }

 private:
  void Openssl(const std::vector<std::string>& words) {
    std::vector<std::string> all = {"/usr/bin/openssl"};
    all.insert(all.end(), words.begin(), words.end());
    testing::Child openssl(all, File("openssl.out"));
    ASSERT_EQ(openssl.WaitForExit(60), 0) << words[0];
  }
  void MakeAuthority(const std::string& name) {
    Openssl({"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
             "/CN=" + name, "-keyout", File(name + ".key"), "-out", File(name + ".pem")});
  }
  void MakeCertificate(const std::string& name, const std::string& host) {
    Openssl({"req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + host, "-keyout",
             File(name + ".key"), "-out", File(name + ".csr")});
    Openssl({"x509", "-req", "-days", "2", "-in", File(name + ".csr"), "-CA",
             File("ca.pem"), "-CAkey", File("ca.key"), "-CAcreateserial", "-out",
             File(name + ".pem")});
    chmod(File(name + ".key").c_str(), 0644);
  }

  testing::TempDir dir_;
  const uint16_t port_;
  std::unique_ptr<testing::MariadbServer> own_;
};

TEST_F(TlsTest, KnownAuthority_IsVerifiedAndServed) {
  OpenAt(Tcp("?tls=verify&tls_ca=" + File("ca.pem")));
  EXPECT_EQ(Commit(BeginAndPrepare("UPDATE account SET balance=1 WHERE id=1")).state,
            FinishState::kDone);
  Close();
  // The user may not log in without TLS, so TLS was used.
  EXPECT_THAT(Refusal(Tcp("")), HasSubstr("1045"));
}

TEST_F(TlsTest, AnotherAuthority_IsRefusedWithWhatToDo) {
  for (const char* ca : {"stranger.pem", "nowhere.pem"}) {
    EXPECT_THAT(Refusal(Tcp("?tls_ca=" + File(ca))),
                AllOf(HasSubstr("2026"), HasSubstr("tls_ca")))
        << ca;
  }
}

TEST_F(TlsTest, CertificateOfAnotherHost_IsRefusedUnlessToldNotToVerify) {
  StartServer("other");
  const std::string url = Tcp("?tls_ca=" + File("ca.pem"));
  EXPECT_THAT(Refusal(url), AllOf(HasSubstr("2026"), HasSubstr("tls_ca")));
  OpenAt(url + "&tls=no-verify");
  Close();
}

}  // namespace
}  // namespace concordat::participant
