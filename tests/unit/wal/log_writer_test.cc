#include "wal/log_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/unit/wal/log_fixture.h"

namespace concordat::wal {
namespace {

using ::testing::ElementsAre;

LogWriterOptions SmallQueue() {
  LogWriterOptions options;
  options.queue_bytes = 4000;
  return options;
}

std::unique_ptr<LogWriter> OpenWriter(FileEnv* env, LogWriterOptions options) {
  auto writer = LogWriter::Open(env, SmallLog(), std::move(options), nullptr);
  CONCORDAT_CHECK(writer.ok()) << writer.status().message();
  return *std::move(writer);
}

Lsn MustAppend(LogWriter* writer, std::string_view payload) {
  auto lsn = writer->Append(1, payload, Reserve::kNormal);
  CONCORDAT_CHECK(lsn.ok()) << lsn.status().message();
  return *lsn;
}

// Makes a flush wait until the test lets it go on.
class Gate {
 public:
  explicit Gate(FaultEnv* env) {
    env->SetSyncHook([this] {
      MutexLock lock(&mutex_);
      ++arrived_;
      changed_.NotifyAll();
      while (closed_) changed_.Wait(&mutex_);
    });
  }
  void Close() {
    MutexLock lock(&mutex_);
    closed_ = true;
    arrived_ = 0;
  }
  void AwaitArrival() {
    MutexLock lock(&mutex_);
    while (arrived_ == 0) changed_.Wait(&mutex_);
  }
  void Open() {
    MutexLock lock(&mutex_);
    closed_ = false;
    changed_.NotifyAll();
  }

 private:
  Mutex mutex_;
  ConditionVariable changed_;
  bool closed_ = false;
  int arrived_ = 0;
};

TEST(LogWriter, WaitDurable_ReturnsWhenTheRecordIsOnDisk) {
  FaultEnv env(1);
  auto writer = OpenWriter(&env, SmallQueue());
  for (uint64_t n = 1; n <= 50; ++n) {
    const Lsn lsn = MustAppend(writer.get(), PayloadOf(n));
    EXPECT_EQ(lsn, Lsn(n));
    writer->WaitDurable(lsn);
    EXPECT_GE(writer->durable_lsn(), lsn);
    auto disk = env.Clone(1);
    EXPECT_EQ(OpenLog(disk.get()).entries.size(), n);
  }
}

TEST(LogWriter, EverythingQueuedWhileAFlushRuns_GoesWithTheNext) {
  FaultEnv env(1);
  Gate gate(&env);
  auto writer = OpenWriter(&env, SmallQueue());
  gate.Close();
  MustAppend(writer.get(), "first");
  gate.AwaitArrival();
  for (int i = 0; i < 40; ++i) MustAppend(writer.get(), "queued");
  EXPECT_EQ(writer->durable_lsn(), Lsn(0));
  EXPECT_EQ(writer->next_lsn(), Lsn(42));
  gate.Open();
  writer->WaitDurable(Lsn(41));
  EXPECT_EQ(writer->flush_count(), 2u);
}

TEST(LogWriter, VectorOfRecords_GetsConsecutiveNumbers) {
  FaultEnv env(1);
  auto writer = OpenWriter(&env, SmallQueue());
  const std::vector<Record> records = {{1, "a"}, {2, "b"}, {3, "c"}};
  EXPECT_EQ(*writer->Append(records, Reserve::kNormal), Lsn(3));
  EXPECT_EQ(*writer->Append(records, Reserve::kFinish), Lsn(6));
  writer->Stop();
  writer.reset();
  Opened log = OpenLog(&env);
  EXPECT_THAT(log.entries, ElementsAre(Entry{Lsn(1), 1, "a"}, Entry{Lsn(2), 2, "b"},
                                       Entry{Lsn(3), 3, "c"}, Entry{Lsn(4), 1, "a"},
                                       Entry{Lsn(5), 2, "b"}, Entry{Lsn(6), 3, "c"}));
}

TEST(LogWriter, OnDurable_IsCalledOnceAFlushWithRisingNumbers) {
  FaultEnv env(1);
  std::vector<Lsn> calls;
  LogWriterOptions options = SmallQueue();
  options.on_durable = [&](Lsn durable) { calls.push_back(durable); };
  auto writer = OpenWriter(&env, options);
  for (int i = 0; i < 200; ++i) MustAppend(writer.get(), "x");
  writer->Stop();
  ASSERT_FALSE(calls.empty());
  EXPECT_EQ(calls.size(), writer->flush_count());
  EXPECT_EQ(calls.back(), Lsn(200));
  EXPECT_TRUE(std::is_sorted(calls.begin(), calls.end()));
  EXPECT_EQ(std::adjacent_find(calls.begin(), calls.end()), calls.end());
}

TEST(LogWriter, OnDurable_MayAppendAndRelease) {
  FaultEnv env(1);
  LogWriter* handle = nullptr;
  std::atomic<bool> ready = false;
  LogWriterOptions options = SmallQueue();
  options.block_when_full = false;
  options.on_durable = [&](Lsn durable) {
    while (!ready) std::this_thread::yield();
    handle->ReleaseBefore(durable);
    if (durable < Lsn(300)) MustAppend(handle, PayloadOf(durable.value()));
  };
  auto writer = OpenWriter(&env, options);
  handle = writer.get();
  ready = true;
  MustAppend(writer.get(), "begin");
  while (writer->durable_lsn() < Lsn(300)) std::this_thread::yield();
  writer->Stop();
  EXPECT_EQ(writer->durable_lsn(), Lsn(300));
}

TEST(LogWriter, ManyProducers_EachInItsOrderAllDurable) {
  FaultEnv env(1);
  constexpr size_t kProducers = 8;
  constexpr size_t kEach = 400;
  std::vector<std::vector<Lsn>> numbers(kProducers);
  {
    auto writer = OpenWriter(&env, SmallQueue());
    std::vector<std::thread> threads;
    for (size_t p = 0; p < kProducers; ++p) {
      threads.emplace_back([&, p] {
        for (size_t i = 0; i < kEach; ++i) {
          numbers[p].push_back(MustAppend(writer.get(), absl::StrCat(p, ":", i)));
          if (i % 50 == 0) writer->WaitDurable(numbers[p].back());
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  env.Crash(FaultEnv::Unsynced::kDropAll);
  Opened log = OpenLog(&env);
  ASSERT_EQ(log.entries.size(), kProducers * kEach);
  std::map<Lsn, std::string> found;
  for (const Entry& entry : log.entries) found[entry.lsn] = entry.payload;
  for (size_t p = 0; p < kProducers; ++p) {
    EXPECT_TRUE(std::is_sorted(numbers[p].begin(), numbers[p].end()));
    for (size_t i = 0; i < kEach; ++i) {
      ASSERT_EQ(found[numbers[p][i]], absl::StrCat(p, ":", i));
    }
  }
}

TEST(LogWriter, FullQueue_TellsTheAppenderWhenItMayNotWait) {
  FaultEnv env(1);
  Gate gate(&env);
  LogWriterOptions options = SmallQueue();
  options.block_when_full = false;
  auto writer = OpenWriter(&env, options);
  gate.Close();
  uint64_t taken = 0;
  absl::Status refused;
  while (refused.ok() && taken < 100) {
    auto lsn = writer->Append(1, std::string(300, 'q'), Reserve::kNormal);
    refused = lsn.status();
    if (lsn.ok()) ++taken;
  }
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(taken, 4000u / (300 + kRecordOverhead));
  gate.Open();
  writer->WaitDurable(Lsn(taken));
  EXPECT_TRUE(writer->Append(1, "x", Reserve::kNormal).ok());
}

TEST(LogWriter, FullQueue_HoldsTheAppenderUntilAFlushHasMadeRoom) {
  FaultEnv env(1);
  Gate gate(&env);
  auto writer = OpenWriter(&env, SmallQueue());
  gate.Close();
  std::atomic<int> appended = 0;
  std::thread producer([&] {
    for (int i = 0; i < 100; ++i) {
      MustAppend(writer.get(), std::string(300, 'q'));
      ++appended;
    }
  });
  gate.AwaitArrival();
  while (appended < 12) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(appended, 12);
  gate.Open();
  producer.join();
  EXPECT_EQ(appended, 100);
}

TEST(LogWriter, AppendLongerThanTheQueueOrThanARecordMayBe_IsRefused) {
  FaultEnv env(1);
  auto writer = OpenWriter(&env, SmallQueue());
  EXPECT_EQ(writer->Append(1, std::string(4000, 'x'), Reserve::kNormal).status().code(),
            absl::StatusCode::kInvalidArgument);
  LogWriterOptions wide;
  wide.queue_bytes = 1 << 20;
  LogOptions options = SmallLog();
  options.dir = "/wide";
  auto other = LogWriter::Open(&env, options, wide, nullptr);
  EXPECT_EQ(
      (*other)
          ->Append(1, std::string((*other)->max_payload() + 1, 'x'), Reserve::kNormal)
          .status()
          .code(),
      absl::StatusCode::kInvalidArgument);
}

TEST(LogWriter, Stop_FlushesWhatIsQueuedAndRefusesMore) {
  FaultEnv env(1);
  auto writer = OpenWriter(&env, SmallQueue());
  for (int i = 0; i < 30; ++i) MustAppend(writer.get(), "x");
  writer->Stop();
  writer->Stop();
  EXPECT_EQ(writer->durable_lsn(), Lsn(30));
  EXPECT_EQ(writer->Append(1, "x", Reserve::kNormal).status().code(),
            absl::StatusCode::kFailedPrecondition);
  writer.reset();
  env.Crash(FaultEnv::Unsynced::kDropAll);
  EXPECT_EQ(OpenLog(&env).entries.size(), 30u);
}

TEST(LogWriter, ReleaseBefore_FreesSegmentsWithoutAnyAppend) {
  FaultEnv env(1);
  auto writer = OpenWriter(&env, SmallQueue());
  for (int i = 0; i < 300; ++i) MustAppend(writer.get(), std::string(300, 'x'));
  writer->WaitDurable(Lsn(300));
  const uint64_t used = env.used_bytes();
  writer->ReleaseBefore(Lsn(300));
  while (env.used_bytes() == used) std::this_thread::yield();
  writer.reset();
  Opened log = OpenLog(&env);
  EXPECT_GT(log.log->first_lsn(), Lsn(200));
}

// Scenario 42, in the writer: records are refused before they are accepted, and what was
// accepted is written, whatever the sizes of the records are.
TEST(LogWriter, FullDisk_RefusesNormalThenFinishingRecordsAndRecovers) {
  for (const size_t bytes : {20u, 500u, 3900u}) {
    FaultEnv env(1);
    LogWriterOptions options = SmallQueue();
    options.space_retry = Duration::Millis(1);
    auto writer = OpenWriter(&env, options);
    env.SetCapacity(env.used_bytes() + 10000);
    uint64_t taken = 0;
    for (const Reserve use : {Reserve::kNormal, Reserve::kFinish}) {
      uint64_t before = taken;
      for (;;) {
        auto lsn = writer->Append(1, std::string(bytes, 'x'), use);
        if (!lsn.ok()) {
          ASSERT_EQ(lsn.status().code(), absl::StatusCode::kResourceExhausted);
          break;
        }
        ASSERT_LT(++taken, 100000u);
      }
      EXPECT_GT(taken, before);
      EXPECT_FALSE(writer->HasSpace(use));
    }
    writer->WaitDurable(Lsn(taken));
    env.SetCapacity(UINT64_MAX);
    while (!writer->HasSpace(Reserve::kNormal)) std::this_thread::yield();
    EXPECT_TRUE(writer->Append(1, "x", Reserve::kNormal).ok());
    writer.reset();
    EXPECT_EQ(OpenLog(&env).entries.size(), taken + 1);
  }
}

TEST(LogWriter, FullDisk_ProducersTogetherNeverOverrunTheReserve) {
  FaultEnv env(1);
  LogWriterOptions options = SmallQueue();
  options.space_retry = Duration::Millis(1);
  auto writer = OpenWriter(&env, options);
  env.SetCapacity(env.used_bytes() + 30000);
  std::atomic<uint64_t> taken = 0;
  std::vector<std::thread> threads;
  for (uint64_t p = 0; p < 6; ++p) {
    threads.emplace_back([&, p] {
      for (uint64_t n = 0;; ++n) {
        auto lsn = writer->Append(1, std::string((n * 577 + p * 131) % 3900, 'x'),
                                  Reserve::kFinish);
        if (!lsn.ok()) return;
        ++taken;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  writer.reset();
  EXPECT_EQ(OpenLog(&env).entries.size(), taken);
}

TEST(LogWriterDeathTest, Scenario41_FailedFlush_EndsTheProcess) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        FaultEnv env(1);
        auto writer = OpenWriter(&env, SmallQueue());
        env.FailNextSync();
        writer->WaitDurable(MustAppend(writer.get(), "x"));
      },
      ::testing::ExitedWithCode(kExitStorageFailed), "fdatasync of /log/.*");
}

}  // namespace
}  // namespace concordat::wal
