#include "thrift/rpc/event_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <thrift/Thrift.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "thrift/rpc/process.h"
#include "thrift/rpc/socket.h"

namespace concordat::rpc {
namespace {

using ::testing::ElementsAre;

std::unique_ptr<EventLoop> NewLoop() { return *EventLoop::Create(); }

TEST(EventLoop, OneIteration_PostsThenTimersThenDeferred) {
  const auto loop = NewLoop();
  std::vector<std::string> order;
  loop->Defer([&] { order.push_back("deferred"); });
  loop->RunAfter(Duration(), [&] {
    order.push_back("timer");
    loop->Stop();
  });
  loop->Post([&] {
    order.push_back("posted");
    loop->Defer([&] {
      order.push_back("deferred by posted");
      loop->Defer([&] { order.push_back("deferred by deferred"); });
    });
  });
  loop->Run();
  EXPECT_THAT(order, ElementsAre("posted", "timer", "deferred", "deferred by posted",
                                 "deferred by deferred"));
}

TEST(EventLoop, AfterOutput_RunsBehindTheOutputAndQueuesForTheNextIteration) {
  struct Output final : Flushable {
    void Flush() override { order->push_back("output"); }
    std::vector<std::string>* order = nullptr;
  };
  const auto loop = NewLoop();
  std::vector<std::string> order;
  Output output;
  output.order = &order;
  loop->Defer([&] {
    loop->AfterOutput([&] {
      order.push_back("after");
      loop->QueueFlush(&output);
      loop->AfterOutput([&] {
        order.push_back("after again");
        loop->Stop();
      });
    });
    loop->QueueFlush(&output);
  });
  loop->Run();
  EXPECT_THAT(order, ElementsAre("output", "after", "output", "after again"));
}

class RecordingWatch final : public FdWatch::Handler {
 public:
  explicit RecordingWatch(std::function<void(bool, bool)> on_event)
      : on_event_(std::move(on_event)) {}
  void OnFdEvent(bool readable, bool writable) override { on_event_(readable, writable); }

 private:
  std::function<void(bool, bool)> on_event_;
};

TEST(EventLoop, AllReadySocketsAreReadBeforeDeferredRuns) {
  const auto loop = NewLoop();
  std::vector<std::string> order;
  int pairs[3][2];
  std::vector<std::unique_ptr<RecordingWatch>> handlers;
  std::vector<std::unique_ptr<FdWatch>> watches;
  for (auto& pair : pairs) {
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    ASSERT_EQ(send(pair[1], "x", 1, 0), 1);
    const int fd = pair[0];
    handlers.push_back(std::make_unique<RecordingWatch>([&, fd](bool readable, bool) {
      char byte = 0;
      if (!readable || recv(fd, &byte, 1, 0) != 1) return;
      order.push_back("read");
      if (order.size() == 1) {
        loop->Defer([&] {
          order.push_back("deferred");
          loop->Stop();
        });
      }
    }));
    watches.push_back(std::make_unique<FdWatch>(loop.get(), fd, handlers.back().get()));
    watches.back()->WatchRead(true);
  }
  loop->Run();
  EXPECT_THAT(order, ElementsAre("read", "read", "read", "deferred"));
  watches.clear();
  for (auto& pair : pairs) {
    const internal::OwnedFd a(pair[0]);
    const internal::OwnedFd b(pair[1]);
  }
}

TEST(EventLoop, PostsFromManyThreads_AllRunOnceAndInOrderOfEachThread) {
  const auto runner = *LoopThread::Start();
  constexpr int kThreads = 4;
  constexpr int kPosts = 5000;
  std::vector<std::vector<int>> seen(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) {
        runner->loop()->Post(
            [&seen, t, i] { seen[static_cast<size_t>(t)].push_back(i); });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  runner->RunSync([] {});
  runner->StopAndJoin();
  for (const std::vector<int>& of_thread : seen) {
    ASSERT_EQ(of_thread.size(), static_cast<size_t>(kPosts));
    for (int i = 0; i < kPosts; ++i) ASSERT_EQ(of_thread[static_cast<size_t>(i)], i);
  }
}

TEST(EventLoop, FunctionThatPostsItself_DoesNotStarveTimers) {
  const auto loop = NewLoop();
  int posts = 0;
  std::function<void()> again = [&] {
    ++posts;
    loop->Post(again);
  };
  loop->Post(again);
  loop->RunAfter(Duration::Millis(20), [&] { loop->Stop(); });
  loop->Run();
  EXPECT_GT(posts, 10);
}

TEST(EventLoop, Timers_RunInOrderOfTimeAndNeverEarly) {
  const auto loop = NewLoop();
  std::vector<int> order;
  const Timestamp start = loop->Now();
  std::vector<int64_t> early_by;
  for (const int delay_ms : {30, 10, 20, 0}) {
    loop->RunAfter(Duration::Millis(delay_ms), [&, delay_ms] {
      order.push_back(delay_ms);
      early_by.push_back(delay_ms * 1000 - (loop->Now() - start).micros());
    });
  }
  loop->RunAfter(Duration::Millis(31), [&] { loop->Stop(); });
  loop->Run();
  EXPECT_THAT(order, ElementsAre(0, 10, 20, 30));
  for (const int64_t early : early_by) EXPECT_LE(early, 0);
  EXPECT_LT((loop->Now() - start).millis(), 2000);
}

TEST(EventLoop, CancelledTimer_DoesNotRun) {
  const auto loop = NewLoop();
  bool ran = false;
  const TimerId timer = loop->RunAfter(Duration::Millis(5), [&] { ran = true; });
  loop->RunAfter(Duration::Millis(1), [&] { loop->Cancel(timer); });
  loop->RunAfter(Duration::Millis(15), [&] { loop->Stop(); });
  loop->Run();
  EXPECT_FALSE(ran);
}

TEST(EventLoop, RepeatedTimer_CanCancelItself) {
  const auto loop = NewLoop();
  int runs = 0;
  TimerId timer;
  timer = loop->RunEvery(Duration::Millis(2), [&] {
    if (++runs == 3) loop->Cancel(timer);
  });
  loop->RunAfter(Duration::Millis(40), [&] { loop->Stop(); });
  loop->Run();
  EXPECT_EQ(runs, 3);
}

TEST(EventLoop, StopBeforeRun_ReturnsAtOnce) {
  const auto loop = NewLoop();
  loop->Stop();
  loop->Run();
}

TEST(EventLoop, PostAfterTheLoopIsGone_IsDropped) {
  auto loop = NewLoop();
  const std::shared_ptr<PostQueue> posts = loop->post_queue();
  loop = nullptr;
  const auto token = std::make_shared<int>(1);
  posts->Post([token] {});
  EXPECT_EQ(token.use_count(), 1);
}

TEST(EventLoop, InLoopThread_IsTrueOnlyThere) {
  const auto runner = *LoopThread::Start();
  EXPECT_FALSE(runner->loop()->InLoopThread());
  bool inside = false;
  runner->RunSync([&] { inside = runner->loop()->InLoopThread(); });
  EXPECT_TRUE(inside);
}

TEST(EventLoop, Create_IgnoresSigpipe) {
  const auto loop = NewLoop();
  struct sigaction now {};
  ASSERT_EQ(sigaction(SIGPIPE, nullptr, &now), 0);
  EXPECT_EQ(now.sa_handler, SIG_IGN);
}

TEST(Process, ThriftsOwnMessages_GoToTheSink) {
  PrepareProcess();
  static std::string last;
  SetMessageSink([](const Message& message) { last = message.text; });
  apache::thrift::GlobalOutput.printf("number %d", 7);
  SetMessageSink(nullptr);
  apache::thrift::GlobalOutput.printf("to nobody");
  EXPECT_NE(last.find("number 7"), std::string::npos) << last;
}

}  // namespace
}  // namespace concordat::rpc
