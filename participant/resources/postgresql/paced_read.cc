#include "participant/resources/postgresql/paced_read.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"

namespace concordat::participant::postgresql {

namespace {

void CloseFd(int* fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

int BytesIn(int fd) {
  int bytes = 0;
  return ioctl(fd, FIONREAD, &bytes) == 0 ? bytes : 0;
}

// Makes the descriptor `to` refer to the file of `from`. The event loop goes on watching
// the file that `to` was before, which the caller keeps open.
void Replace(int to, int from) {
  int done;
  do {
    done = dup3(from, to, O_CLOEXEC);
  } while (done < 0 && (errno == EINTR || errno == EBUSY));
  CONCORDAT_CHECK(done == to) << "dup3: " << std::strerror(errno);
}

}  // namespace

void PacedRead::Close() {
  CloseFd(&server_);
  CloseFd(&ours_);
  CloseFd(&feed_);
}

bool PacedRead::Fail(const char* what) {
  error_ = absl::StrCat(what, ": ", std::strerror(errno));
  return false;
}

bool PacedRead::Open(int socket) {
  if (feed_ >= 0) return true;
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return Fail("no descriptors for a long answer");
  }
  ours_ = ends[0];
  feed_ = ends[1];
  server_ = fcntl(socket, F_DUPFD_CLOEXEC, 0);
  if (server_ >= 0) return true;
  CloseFd(&ours_);
  CloseFd(&feed_);
  return Fail("no descriptor for a long answer");
}

bool PacedRead::Consume(PGconn* connection, int64_t* taken) {
  error_.clear();
  const int socket = PQsocket(connection);
  // PQconsumeInput would send what is left before it reads.
  if (PQflush(connection) != 0) {
    *taken += BytesIn(socket);
    return PQconsumeInput(connection) == 1;
  }
  if (!Open(socket)) return false;
  char bytes[kStep];
  const ssize_t size = recv(socket, bytes, sizeof(bytes), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (size <= 0) return PQconsumeInput(connection) == 1;  // it finds the end itself
  *taken += size;
  Replace(socket, ours_);
  const bool done = Feed(connection, bytes, static_cast<size_t>(size));
  Replace(socket, server_);
  return done;
}

bool PacedRead::Feed(PGconn* connection, const char* bytes, size_t size) {
  for (size_t fed = 0; fed < size;) {
    const ssize_t now = send(feed_, bytes + fed, size - fed, MSG_NOSIGNAL);
    if (now <= 0) return Fail("a long answer");
    fed += static_cast<size_t>(now);
    if (!Drain(connection)) return false;
  }
  return true;
}

// Each call reads something, even if it is only the header of a TLS record.
bool PacedRead::Drain(PGconn* connection) {
  for (int left = BytesIn(ours_); left > 0; left = BytesIn(ours_)) {
    if (PQconsumeInput(connection) != 1) return false;
  }
  if (BytesIn(feed_) == 0) return true;
  error_ = "TLS had something to say in the middle of a long answer";
  return false;
}

}  // namespace concordat::participant::postgresql
