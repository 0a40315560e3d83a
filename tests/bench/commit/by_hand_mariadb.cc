#include <mysql.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "tests/bench/commit/by_hand.h"

namespace concordat::bench {

namespace {

// One connection, which takes several statements in one request.
class MariadbSession {
 public:
  explicit MariadbSession(const std::string& socket) : mysql_(mysql_init(nullptr)) {
    CONCORDAT_CHECK(mysql_real_connect(mysql_, nullptr, "root", nullptr, "bank", 0,
                                       socket.c_str(),
                                       CLIENT_MULTI_STATEMENTS) != nullptr)
        << mysql_error(mysql_);
  }
  ~MariadbSession() { mysql_close(mysql_); }
  MariadbSession(const MariadbSession&) = delete;
  MariadbSession& operator=(const MariadbSession&) = delete;

  void Send(const std::string& sql) {
    CONCORDAT_CHECK(mysql_send_query(mysql_, sql.data(), sql.size()) == 0)
        << mysql_error(mysql_);
  }
  void Await() {
    CONCORDAT_CHECK(mysql_read_query_result(mysql_) == 0) << mysql_error(mysql_);
    while (mysql_more_results(mysql_) != 0) {
      CONCORDAT_CHECK(mysql_next_result(mysql_) == 0) << mysql_error(mysql_);
    }
  }

 private:
  MYSQL* const mysql_;
};

class MariadbClient final : public HandClient {
 public:
  MariadbClient(const ByHand& words, size_t client)
      : client_(client), first_(words.urls[0]), second_(words.urls[1]) {}

  void Prepare(uint64_t number, const std::string& first_account,
               const std::string& second_account) override {
    name_ = absl::StrCat("'by-hand-", client_, "-", number, "'");
    Begin(&first_, -1, first_account);
    Begin(&second_, 1, second_account);
    first_.Await();
    second_.Await();
  }
  void Commit() override {
    for (MariadbSession* session : {&first_, &second_})
      session->Send("XA COMMIT " + name_);
    first_.Await();
    second_.Await();
  }

 private:
  void Begin(MariadbSession* session, int delta, const std::string& account) {
    session->Send(
        absl::StrCat("XA START ", name_, ";UPDATE accounts SET balance=balance+", delta,
                     " WHERE id='", account, "';XA END ", name_, ";XA PREPARE ", name_));
  }

  const size_t client_;
  MariadbSession first_;
  MariadbSession second_;
  std::string name_;
};

}  // namespace

Figures RunMariadbByHand(const ByHand& words) {
  return RunByHand(words, [&words](size_t client) {
    return std::make_unique<MariadbClient>(words, client);
  });
}

}  // namespace concordat::bench
