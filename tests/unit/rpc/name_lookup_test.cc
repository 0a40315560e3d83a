// Scenario 84: look-ups that hang use a limited number of threads, and callers that need
// none of them go on.
#include "thrift/rpc/name_lookup.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "coordinator/base/mutex.h"
#include "tests/unit/rpc/raw_peer.h"

namespace concordat::rpc::testing {
namespace {

// A resolver that the test controls.
class Resolver {
 public:
  // The look-ups share the resolver, since they outlive their owner and it must outlive
  // them.
  [[nodiscard]] static NameLookup::Resolve Of(const std::shared_ptr<Resolver>& resolver) {
    return [resolver](const Address& name) { return resolver->LookUp(name); };
  }
  void Set(const std::string& name, const Address& address) {
    MutexLock lock(&mutex_);
    known_[name] = *address.ToSocketLiteral();
  }
  void Forget(const std::string& name) {
    MutexLock lock(&mutex_);
    known_.erase(name);
  }
  // While this is on, all look-ups hang but those of "prompt".
  void Hang(bool on) {
    MutexLock lock(&mutex_);
    hang_ = on;
    changed_.NotifyAll();
  }
  [[nodiscard]] int hanging() {
    MutexLock lock(&mutex_);
    return hanging_;
  }
  [[nodiscard]] int asked(const std::string& name) {
    MutexLock lock(&mutex_);
    return asked_[name];
  }

 private:
  NameLookup::Found LookUp(const Address& name) {
    MutexLock lock(&mutex_);
    ++asked_[name.host()];
    ++hanging_;
    while (hang_ && name.host() != "prompt") changed_.Wait(&mutex_);
    --hanging_;
    const auto found = known_.find(name.host());
    if (found == known_.end()) return absl::NotFoundError("no such name");
    return std::vector<SocketAddress>{found->second};
  }

  Mutex mutex_;
  ConditionVariable changed_;
  bool hang_ ABSL_GUARDED_BY(mutex_) = false;
  int hanging_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, int> asked_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, SocketAddress> known_ ABSL_GUARDED_BY(mutex_);
};

class NameLookupTest : public RpcTest {
 protected:
  ~NameLookupTest() override {
    resolver_->Hang(false);
    OnClient([this] { channels_.clear(); });
  }
  [[nodiscard]] Channel* ChannelToName(const std::string& name) {
    return OpenChannelTo(Address::Tcp(name, address_.port()), {},
                         {.connect_timeout = Duration::Millis(500),
                          .reconnect_max = Duration::Millis(50),
                          .lookup = &lookup_});
  }

  std::shared_ptr<Resolver> resolver_ = std::make_shared<Resolver>();
  NameLookup lookup_{Resolver::Of(resolver_)};
};

TEST_F(NameLookupTest, Scenario84_HundredsOfLookUpsHang_FewThreadsAndKnownNamesGoOn) {
  StartServer();
  resolver_->Set("known", address_);
  Channel* const known = ChannelToName("known");
  ASSERT_TRUE(Echo(known, MakeRequest(1)).ok());

  resolver_->Hang(true);
  for (int i = 0; i < 300; ++i) {
    Channel* const hanging = ChannelToName(absl::StrCat("hanging-", i));
    OnClient([&] {
      StartEcho(hanging, MakeRequest(1), Duration::Seconds(30), [](auto) {});
      StartEcho(hanging, MakeRequest(2), Duration::Seconds(30), [](auto) {});
    });
  }
  ASSERT_TRUE(Eventually(
      [&] { return resolver_->hanging() == static_cast<int>(NameLookup::kMaxThreads); }));
  EXPECT_EQ(lookup_.threads(), NameLookup::kMaxThreads);

  // The connection is lost and made again without an answer of the resolver.
  StopServer();
  ASSERT_TRUE(Eventually([&] { return !Echo(known, MakeRequest(2)).ok(); }));
  StartServer({}, address_.ToString());
  EXPECT_TRUE(Eventually([&] { return Echo(known, MakeRequest(3)).ok(); }));
  // A numeric address needs no look-up.
  EXPECT_TRUE(Eventually([&] { return Echo(OpenChannel(), MakeRequest(4)).ok(); }));
  EXPECT_EQ(lookup_.threads(), NameLookup::kMaxThreads);
}

TEST_F(NameLookupTest, Scenario84_OneNameAskedByMany_IsLookedUpOnce) {
  StartServer();
  resolver_->Set("shared", address_);
  resolver_->Hang(true);
  std::atomic<int> answered{0};
  for (int i = 0; i < 50; ++i) {
    Channel* const channel = ChannelToName("shared");
    OnClient([&] {
      StartEcho(channel, MakeRequest(1), Duration::Seconds(30),
                [&](CallResult<EchoReply> result) { answered += result.ok() ? 1 : 0; });
    });
  }
  ASSERT_TRUE(Eventually([&] { return resolver_->hanging() == 1; }));
  resolver_->Hang(false);
  EXPECT_TRUE(Eventually([&] { return answered == 50; })) << answered;
  EXPECT_EQ(resolver_->asked("shared"), 1);
}

// Counts which callbacks ran.
class Told {
 public:
  [[nodiscard]] NameLookup::Done Done() {
    return [this](const NameLookup::Found&) { ++count_; };
  }
  [[nodiscard]] bool Reaches(int count) {
    return Eventually([&] { return count_ == count; });
  }

 private:
  std::atomic<int> count_{0};
};

TEST_F(NameLookupTest, Scenario84_NamesThatTookLongTheLastTime_LeaveThreadsToOthers) {
  Told told;
  const int slow = static_cast<int>(NameLookup::kMaxThreads);
  const auto ask_slow = [&] {
    for (int i = 0; i < slow; ++i) {
      lookup_.Find(Address::Tcp(absl::StrCat("slow-", i), 1), told.Done());
    }
  };
  resolver_->Hang(true);
  ask_slow();
  ASSERT_TRUE(Eventually([&] { return resolver_->hanging() == slow; }));
  std::this_thread::sleep_for(
      std::chrono::milliseconds(NameLookup::kSlow.millis() + 100));
  resolver_->Hang(false);
  ASSERT_TRUE(told.Reaches(slow));
  resolver_->Hang(true);
  ask_slow();
  const int most = static_cast<int>(NameLookup::kMaxSlow);
  ASSERT_TRUE(Eventually([&] { return resolver_->hanging() >= most; }));
  lookup_.Find(Address::Tcp("prompt", 1), told.Done());
  EXPECT_TRUE(told.Reaches(slow + 1));
  resolver_->Hang(false);
  EXPECT_TRUE(told.Reaches(2 * slow + 1));
}

TEST_F(NameLookupTest, MoreNamesThanAreKept_TheOldestIsForgotten) {
  Told told;
  const int count = static_cast<int>(NameLookup::kMaxCached) + 1;
  const auto name = [](int i) { return absl::StrCat("name-", i); };
  for (int i = 0; i < count; ++i) {
    resolver_->Set(name(i), *Address::Parse("127.0.0.1:1"));
    lookup_.Find(Address::Tcp(name(i), 1), told.Done());
    if (i > 0) continue;
    ASSERT_TRUE(told.Reaches(1));
  }
  ASSERT_TRUE(told.Reaches(count));
  EXPECT_TRUE(lookup_.Cached(Address::Tcp(name(0), 1)).empty());
  EXPECT_FALSE(lookup_.Cached(Address::Tcp(name(count - 1), 1)).empty());
}

TEST_F(NameLookupTest, MoreNamesThanAreKeptAndAllAreAskedFor_EachIsAnswered) {
  Told told;
  const int count = static_cast<int>(NameLookup::kMaxCached) + 100;
  resolver_->Hang(true);
  for (int i = 0; i < count; ++i) {
    lookup_.Find(Address::Tcp(absl::StrCat("name-", i), 1), told.Done());
  }
  resolver_->Hang(false);
  EXPECT_TRUE(told.Reaches(count));
}

// The resolver may be down while the server is not.
TEST_F(NameLookupTest, NameThatIsNotFoundAnyMore_KeepsWhatItStoodFor) {
  Told told;
  const Address name = Address::Tcp("known", 1);
  resolver_->Set("known", *Address::Parse("127.0.0.1:1"));
  lookup_.Find(name, told.Done());
  ASSERT_TRUE(told.Reaches(1));
  resolver_->Forget("known");
  lookup_.Find(name, told.Done());
  ASSERT_TRUE(told.Reaches(2));
  EXPECT_EQ(lookup_.Cached(name).size(), 1U);
}

TEST_F(NameLookupTest, NameThatStandsForAnotherAddressNow_IsFollowed) {
  StartServer();
  RawListener gone;
  resolver_->Set("moved", gone.address());
  gone.Close();
  Channel* const channel = ChannelToName("moved");
  EXPECT_FALSE(Echo(channel, MakeRequest(1)).ok());
  resolver_->Set("moved", address_);
  EXPECT_TRUE(Eventually([&] { return Echo(channel, MakeRequest(2)).ok(); }));
}

TEST_F(NameLookupTest, NameThatIsNotFound_FailsTheCallWithTheReason) {
  StartServer();
  const CallResult<EchoReply> result = Echo(ChannelToName("nobody"), MakeRequest(1));
  EXPECT_EQ(result.outcome, CallOutcome::kNotSent);
  EXPECT_EQ(result.error, "no such name");
}

}  // namespace
}  // namespace concordat::rpc::testing
