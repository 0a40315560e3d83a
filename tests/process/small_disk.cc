#include "tests/process/small_disk.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "tests/support/processes.h"

namespace concordat::testing {

namespace {

// In each list, the last word is a script's $0; what follows are its $1, $2, …
using Words = std::vector<std::string>;

Words Unshare(bool as_root) {
  Words words = {"/usr/bin/unshare", "--mount"};
  if (!as_root) words.insert(words.end(), {"--user", "--map-root-user"});
  words.insert(words.end(), {"--", "/bin/sh", "-c",
                             "mount -t tmpfs -o size=\"$1\" tmpfs \"$2\" && shift 2 && "
                             "exec setpriv --pdeathsig KILL -- \"$@\"",
                             "small-disk"});
  return words;
}

Words WithDisk(bool as_root, const std::string& dir, int mib, const Words& words) {
  Words all = Unshare(as_root);
  all.insert(all.end(), {absl::StrCat(mib, "m"), dir});
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

bool Works(bool as_root) {
  const TempDir dir("/tmp");
  Child child(WithDisk(as_root, dir.path(), 1, {"/bin/true"}), "/dev/null");
  return child.WaitForExit(10) == 0;
}

enum class Way { kNone, kAsRoot, kUserNamespace };

Way FindWay() {
  static const Way way = Works(true)    ? Way::kAsRoot
                         : Works(false) ? Way::kUserNamespace
                                        : Way::kNone;
  return way;
}

}  // namespace

bool SmallDisk::Permitted() { return FindWay() != Way::kNone; }

Words SmallDisk::Command(const std::string& dir, int mib, Words words) {
  std::filesystem::create_directories(dir);
  return WithDisk(FindWay() == Way::kAsRoot, dir, mib, words);
}

SmallDisk::SmallDisk(pid_t pid, const std::string& dir)
    : ballast_(absl::StrCat("/proc/", pid, "/root", dir, "/ballast")) {}

size_t SmallDisk::Fill() const {
  const int fd = open(ballast_.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  CONCORDAT_CHECK(fd >= 0) << ballast_;
  const std::string block(4096, 'x');
  size_t bytes = 0;
  ssize_t n = 0;
  while ((n = write(fd, block.data(), block.size())) > 0) bytes += static_cast<size_t>(n);
  close(fd);
  return bytes;
}

void SmallDisk::MakeRoom() const { unlink(ballast_.c_str()); }

}  // namespace concordat::testing
