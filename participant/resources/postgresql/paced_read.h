// Lets libpq read a long answer in steps.
//
// PQconsumeInput goes on reading for as long as the server sends as fast as it reads, and
// its buffer becomes as large as the row whose beginning it has seen. So a row that is
// beyond the limit may be in memory as a whole when the call returns. Therefore, while an
// answer arrives that did not come in one piece, libpq is given another socket for the
// time of the call, into which one step of the server's bytes was written. libpq handles
// TLS as always.
//
// Used for one connection, on the thread of that connection.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_PACED_READ_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_PACED_READ_H_

#include <libpq-fe.h>

#include <cstdint>
#include <string>

namespace concordat::participant::postgresql {

class PacedRead {
 public:
  static constexpr int64_t kStep = 64 << 10;  // in bytes

  PacedRead() = default;
  ~PacedRead() { Close(); }
  PacedRead(const PacedRead&) = delete;
  PacedRead& operator=(const PacedRead&) = delete;

  // Does what PQconsumeInput does, with at most kStep bytes, and adds their number to
  // `taken`. False: it has failed, and error() or PQerrorMessage says why. While libpq
  // has something to send, PQconsumeInput is called as it is, so that the length of the
  // answer, and the memory for it, are not limited then.
  [[nodiscard]] bool Consume(PGconn* connection, int64_t* taken);
  // To be called when the answer has ended, and when the connection has. The server sees
  // the end of a connection only after this and PQfinish.
  void Close();
  // Why Consume has failed. Empty: libpq has failed, and PQerrorMessage says why.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  [[nodiscard]] bool Open(int socket);
  [[nodiscard]] bool Feed(PGconn* connection, const char* bytes, size_t size);
  [[nodiscard]] bool Drain(PGconn* connection);
  bool Fail(const char* what);

  // File descriptors; -1 while no answer is read in steps.
  int server_ = -1;    // the socket of the connection to the server
  int ours_ = -1;      // the socket that libpq reads instead
  int feed_ = -1;      // the other end of that socket
  std::string error_;  // see error()
};

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_PACED_READ_H_
