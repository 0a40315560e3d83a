// The speed of the log, compared with what the disk allows in the same run.
//
//   wal_bench [--seconds=N] [--dir=PATH] [--rounds=N]
//
// Short rounds alternate between the cases, so that a disk whose speed changes does so
// for all of them, and ratios are taken within a round:
//   page      write the next page of a file that was written before + fdatasync, in a
//             loop
//   sector    the same with 512 bytes, which is what a batch of one such record takes.
//             The faster of these two is the floor of the round, called bare
//   callback  LogWriter, one record for each flush; on_durable appends the next record
//   thread    LogWriter, one record for each flush; another thread calls Append and
//             WaitDurable
//   core      Log, one record and one Sync, no thread
//   group     LogWriter, 64 producers of 200-byte records, each with a window of 128
//             not yet durable; a record counts once it is durable
// Each case gets N seconds, over all rounds. Prints the medians of rates and of ratios.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "coordinator/base/check.h"
#include "coordinator/base/file_env.h"
#include "coordinator/base/mutex.h"
#include "tests/support/processes.h"
#include "wal/log.h"
#include "wal/log_writer.h"

namespace concordat::wal {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr size_t kRecordBytes = 200;
constexpr int kProducers = 64;
constexpr size_t kWindow = 128;

struct Options {
  double seconds = 3;
  int rounds = 15;
  std::string dir = ".";
};

class Deadline {
 public:
  explicit Deadline(double seconds)
      : start_(SteadyClock::now()),
        end_(start_ + std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6))) {}
  [[nodiscard]] bool Passed() const { return SteadyClock::now() >= end_; }
  [[nodiscard]] double Elapsed() const {
    return std::chrono::duration<double>(SteadyClock::now() - start_).count();
  }

 private:
  const SteadyClock::time_point start_;
  const SteadyClock::time_point end_;
};

void Must(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "wal_bench: %s\n", status.ToString().c_str());
  std::exit(1);
}

LogOptions BenchLog(const std::string& dir) {
  LogOptions options;
  options.dir = dir;
  options.owner = "bench";
  return options;
}

std::unique_ptr<LogWriter> OpenWriter(const std::string& dir, LogWriterOptions options) {
  auto writer =
      LogWriter::Open(PosixFileEnv(), BenchLog(dir), std::move(options), nullptr);
  Must(writer.status());
  return *std::move(writer);
}

// The floor: a file whose blocks are all allocated and written, from front to back.
class Bare {
 public:
  Bare(const std::string& dir, size_t bytes) : page_(bytes, '\0') {
    Must(PosixFileEnv()->CreateDir(dir));
    auto file = PosixFileEnv()->Create(dir + "/bare");
    Must(file.status());
    file_ = *std::move(file);
    Must(file_->Preallocate(kBytes));
    const std::string megabyte(1 << 20, '\0');
    for (uint64_t at = 0; at < kBytes; at += megabyte.size()) {
      Must(file_->WriteAt(at, megabyte));
    }
    Must(file_->Sync());
  }
  double Run(double seconds) {
    const Deadline deadline(seconds);
    uint64_t count = 0;
    while (!deadline.Passed()) {
      std::memset(page_.data(), static_cast<int>(count), 256);
      Must(file_->WriteAt(at_, page_));
      Must(file_->Sync());
      at_ = (at_ + page_.size()) % kBytes;
      ++count;
    }
    return static_cast<double>(count) / deadline.Elapsed();
  }

 private:
  static constexpr uint64_t kBytes = 64u << 20;
  std::unique_ptr<File> file_;
  std::string page_;
  uint64_t at_ = 0;
};

class Core {
 public:
  explicit Core(const std::string& dir) {
    auto log = Log::Open(PosixFileEnv(), BenchLog(dir), nullptr);
    Must(log.status());
    log_ = *std::move(log);
  }
  double Run(double seconds) {
    const Deadline deadline(seconds);
    const std::string record(kRecordBytes, 'r');
    uint64_t count = 0;
    while (!deadline.Passed()) {
      Must(log_->Append(1, record, Reserve::kNormal).status());
      log_->Sync();
      log_->ReleaseBefore(log_->durable_lsn());
      ++count;
    }
    return static_cast<double>(count) / deadline.Elapsed();
  }

 private:
  std::unique_ptr<Log> log_;
};

class Callback {
 public:
  explicit Callback(const std::string& dir) {
    LogWriterOptions options;
    options.block_when_full = false;
    options.on_durable = [this](Lsn durable) { Durable(durable); };
    writer_ = OpenWriter(dir, std::move(options));
  }
  double Run(double seconds) {
    const Deadline deadline(seconds);
    const uint64_t before = writer_->flush_count();
    running_ = true;
    Must(writer_->Append(1, record_, Reserve::kNormal).status());
    while (!deadline.Passed()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const double rate =
        static_cast<double>(writer_->flush_count() - before) / deadline.Elapsed();
    running_ = false;
    writer_->WaitDurable(writer_->next_lsn().Previous());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return rate;
  }

 private:
  void Durable(Lsn durable) {
    writer_->ReleaseBefore(durable);
    if (running_) Must(writer_->Append(1, record_, Reserve::kNormal).status());
  }

  const std::string record_ = std::string(kRecordBytes, 'r');
  std::atomic<bool> running_ = false;
  std::unique_ptr<LogWriter> writer_;
};

class OtherThread {
 public:
  OtherThread(const std::string& dir, Duration spin) {
    LogWriterOptions options;
    options.spin = spin;
    writer_ = OpenWriter(dir, std::move(options));
  }
  double Run(double seconds) {
    const Deadline deadline(seconds);
    const std::string record(kRecordBytes, 'r');
    uint64_t count = 0;
    while (!deadline.Passed()) {
      auto lsn = writer_->Append(1, record, Reserve::kNormal);
      Must(lsn.status());
      writer_->WaitDurable(*lsn);
      if (++count % 1000 == 0) writer_->ReleaseBefore(*lsn);
    }
    return static_cast<double>(count) / deadline.Elapsed();
  }

 private:
  std::unique_ptr<LogWriter> writer_;
};

class Group {
 public:
  explicit Group(const std::string& dir) {
    LogWriterOptions options;
    options.on_durable = [this](Lsn durable) { writer_->ReleaseBefore(durable); };
    writer_ = OpenWriter(dir, std::move(options));
  }
  double Run(double seconds) {
    const Deadline deadline(seconds);
    const uint64_t flushes = writer_->flush_count();
    std::atomic<uint64_t> total = 0;
    std::vector<std::thread> threads;
    for (int p = 0; p < kProducers; ++p) {
      threads.emplace_back([&] { total += Produce(deadline); });
    }
    for (std::thread& thread : threads) thread.join();
    const double elapsed = deadline.Elapsed();
    group_size_ = static_cast<double>(total) /
                  static_cast<double>(writer_->flush_count() - flushes);
    return static_cast<double>(total) / elapsed;
  }
  [[nodiscard]] double group_size() const { return group_size_; }

 private:
  uint64_t Produce(const Deadline& deadline) {
    const std::string record(kRecordBytes, 'r');
    std::deque<Lsn> window;
    uint64_t durable = 0;
    while (!deadline.Passed()) {
      if (window.size() == kWindow) {
        // Waits for the middle one, so that half of the window is free again.
        writer_->WaitDurable(window[kWindow / 2]);
        const Lsn done = writer_->durable_lsn();
        for (; !window.empty() && window.front() <= done; ++durable) window.pop_front();
      }
      auto lsn = writer_->Append(1, record, Reserve::kNormal);
      Must(lsn.status());
      window.push_back(*lsn);
    }
    // Records that are durable in time count, the others do not.
    const Lsn done = writer_->durable_lsn();
    for (; !window.empty() && window.front() <= done; ++durable) window.pop_front();
    return durable;
  }

  double group_size_ = 0;
  std::unique_ptr<LogWriter> writer_;
};

using testing::Median;

Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const size_t equals = argument.find('=');
    const std::string value(
        equals == std::string_view::npos ? "" : argument.substr(equals + 1));
    const std::string_view name = argument.substr(0, equals);
    if (name == "--seconds" && !value.empty()) {
      options.seconds = std::atof(value.c_str());
    } else if (name == "--rounds" && !value.empty()) {
      options.rounds = std::max(1, std::atoi(value.c_str()));
    } else if (name == "--dir" && !value.empty()) {
      options.dir = value;
    } else {
      std::fprintf(stderr, "usage: wal_bench [--seconds=N] [--rounds=N] [--dir=PATH]\n");
      std::exit(2);
    }
  }
  return options;
}

int Main(int argc, char** argv) {
  const Options options = ParseOptions(argc, argv);
  const testing::TempDir folder(options.dir);
  const std::string& dir = folder.path();
  std::map<std::string, std::vector<double>> rates;
  double group_size = 0;
  {
    Bare page(dir + "/page", 4096);
    Bare sector(dir + "/sector", 512);
    Core core(dir + "/core");
    Callback callback(dir + "/callback");
    OtherThread thread(dir + "/thread", Duration());
    OtherThread spinning(dir + "/spin", Duration::Micros(100));
    Group group(dir + "/group");
    const double each = options.seconds / options.rounds;
    for (int round = 0; round < options.rounds; ++round) {
      rates["page"].push_back(page.Run(each));
      rates["sector"].push_back(sector.Run(each));
      rates["core"].push_back(core.Run(each));
      rates["callback"].push_back(callback.Run(each));
      rates["thread"].push_back(thread.Run(each));
      rates["spin"].push_back(spinning.Run(each));
      rates["group"].push_back(group.Run(each));
      group_size = group.group_size();
    }
  }

  const auto line = [&](const char* name, const char* what, const char* target) {
    std::vector<double> ratios;
    for (size_t i = 0; i < rates[name].size(); ++i) {
      ratios.push_back(rates[name][i] / std::max(rates["page"][i], rates["sector"][i]));
    }
    std::printf("%-9s %10.0f /s  %6.2f x bare  %s%s\n", name, Median(rates[name]),
                Median(ratios), what, target);
  };
  std::printf("median of %d rounds, %.1f s a case, records of %zu bytes\n",
              options.rounds, options.seconds, kRecordBytes);
  line("page", "4096-byte write + fdatasync, blocks written before", "");
  line("sector", "512-byte write + fdatasync, blocks written before", "");
  line("core", "Log: one record, one Sync, no thread", "");
  line("callback", "LogWriter: next record appended in on_durable", " (target 0.90)");
  line("thread", "LogWriter: another thread appends and waits", "");
  line("spin", "the same, writer looks for work for 100 us", "");
  line("group", "LogWriter: 64 producers, counted once durable", " (target 300000 /s)");
  std::printf("group: %.0f records a flush; each producer has at most %zu in flight\n",
              group_size, kWindow);
  return 0;
}

}  // namespace
}  // namespace concordat::wal

int main(int argc, char** argv) { return concordat::wal::Main(argc, argv); }
