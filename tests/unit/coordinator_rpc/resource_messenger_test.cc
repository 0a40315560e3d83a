// The coordinator's messages to participants over real sockets.
#include "coordinator/rpc/resource_messenger.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "concordat_wire/ParticipantService.h"
#include "coordinator/base/mutex.h"
#include "tests/support/waiting.h"
#include "thrift/rpc/server.h"

namespace concordat::rpc {
namespace {

using testing::Eventually;

// Votes for all at once, but for the resource "slow", whose call it keeps.
class SlowResource final : public wire::ParticipantServiceCobSvNull {
 public:
  void prepare(std::function<void(const wire::PrepareReply&)> cob,
               const wire::BranchList& request) override {
    ++calls;
    wire::PrepareReply reply;
    reply.result.code = wire::Code::OK;
    reply.__isset.votes = true;
    bool slow = false;
    for (const wire::BranchId& branch : request.branches) {
      reply.votes.emplace_back().vote = wire::Vote::PREPARED;
      slow = slow || branch.resource == "slow";
    }
    if (!slow) return cob(reply);
    held_.emplace_back([cob = std::move(cob), reply] { cob(reply); });
  }
  void Release() {
    for (const auto& answer : held_) answer();
    held_.clear();
  }
  std::atomic<int> calls{0};

 private:
  std::vector<std::function<void()>> held_;
};

class Votes final {
 public:
  void Add(const txn::Input& answer) {
    const auto& received = std::get<txn::ReceivedVote>(answer);
    MutexLock lock(&mutex_);
    ++votes_[{received.branch.resource, received.vote}];
  }
  [[nodiscard]] int Of(const std::string& resource, Vote vote) {
    MutexLock lock(&mutex_);
    return votes_[{resource, vote}];
  }

 private:
  Mutex mutex_;
  std::map<std::pair<std::string, Vote>, int> votes_ ABSL_GUARDED_BY(mutex_);
};

class ResourceMessengerTest : public ::testing::Test {
 protected:
  ResourceMessengerTest()
      : server_loop_(*LoopThread::Start()), client_loop_(*LoopThread::Start()) {
    for (int i = 0; i < 2; ++i) {
      server_loop_->RunSync([&] {
        servers_.push_back(std::make_unique<Server>(
            server_loop_->loop(),
            std::make_shared<wire::ParticipantServiceAsyncProcessorT<Codec>>(handler_)));
        addresses_.push_back(
            servers_.back()->Listen(*Address::Parse("127.0.0.1:0"))->ToString());
      });
    }
    client_loop_->RunSync([&] {
      messenger_ = std::make_unique<ResourceMessenger>(
          client_loop_->loop(), 1, [this](const txn::Input& a) { votes_.Add(a); });
      messenger_->SetCluster(ClusterId(1));
    });
  }
  ~ResourceMessengerTest() override {
    client_loop_->RunSync([&] { messenger_.reset(); });
    client_loop_->StopAndJoin();
    server_loop_->RunSync([&] { handler_->Release(); });
    server_loop_->RunSync([&] { servers_.clear(); });
  }
  // Sends all in one iteration of the loop.
  void Prepare(const std::vector<std::string>& resources) {
    client_loop_->RunSync([&] {
      for (const std::string& resource : resources) {
        const BranchId branch{Gtid{GroupId(1), Term(1), ++sequence_}, resource,
                              Incarnation(1), sequence_};
        messenger_->Send(txn::Message{txn::Verb::kPrepare, branch});
      }
    });
  }
  void SetAddress(const std::string& resource, size_t server) {
    client_loop_->RunSync([&] { messenger_->SetAddress(resource, addresses_[server]); });
  }
  [[nodiscard]] size_t Connections(size_t server) {
    size_t connections = 0;
    server_loop_->RunSync([&] { connections = servers_[server]->stats().connections; });
    return connections;
  }

  std::shared_ptr<SlowResource> handler_ = std::make_shared<SlowResource>();
  Votes votes_;
  std::unique_ptr<LoopThread> server_loop_;
  std::unique_ptr<LoopThread> client_loop_;
  std::vector<std::unique_ptr<Server>> servers_;
  std::vector<std::string> addresses_;
  std::unique_ptr<ResourceMessenger> messenger_;
  uint64_t sequence_ = 0;
};

TEST_F(ResourceMessengerTest, Scenario89_OneResourceIsSlow_VotesOfTheOthersDoNotWait) {
  SetAddress("slow", 0);
  SetAddress("fast", 0);
  Prepare({"fast", "slow", "fast", "slow"});
  EXPECT_TRUE(Eventually([&] { return votes_.Of("fast", Vote::kPrepared) == 2; }));
  EXPECT_EQ(votes_.Of("slow", Vote::kPrepared), 0);
  server_loop_->RunSync([&] { handler_->Release(); });
  EXPECT_TRUE(Eventually([&] { return votes_.Of("slow", Vote::kPrepared) == 2; }));
  EXPECT_EQ(handler_->calls, 2) << "one call a resource";
}

TEST_F(ResourceMessengerTest, Scenario91_AddressThatNobodyUsesAnyMore_IsDisconnected) {
  SetAddress("a", 0);
  SetAddress("b", 0);
  Prepare({"a", "b"});
  ASSERT_TRUE(Eventually([&] { return votes_.Of("b", Vote::kPrepared) == 1; }));
  ASSERT_EQ(Connections(0), 1U);
  SetAddress("a", 1);
  Prepare({"a", "b"});
  ASSERT_TRUE(Eventually([&] { return votes_.Of("a", Vote::kPrepared) == 2; }));
  ASSERT_TRUE(Eventually([&] { return votes_.Of("b", Vote::kPrepared) == 2; }));
  EXPECT_EQ(Connections(0), 1U) << "b is served there";
  SetAddress("b", 1);
  EXPECT_TRUE(Eventually([&] { return Connections(0) == 0; }));
  Prepare({"a", "b"});
  EXPECT_TRUE(Eventually([&] { return votes_.Of("b", Vote::kPrepared) == 3; }));
  EXPECT_EQ(Connections(1), 1U);
}

TEST_F(ResourceMessengerTest, Scenario85_ResourceIsRetired_ItsConnectionIsClosed) {
  SetAddress("a", 0);
  Prepare({"a"});
  ASSERT_TRUE(Eventually([&] { return votes_.Of("a", Vote::kPrepared) == 1; }));
  client_loop_->RunSync([&] { messenger_->SetAddress("a", ""); });
  EXPECT_TRUE(Eventually([&] { return Connections(0) == 0; }));
  Prepare({"a"});
  EXPECT_TRUE(Eventually([&] { return votes_.Of("a", Vote::kUnavailable) == 1; }));
  SetAddress("a", 1);
  Prepare({"a"});
  EXPECT_TRUE(Eventually([&] { return votes_.Of("a", Vote::kPrepared) == 2; }));
}

TEST_F(ResourceMessengerTest, AddressGoesWithACallUnderWay_TheCallEndsAsUnavailable) {
  SetAddress("slow", 0);
  Prepare({"slow"});
  ASSERT_TRUE(Eventually([&] { return handler_->calls == 1; }));
  SetAddress("slow", 1);
  EXPECT_TRUE(Eventually([&] { return votes_.Of("slow", Vote::kUnavailable) == 1; }));
}

TEST_F(ResourceMessengerTest, UnknownResource_IsUnavailable) {
  Prepare({"nobody"});
  EXPECT_TRUE(Eventually([&] { return votes_.Of("nobody", Vote::kUnavailable) == 1; }));
}

}  // namespace
}  // namespace concordat::rpc
