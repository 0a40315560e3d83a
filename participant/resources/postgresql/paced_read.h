// Lets libpq read a long answer in steps.
//
// PQconsumeInput reads on as long as the server sends as fast as it reads, and its buffer
// is as large as the row that it has seen the beginning of: a row that is to be cut off
// at a limit may be in memory whole when the call returns. So while an answer is coming
// that did not come in one piece, libpq is given a socket of ours in the place of the
// server's, for the time of the call, with one step of the server's bytes in it. What TLS
// does with them is libpq's, as ever.
//
// For one connection, on the thread that uses it.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_PACED_READ_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_PACED_READ_H_

#include <libpq-fe.h>

#include <cstdint>
#include <string>

namespace concordat::participant::postgresql {

class PacedRead {
 public:
  static constexpr int64_t kStep = 64 << 10;

  PacedRead() = default;
  ~PacedRead() { Close(); }
  PacedRead(const PacedRead&) = delete;
  PacedRead& operator=(const PacedRead&) = delete;

  // As PQconsumeInput (false: it has failed, PQerrorMessage or error() says why), with at
  // most kStep bytes, which are added to `taken`. While libpq has something to send it is
  // PQconsumeInput: the answer, and so memory, may then be as long as the server likes.
  [[nodiscard]] bool Consume(PGconn* connection, int64_t* taken);
  // The answer has ended, or the connection has: its server sees the end of it when
  // PQfinish has been called, too.
  void Close();
  // Empty when libpq has failed itself.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  [[nodiscard]] bool Open(int socket);
  [[nodiscard]] bool Feed(PGconn* connection, const char* bytes, size_t size);
  [[nodiscard]] bool Drain(PGconn* connection);
  bool Fail(const char* what);

  int server_ = -1;  // the server's socket
  int ours_ = -1;    // what libpq reads in its place
  int feed_ = -1;    // its other end
  std::string error_;
};

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_PACED_READ_H_
