// Scenario 91: lists of any length, in answers that can be sent.
#include "coordinator/rpc/page.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "concordat_wire/coordinator_types.h"
#include "coordinator/rpc/coordinator_service.h"

namespace concordat::rpc {
namespace {

// A node with many of everything.
class BigNode final : public CoordinatorBackend {
 public:
  void Submit(registry::Request, RegistryDone) override {}
  void Submit(txn::Request, Done) override {}
  [[nodiscard]] bool is_ready_leader() const override { return true; }
  void Submit(const MemberRequest&, MemberDone) override {}
  [[nodiscard]] MembersView Members() const override { return {}; }
  [[nodiscard]] NodeId node() const override { return NodeId(2); }
  [[nodiscard]] ClusterId cluster() const override { return ClusterId(7); }
  [[nodiscard]] NodeId leader() const override { return NodeId(1); }
  [[nodiscard]] const Gtid& watermark() const override { return none_; }
  [[nodiscard]] NodeView View() const override { return {}; }
  [[nodiscard]] const std::map<NodeId, std::string>& client_addresses() const override {
    return addresses_;
  }
  [[nodiscard]] std::vector<registry::ResourceView> Resources() const override {
    std::vector<registry::ResourceView> views(4096);
    for (size_t i = 0; i < views.size(); ++i) {
      views[i].resource.name = absl::StrCat("resource-", 10'000 + i);
      views[i].resource.address = "participant.example.com:7001";
      views[i].refused = std::string(500, 'x');
    }
    return views;
  }
  [[nodiscard]] std::vector<txn::TransactionView> List(const Gtid& after,
                                                       size_t limit) const override {
    std::vector<txn::TransactionView> views;
    for (uint64_t i = after.sequence + 1; i <= 10'000 && views.size() < limit; ++i) {
      txn::TransactionView& view = views.emplace_back();
      view.gtid = Gtid{GroupId(1), Term(1), i};
      view.state = txn::TxnState::kStaged;
      for (int branch = 0; branch < 10; ++branch) {
        view.branches.emplace_back().id =
            BranchId{view.gtid, absl::StrCat("bank-", branch), Incarnation(5), i};
      }
    }
    return views;
  }
  [[nodiscard]] txn::TransactionView Show(const Gtid&) const override { return {}; }
  [[nodiscard]] std::vector<txn::HeuristicView> Heuristics(const BranchId& after,
                                                           size_t limit) const override {
    std::vector<txn::HeuristicView> views;
    for (uint64_t i = after.gtid.sequence + 1; i <= 20'000 && views.size() < limit; ++i) {
      const BranchId id{Gtid{GroupId(1), Term(1), i}, "bank", Incarnation(5), 1};
      views.push_back({id, Heuristic::kHazard, std::string(200, 'x')});
    }
    return views;
  }

 private:
  const Gtid none_{};
  const std::map<NodeId, std::string> addresses_{};
};

class Pages : public ::testing::Test {
 protected:
  // Checks the answer against the limits, as the server does.
  template <class Reply>
  static void ExpectItCanBeSent(const Reply& reply) {
    const auto writer = MakeWriter(Limits{});
    writer->BeginWrite();
    reply.write(writer.get());
    EXPECT_LT(writer->buffer()->output_size() + 100, Limits{}.max_frame_bytes);
    EXPECT_EQ(writer->write_excess(), "");
  }

  BigNode node_;
  CoordinatorServiceHandler handler_{&node_};
};

TEST_F(Pages, Scenario91_TenThousandOpenTransactions_AreAllListed) {
  wire::ListTransactionsRequest request;
  request.context.version = 1;
  request.limit = 10'000;
  std::vector<int64_t> seen;
  bool more = true;
  int pages = 0;
  for (; more && pages < 100; ++pages) {
    handler_.listTransactions(
        [&](const wire::ListTransactionsReply& reply) {
          ExpectItCanBeSent(reply);
          ASSERT_FALSE(reply.transactions.empty());
          for (const auto& one : reply.transactions) seen.push_back(one.gtid.sequence);
          request.__set_after(reply.transactions.back().gtid);
          more = reply.more;
        },
        request);
  }
  ASSERT_EQ(seen.size(), 10'000U);
  for (size_t i = 0; i < seen.size(); ++i)
    EXPECT_EQ(seen[i], static_cast<int64_t>(i) + 1);
  EXPECT_GT(pages, 1);
}

TEST_F(Pages, Scenario91_ALimitIsKept) {
  wire::ListTransactionsRequest request;
  request.context.version = 1;
  request.limit = 3;
  handler_.listTransactions(
      [](const wire::ListTransactionsReply& reply) {
        EXPECT_EQ(reply.transactions.size(), 3U);
        EXPECT_TRUE(reply.more);
      },
      request);
}

TEST_F(Pages, Scenario91_TwentyThousandHeuristics_AreAllListed) {
  wire::ListHeuristicsRequest request;
  request.context.version = 1;
  size_t seen = 0;
  bool more = true;
  while (more && seen < 100'000) {
    handler_.listHeuristics(
        [&](const wire::ListHeuristicsReply& reply) {
          ExpectItCanBeSent(reply);
          ASSERT_FALSE(reply.branches.empty());
          EXPECT_EQ(reply.branches.front().branch.gtid.sequence,
                    static_cast<int64_t>(seen) + 1);
          seen += reply.branches.size();
          request.__set_after(reply.branches.back().branch);
          more = reply.more;
        },
        request);
  }
  EXPECT_EQ(seen, 20'000U);
}

TEST_F(Pages, Scenario91_AllResourcesThatMayBe_AreInStatusAndTheNextPages) {
  std::vector<std::string> names;
  bool more = false;
  wire::CallContext context;
  context.version = 1;
  handler_.status(
      [&](const wire::StatusReply& reply) {
        ExpectItCanBeSent(reply);
        for (const auto& info : reply.resources) names.push_back(info.name);
        more = reply.more_resources;
      },
      context);
  EXPECT_TRUE(more);
  while (more && names.size() < 10'000) {
    wire::ResolveRequest request;
    request.context = context;
    request.__set_after(names.back());
    handler_.resolve(
        [&](const wire::ResolveReply& reply) {
          ExpectItCanBeSent(reply);
          ASSERT_FALSE(reply.resources.empty());
          for (const auto& info : reply.resources) names.push_back(info.name);
          more = reply.more;
        },
        request);
  }
  ASSERT_EQ(names.size(), 4096U);
  EXPECT_EQ(names.back(), absl::StrCat("resource-", 10'000 + 4095));
}

}  // namespace
}  // namespace concordat::rpc
