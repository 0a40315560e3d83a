// An owner that holds its appends and flushes on its own thread.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "coordinator/base/mutex.h"
#include "tests/unit/wal/log_fixture.h"
#include "wal/log_writer.h"

namespace concordat::wal {
namespace {

void SleepMs(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// The writer, what it reported as durable, and on which thread.
class HeldWriter {
 public:
  explicit HeldWriter(FaultEnv* env, Duration below = Duration::Seconds(1)) {
    LogWriterOptions options;
    options.queue_bytes = 4000;
    options.flush_here_below = below;
    options.on_durable = [this](Lsn durable) {
      EXPECT_FALSE(calling_.exchange(true)) << "two at a time";
      MutexLock lock(&mutex_);
      EXPECT_LE(last_, durable);
      last_ = durable;
      by_ = std::this_thread::get_id();
      calling_ = false;
    };
    auto writer = LogWriter::Open(env, SmallLog(), std::move(options), nullptr);
    CONCORDAT_CHECK(writer.ok()) << writer.status().message();
    writer_ = *std::move(writer);
    SleepMs(5);  // the writer thread falls asleep
  }

  LogWriter* operator->() { return writer_.get(); }
  Lsn Append(std::string_view payload = "x") {
    auto lsn = writer_->Append(1, payload, Reserve::kNormal);
    CONCORDAT_CHECK(lsn.ok()) << lsn.status().message();
    return *lsn;
  }
  bool WasHere() {
    MutexLock lock(&mutex_);
    return by_ == std::this_thread::get_id();
  }
  Lsn last() {
    MutexLock lock(&mutex_);
    return last_;
  }

 private:
  Mutex mutex_;
  Lsn last_;
  std::thread::id by_;
  std::atomic<bool> calling_ = false;
  std::unique_ptr<LogWriter> writer_;
};

TEST(LogWriterHold, Appends_WaitForFlushWhichDoesTheWorkHere) {
  FaultEnv env(1);
  HeldWriter writer(&env);
  writer->Hold();
  const Lsn last = writer.Append();
  SleepMs(20);
  EXPECT_LT(writer->durable_lsn(), last);
  writer->Flush();
  EXPECT_EQ(writer->durable_lsn(), last);
  EXPECT_EQ(writer.last(), last);
  EXPECT_TRUE(writer.WasHere());
  EXPECT_EQ(writer->flush_count(), 1u);
}

TEST(LogWriterHold, Flush_EndsTheHold) {
  FaultEnv env(1);
  HeldWriter writer(&env);
  writer->Hold();
  writer->Flush();
  EXPECT_EQ(writer->flush_count(), 0u);
  const Lsn last = writer.Append();
  while (writer->durable_lsn() < last) std::this_thread::yield();
}

TEST(LogWriterHold, SlowFlushes_AreLeftToTheWriterThread) {
  FaultEnv env(1);
  HeldWriter writer(&env, Duration::Millis(1));
  env.SetSyncHook([] { SleepMs(10); });
  Lsn last;
  for (int i = 0; i < 2; ++i) {
    writer->Hold();
    last = writer.Append();
    writer->Flush();  // the first flush measures how long flushes take
  }
  EXPECT_LT(writer->durable_lsn(), last);
  writer->WaitDurable(last);
  writer->Stop();
  EXPECT_FALSE(writer.WasHere());
}

TEST(LogWriterHold, ManyRecords_AreLeftToTheWriterThread) {
  FaultEnv env(1);
  HeldWriter writer(&env);
  writer->Hold();
  for (int i = 0; i < 5; ++i) writer.Append();
  writer->Flush();
  writer->Stop();
  EXPECT_EQ(writer.last(), Lsn(5));
  EXPECT_FALSE(writer.WasHere());
}

TEST(LogWriterHold, WaitDurable_EndsIt) {
  FaultEnv env(1);
  HeldWriter writer(&env);
  writer->Hold();
  const Lsn last = writer.Append();
  writer->WaitDurable(last);
  EXPECT_EQ(writer->durable_lsn(), last);
}

TEST(LogWriterHold, FullQueue_EndsIt) {
  FaultEnv env(1);
  HeldWriter writer(&env);
  writer->Hold();
  for (int i = 0; i < 50; ++i) writer.Append(std::string(300, 'x'));
  writer->Stop();
  EXPECT_EQ(writer.last(), Lsn(50));
}

TEST(LogWriterHold, Stop_FlushesWhatIsHeld) {
  FaultEnv env(1);
  HeldWriter writer(&env);
  writer->Hold();
  const Lsn last = writer.Append();
  writer->Stop();
  EXPECT_EQ(writer->durable_lsn(), last);
}

TEST(LogWriterHold, ReleaseDuringAHold_IsCarriedOut) {
  FaultEnv env(1);
  HeldWriter writer(&env);
  for (int i = 0; i < 400; ++i) writer->WaitDurable(writer.Append(std::string(300, 'x')));
  const auto files = [&] { return env.List(SmallLog().dir)->size(); };
  const size_t before = files();
  writer->Hold();
  writer->ReleaseBefore(writer->durable_lsn());
  writer.Append();
  writer->Flush();
  writer->Stop();
  EXPECT_LT(files(), before);
}

TEST(LogWriterHold, BesideOtherThreads_EverythingBecomesDurableInOrder) {
  FaultEnv env(1);
  HeldWriter writer(&env);
  std::atomic<bool> stop = false;
  std::thread other([&] {
    while (!stop) writer->WaitDurable(writer.Append("other"));
  });
  for (int i = 0; i < 5000; ++i) {
    writer->Hold();
    const Lsn last = writer.Append("owner");
    writer->Flush();
    if (i % 3 == 0) writer->WaitDurable(last);
  }
  stop = true;
  other.join();
  const Lsn end = writer->next_lsn().Previous();
  writer->Stop();
  EXPECT_EQ(writer->durable_lsn(), end);
  EXPECT_EQ(writer.last(), end);
}

}  // namespace
}  // namespace concordat::wal
