// A disk of a few MiB for one child process, which can be filled to the last byte: a
// tmpfs in a mount namespace of its own, so that no other process sees it and it ends
// with the process. It needs no privileges where user namespaces are allowed.
//
//   if (!SmallDisk::Permitted()) GTEST_SKIP() << …;
//   Child child(SmallDisk::Command(dir, 64, {"/bin/program", …}), log);
//   SmallDisk disk(child.pid(), dir);
//   disk.Fill();
#ifndef TESTS_PROCESS_SMALL_DISK_H_
#define TESTS_PROCESS_SMALL_DISK_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace concordat::testing {

class SmallDisk {
 public:
  // True: this process may make such disks. Tried once.
  [[nodiscard]] static bool Permitted();
  // A command that runs `words` with a new disk of `mib` MiB at `dir`, which is made. The
  // process keeps its id, and ends with its parent.
  [[nodiscard]] static std::vector<std::string> Command(const std::string& dir, int mib,
                                                        std::vector<std::string> words);

  // The disk that the running process `pid` has at `dir`.
  SmallDisk(pid_t pid, const std::string& dir);
  // Writes a file until there is no room. Returns how many bytes it took.
  size_t Fill() const;
  // Removes that file.
  void MakeRoom() const;

 private:
  const std::string ballast_;
};

}  // namespace concordat::testing

#endif  // TESTS_PROCESS_SMALL_DISK_H_
