// The other end of a participant's calls: it answers hello, registrations and inquiries
// as a test tells it to, over real sockets.
#ifndef TESTS_UNIT_SDK_TEST_COORDINATOR_H_
#define TESTS_UNIT_SDK_TEST_COORDINATOR_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "concordat_wire/CoordinatorService.h"
#include "coordinator/base/check.h"
#include "coordinator/base/mutex.h"
#include "thrift/rpc/codec.h"
#include "thrift/rpc/server.h"

namespace concordat::participant {

inline wire::Result ResultOf(wire::Code::type code) {
  wire::Result result;
  result.code = code;
  return result;
}

class TestCoordinator final : public wire::CoordinatorServiceCobSvIf,
                              public std::enable_shared_from_this<TestCoordinator> {
 public:
  static constexpr int64_t kCluster = 4711;

  // Called on the loop's thread.
  void Listen(rpc::EventLoop* loop) {
    server_ = std::make_unique<rpc::Server>(
        loop, std::make_shared<wire::CoordinatorServiceAsyncProcessorT<rpc::Codec>>(
                  shared_from_this()));
    const auto bound = server_->Listen(*rpc::Address::Parse("127.0.0.1:0"));
    CONCORDAT_CHECK(bound.ok()) << bound.status();
    address_ = bound->ToString();
  }
  void Close() { server_.reset(); }
  [[nodiscard]] const std::string& address() const { return address_; }

  // --- what it answers; thread-safe ---
  void set_silent(bool silent) {
    Set([&] { silent_ = silent; });
  }
  void set_leader(const std::string& leader) {
    Set([&] { leader_ = leader; });
  }
  void set_answer(wire::InquiryAnswer::type answer) {
    Set([&] { answer_ = answer; });
  }
  void set_watermark(wire::Gtid watermark) {
    Set([&] { watermarks_ = {watermark}; });
  }
  void set_refuses(bool refuses) {
    Set([&] { refuses_ = refuses; });
  }
  // --- what it was sent ---
  [[nodiscard]] size_t registrations() {
    MutexLock lock(&mutex_);
    return registrations_;
  }
  [[nodiscard]] std::vector<wire::ResourceInfo> resources() {
    MutexLock lock(&mutex_);
    return resources_;
  }
  [[nodiscard]] std::vector<wire::BranchId> inquired() {
    MutexLock lock(&mutex_);
    return inquired_;
  }

  void hello(std::function<void(const wire::HelloReply&)> cob,
             const wire::CallContext&) override {
    wire::HelloReply reply;
    MutexLock lock(&mutex_);
    reply.result = ResultOf(silent_ ? wire::Code::UNAVAILABLE : wire::Code::OK);
    reply.version = 1;
    reply.cluster = kCluster;
    reply.node = 1;
    cob(reply);
  }
  void registerResources(std::function<void(const wire::RegisterReply&)> cob,
                         const wire::RegisterRequest& request) override {
    wire::RegisterReply reply;
    MutexLock lock(&mutex_);
    reply.result = LeaderResult();
    if (refuses_) {
      reply.result = ResultOf(wire::Code::INVALID);
      reply.result.__set_message("another store");
    } else if (reply.result.code == wire::Code::OK) {
      ++registrations_;
      resources_ = request.resources;
      reply.__set_cluster(kCluster);
      reply.__set_heartbeat_ms(50);
      reply.__set_watermarks(watermarks_);
    }
    cob(reply);
  }
  void inquire(std::function<void(const wire::InquiryReply&)> cob,
               const wire::InquiryRequest& request) override {
    wire::InquiryReply reply;
    MutexLock lock(&mutex_);
    reply.result = LeaderResult();
    reply.__isset.items = true;
    for (const wire::BranchId& branch : request.branches) {
      inquired_.push_back(branch);
      wire::InquiryItem& item = reply.items.emplace_back();
      item.result = ResultOf(wire::Code::OK);
      item.__set_answer(answer_);
    }
    cob(reply);
  }

  // A participant calls none of these.
  void allocateGtids(std::function<void(const wire::BeginReply&)>,
                     const wire::BeginRequest&) override {}
  void commit(std::function<void(const wire::OutcomeReply&)>,
              const wire::CommitRequest&) override {}
  void rollback(std::function<void(const wire::OutcomeReply&)>,
                const wire::RollbackRequest&) override {}
  void enlist(std::function<void(const wire::Result&)>,
              const wire::EnlistRequest&) override {}
  void outcome(std::function<void(const wire::OutcomeReply&)>,
               const wire::OutcomeRequest&) override {}
  void resolve(std::function<void(const wire::ResolveReply&)>,
               const wire::ResolveRequest&) override {}
  void status(std::function<void(const wire::StatusReply&)>,
              const wire::CallContext&) override {}
  void listTransactions(std::function<void(const wire::ListTransactionsReply&)>,
                        const wire::ListTransactionsRequest&) override {}
  void showTransaction(std::function<void(const wire::ShowTransactionReply&)>,
                       const wire::OutcomeRequest&) override {}
  void listHeuristics(std::function<void(const wire::ListHeuristicsReply&)>,
                      const wire::ListHeuristicsRequest&) override {}
  void forgetHeuristic(std::function<void(const wire::Result&)>,
                       const wire::ForgetHeuristicRequest&) override {}
  void retireResource(std::function<void(const wire::Result&)>,
                      const wire::RetireResourceRequest&) override {}
  void members(std::function<void(const wire::MembersReply&)>,
               const wire::CallContext&) override {}
  void changeMember(std::function<void(const wire::ChangeMemberReply&)>,
                    const wire::ChangeMemberRequest&) override {}

 private:
  template <class Change>
  void Set(Change change) {
    MutexLock lock(&mutex_);
    change();
  }
  wire::Result LeaderResult() {
    if (leader_.empty())
      return ResultOf(silent_ ? wire::Code::UNAVAILABLE : wire::Code::OK);
    wire::Result result = ResultOf(wire::Code::NOT_LEADER);
    result.__set_leader_hint(leader_);
    return result;
  }

  std::unique_ptr<rpc::Server> server_;
  std::string address_;
  Mutex mutex_;
  bool refuses_ ABSL_GUARDED_BY(mutex_) = false;
  bool silent_ = false;
  std::string leader_;  // empty: this one
  wire::InquiryAnswer::type answer_ = wire::InquiryAnswer::WAIT;
  std::vector<wire::Gtid> watermarks_;
  size_t registrations_ = 0;
  std::vector<wire::ResourceInfo> resources_;
  std::vector<wire::BranchId> inquired_;
};

}  // namespace concordat::participant

#endif  // TESTS_UNIT_SDK_TEST_COORDINATOR_H_
