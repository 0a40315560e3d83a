#include "tests/bench/commit/by_hand.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/random.h"
#include "coordinator/base/system_clock.h"

namespace concordat::bench {

namespace {

using testing::NowSeconds;

constexpr off_t kRecordBytes = 64;
constexpr off_t kFileBytes = 64 << 20;
constexpr double kWarmUpSeconds = 0.5;

// One record for each decision, in a file that has its length already.
class Decisions {
 public:
  explicit Decisions(const std::string& dir)
      : fd_(open(absl::StrCat(dir, "/decisions").c_str(), O_CREAT | O_RDWR, 0644)) {
    CONCORDAT_CHECK(fd_ >= 0);
    const std::string zeros(1 << 20, '\0');
    for (off_t at = 0; at < kFileBytes; at += static_cast<off_t>(zeros.size())) {
      CONCORDAT_CHECK(pwrite(fd_, zeros.data(), zeros.size(), at) ==
                      static_cast<ssize_t>(zeros.size()));
    }
    CONCORDAT_CHECK(fsync(fd_) == 0);
  }
  ~Decisions() { close(fd_); }
  Decisions(const Decisions&) = delete;
  Decisions& operator=(const Decisions&) = delete;

  void Write() {
    std::array<char, kRecordBytes> record{};
    record[0] = 'C';
    const off_t at = next_.fetch_add(kRecordBytes) % kFileBytes;
    CONCORDAT_CHECK(pwrite(fd_, record.data(), record.size(), at) == kRecordBytes);
    CONCORDAT_CHECK(fdatasync(fd_) == 0);
  }

 private:
  const int fd_;
  std::atomic<off_t> next_{0};
};

void Drive(HandClient* client, Decisions* decisions, double measure_from, double stop_at,
           Figures* figures) {
  Random random(SystemRandom64());
  for (uint64_t number = 1; NowSeconds() < stop_at; ++number) {
    const double begun = NowSeconds();
    client->Prepare(number, AccountName(&random), AccountName(&random));
    decisions->Write();
    const double decided = NowSeconds();
    client->Commit();
    const double now = NowSeconds();
    if (now < measure_from || now >= stop_at) continue;
    figures->commit_us.push_back((decided - begun) * 1e6);
    figures->whole_us.push_back((now - begun) * 1e6);
  }
}

}  // namespace

Figures RunByHand(const ByHand& words,
                  const std::function<std::unique_ptr<HandClient>(size_t client)>& make) {
  Decisions decisions(words.dir);
  std::vector<std::unique_ptr<HandClient>> clients;
  for (size_t i = 0; i < words.clients; ++i) clients.push_back(make(i));
  std::vector<Figures> parts(words.clients);
  const double measure_from = NowSeconds() + kWarmUpSeconds;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < words.clients; ++i) {
    threads.emplace_back([&, i] {
      Drive(clients[i].get(), &decisions, measure_from, measure_from + words.seconds,
            &parts[i]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  Figures all;
  for (const Figures& part : parts) {
    all.commit_us.insert(all.commit_us.end(), part.commit_us.begin(),
                         part.commit_us.end());
    all.whole_us.insert(all.whole_us.end(), part.whole_us.begin(), part.whole_us.end());
  }
  all.rate = static_cast<double>(all.whole_us.size()) / words.seconds;
  return all;
}

}  // namespace concordat::bench
