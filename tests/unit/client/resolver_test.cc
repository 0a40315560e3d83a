// Where a resource is, asked of nodes that do not know the same.
#include "coordinator/client/resolver.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>

#include "coordinator/client/link.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::client {
namespace {

// A node at one moment: what it has applied, and whom it takes for the leader.
class NodeThen final : public wire::CoordinatorServiceCobSvNull {
 public:
  NodeThen(std::string leader, bool knows_bank)
      : leader_(std::move(leader)), knows_bank_(knows_bank) {}

  void hello(std::function<void(const wire::HelloReply&)> cob,
             const wire::CallContext&) override {
    wire::HelloReply reply;
    reply.result.code = wire::Code::OK;
    if (!leader_.empty()) reply.__set_leader(leader_);
    cob(reply);
  }
  void resolve(std::function<void(const wire::ResolveReply&)> cob,
               const wire::ResolveRequest&) override {
    ++asked_;
    wire::ResolveReply reply;
    reply.result.code = wire::Code::OK;
    wire::ResourceInfo bank;
    bank.name = "bank";
    bank.address = "127.0.0.1:5";
    if (knows_bank_) reply.resources.push_back(bank);
    reply.__isset.resources = true;
    cob(reply);
  }
  [[nodiscard]] int asked() const { return asked_; }

 private:
  const std::string leader_;
  const bool knows_bank_;
  int asked_ = 0;
};

class ResolverTest : public ::testing::Test, public LinkProvider {
 protected:
  CoordinatorLink* Coordinator(const std::string& address) override {
    return address == "leader" ? &leader_ : follower_.get();
  }
  ParticipantLink* Participant(const std::string&) override { return nullptr; }

  absl::StatusOr<std::string> Resolve(const std::string& resource) {
    auto thread = rpc::LoopThread::Start();
    if (!thread.ok()) return thread.status();
    Coordinators coordinators((*thread)->loop(), this, {"follower"});
    Resolver resolver(&coordinators, Duration::Seconds(1));
    std::promise<absl::StatusOr<std::string>> answer;
    (*thread)->RunSync([&] {
      resolver.Resolve(resource, [&answer](absl::StatusOr<std::string> address) {
        answer.set_value(std::move(address));
      });
    });
    auto address = answer.get_future().get();
    (*thread)->StopAndJoin();
    return address;
  }

  std::unique_ptr<NodeThen> follower_ = std::make_unique<NodeThen>("leader", false);
  NodeThen leader_{"leader", true};
};

TEST_F(ResolverTest, FollowerDoesNotKnowItYet_TheLeaderIsAsked) {
  const auto address = Resolve("bank");
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(*address, "127.0.0.1:5");
  EXPECT_EQ(follower_->asked(), 1);
  EXPECT_EQ(leader_.asked(), 1);
}

TEST_F(ResolverTest, LeaderDoesNotKnowIt_NotFound) {
  EXPECT_TRUE(absl::IsNotFound(Resolve("bonk").status()));
  EXPECT_EQ(leader_.asked(), 1);
}

TEST_F(ResolverTest, NoLeaderKnown_TheSameNodeIsAskedOnceMore) {
  follower_ = std::make_unique<NodeThen>("", false);
  EXPECT_TRUE(absl::IsNotFound(Resolve("bank").status()));
  EXPECT_EQ(follower_->asked(), 2);
  EXPECT_EQ(leader_.asked(), 0);
}

}  // namespace
}  // namespace concordat::client
