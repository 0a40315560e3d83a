// A server sends a row as fast as it can, or byte by byte. With TCP on one machine,
// PQconsumeInput alone reads the whole of such a row in one call.
#include "participant/resources/postgresql/paced_read.h"

#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"

namespace concordat::participant::postgresql {
namespace {

constexpr int kKernelBuffer = 256 << 10;

std::string Number(uint32_t number) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) {
    bytes.push_back(static_cast<char>(number >> shift));
  }
  return bytes;
}
// A message of the protocol (PostgreSQL 15 manual, 55.7) without its last `more` bytes.
std::string Head(char type, const std::string& body, uint32_t more = 0) {
  const auto size = static_cast<uint32_t>(body.size() + 4 + more);
  return std::string(1, type) + Number(size) + body;
}

// Answers the start of one session, and then any message with one row that has one column
// of `size` bytes, sent in pieces of `piece` bytes.
class OneRowServer {
 public:
  OneRowServer(uint32_t size, size_t piece)
      : size_(size), piece_(piece), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener_, any, length), 0);
    EXPECT_EQ(getsockname(listener_, any, &length), 0);
    EXPECT_EQ(listen(listener_, 1), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~OneRowServer() {
    thread_.join();
    close(listener_);
  }
  [[nodiscard]] std::string Url() const {
    return absl::StrCat("postgresql://u@127.0.0.1:", port_,
                        "/d?sslmode=disable&gssencmode=disable");
  }
  [[nodiscard]] int64_t sent() const { return sent_; }

 private:
  void Serve() {
    const int fd = accept(listener_, nullptr, nullptr);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kKernelBuffer, sizeof(kKernelBuffer));
    char request[4096];
    EXPECT_GT(recv(fd, request, sizeof(request), 0), 0);
    Send(fd, Head('R', Number(0)) + Head('Z', "I"));
    EXPECT_GT(recv(fd, request, sizeof(request), 0), 0);
    const std::string one("\0\1", 2);
    // Of table 0, column 0, type 25, of any length and modifier, as text.
    const std::string column = std::string("c\0", 2) + Number(0) + std::string(2, '\0') +
                               Number(25) + std::string(6, '\xff') + std::string(2, '\0');
    Send(fd, Head('T', one + column) + Head('D', one + Number(size_), size_));
    const std::string piece(piece_, 'x');
    for (size_t left = size_; left > 0;) {
      const size_t now = std::min(left, piece_);
      if (!Send(fd, piece.substr(0, now))) break;
      left -= now;
    }
    Send(fd, Head('C', std::string("SELECT 1\0", 9)) + Head('Z', "I"));
    close(fd);
  }
  bool Send(int fd, const std::string& bytes) {
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t now = send(fd, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (now <= 0) return false;
      at += static_cast<size_t>(now);
      sent_ += now;
    }
    return true;
  }

  const uint32_t size_;
  const size_t piece_;
  const int listener_;
  uint16_t port_ = 0;
  std::atomic<int64_t> sent_{0};
  std::thread thread_;
};

// Sends a query, and reads until the whole answer has come or `limit` bytes of it were
// read. Returns the length of the longest value.
size_t ReadAnswer(PGconn* pg, int64_t limit, int64_t* taken) {
  EXPECT_EQ(PQsendQuery(pg, "SELECT"), 1);
  EXPECT_EQ(PQflush(pg), 0);
  PacedRead read;
  size_t longest = 0;
  while (*taken <= limit) {
    pollfd wait{PQsocket(pg), POLLIN, 0};
    EXPECT_EQ(poll(&wait, 1, 60'000), 1);
    const int64_t before = *taken;
    EXPECT_TRUE(read.Consume(pg, taken)) << read.error() << PQerrorMessage(pg);
    EXPECT_LE(*taken - before, PacedRead::kStep);
    while (PQisBusy(pg) == 0) {
      PGresult* result = PQgetResult(pg);
      if (result == nullptr) return longest;
      if (PQntuples(result) == 1) {
        longest = static_cast<size_t>(PQgetlength(result, 0, 0));
      }
      PQclear(result);
    }
  }
  return longest;
}

TEST(PacedReadTest, Scenario96_ServerAsFastAsItCan_SendsNoMoreThanIsTaken) {
  constexpr int64_t kLimit = 1 << 20;
  OneRowServer server(200'000'000, 1 << 20);
  PGconn* pg = PQconnectdb(server.Url().c_str());
  ASSERT_EQ(PQstatus(pg), CONNECTION_OK) << PQerrorMessage(pg);
  PQsetnonblocking(pg, 1);
  setsockopt(PQsocket(pg), SOL_SOCKET, SO_RCVBUF, &kKernelBuffer, sizeof(kKernelBuffer));
  int64_t taken = 0;
  EXPECT_EQ(ReadAnswer(pg, kLimit, &taken), 0u);
  // The kernel's buffers between the two come on top.
  EXPECT_LT(server.sent(), kLimit + (8 << 20));
  PQfinish(pg);
}

TEST(PacedReadTest, AnyPieces_TheAnswerIsWhole) {
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{100'000}}) {
    const uint32_t size = piece == 1 ? 40'000 : 300'000;
    OneRowServer server(size, piece);
    PGconn* pg = PQconnectdb(server.Url().c_str());
    ASSERT_EQ(PQstatus(pg), CONNECTION_OK) << PQerrorMessage(pg);
    PQsetnonblocking(pg, 1);
    int64_t taken = 0;
    EXPECT_EQ(ReadAnswer(pg, 1 << 30, &taken), size) << piece;
    EXPECT_GT(taken, size);
    PQfinish(pg);
  }
}

}  // namespace
}  // namespace concordat::participant::postgresql
