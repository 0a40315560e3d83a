// The template of a service of one's own, as processes: the script runs, and a service
// that is killed at any step leaves seats and payments that agree with what the clients
// were told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/client/client.h"
#include "coordinator/client/operations.h"
#include "tests/support/processes.h"

namespace concordat::testing {
namespace {

using client::CommitResult;
using ::testing::HasSubstr;

constexpr double kPatience = 60;

std::string BuildDir() { return ProgramDir() + "/../../.."; }

TEST(OwnResourceExample, Script_ShowsSeatAndPaymentTogether) {
  const TempDir dir("/tmp");
  const std::string log = dir.path() + "/out";
  Child run(
      {"/bin/bash", std::string(CONCORDAT_SOURCE_DIR) + "/examples/own-resource/run.sh",
       "--build-dir", BuildDir()},
      log);
  ASSERT_EQ(run.WaitForExit(180), 0) << TextOf(log);
  const std::string text = TextOf(log);
  EXPECT_THAT(text, HasSubstr("12A is sold"));
  EXPECT_THAT(text, HasSubstr("12A confirmed ann\nann has 10\n"));
  EXPECT_THAT(text, HasSubstr("12A confirmed ann\n12B confirmed ann\nann has 0\n"))
      << text;
}

class KilledService : public ::testing::Test {
 protected:
  static constexpr int kPrice = 20;

  KilledService() : dir_("/tmp") {
    address_ = absl::StrCat("127.0.0.1:", FreePort());
    node_ = std::make_unique<Child>(
        std::vector<std::string>{
            BuildDir() + "/coordinator/daemon/concordatd", "--id", "1", "--members",
            absl::StrCat("1=127.0.0.1:", FreePort(), "/", address_), "--data-dir",
            dir_.path() + "/node", "--segment-bytes", "4194304"},
        dir_.path() + "/node.log");
    EXPECT_TRUE(node_->WaitForLine("ready: clients", kPatience));
    bank_ = std::make_unique<Child>(
        std::vector<std::string>{BuildDir() + "/participant/daemon/concordat-rm",
                                 "--listen", absl::StrCat("127.0.0.1:", FreePort()),
                                 "--coordinators", address_, "--resource",
                                 absl::StrCat("bank=kv://", dir_.path(), "/bank")},
        dir_.path() + "/bank.log");
    EXPECT_TRUE(bank_->WaitForLine("ready on", kPatience));
    client_ = NewClient();
    const CommitResult opened = client_->Run([](client::Transaction& t) {
      return t.Kv("bank", {client::Put("ann", "1000")}).status();
    });
    EXPECT_TRUE(opened.committed()) << opened;
  }

  std::unique_ptr<client::Client> NewClient() {
    client::ClientOptions options;
    options.coordinators = {address_};
    options.execute_timeout = Duration::Seconds(20);
    auto client = client::Client::Connect(options);
    EXPECT_TRUE(client.ok()) << client.status();
    return std::move(*client);
  }
  void Serve(const std::string& step) {
    const std::string log = dir_.path() + "/seats.log";
    std::ofstream(log, std::ios::trunc).close();
    seats_ = std::make_unique<Child>(
        std::vector<std::string>{ProgramDir() + "/dying-seats", address_,
                                 absl::StrCat("127.0.0.1:", port_),
                                 dir_.path() + "/seats", step},
        log);
    // A service that dies in its recovery is never ready.
    if (step.find("lookup") == std::string::npos) {
      ASSERT_TRUE(seats_->WaitForLine("ready on", kPatience)) << TextOf(log);
    }
  }
  static absl::Status Book(client::Transaction* t, const std::string& seat) {
    wire::ExecuteRequest book;
    book.__set_opaque("book " + seat + " ann");
    const auto booked = t->Execute("seats", book);
    if (booked.result.code != wire::Code::OK) return client::ToStatus(booked.result);
    return absl::OkStatus();
  }
  static absl::Status Pay(client::Transaction* t) {
    return t->Kv("bank", {client::AddIfAtLeast("ann", -kPrice, 0)}).status();
  }
  CommitResult Buy(client::Client* client, const std::string& seat) {
    return client->Run(
        [&](client::Transaction& t) -> absl::Status {
          if (absl::Status s = Book(&t, seat); !s.ok()) return s;
          return Pay(&t);
        },
        {.transaction = {}, .max_attempts = 1});
  }
  int64_t Balance() {
    int64_t balance = -1;
    const CommitResult read = client_->Run([&](client::Transaction& t) -> absl::Status {
      auto got = t.Kv("bank", {client::Get("ann")});
      if (!got.ok()) return got.status();
      balance = std::stoll(got->at(0).pairs.at(0).value);
      return absl::OkStatus();
    });
    EXPECT_TRUE(read.committed()) << read;
    return balance;
  }
  // Read directly from the service's file: "12A confirmed ann
  // ".
  std::string Taken() {
    sqlite3* db = nullptr;
    sqlite3_open((dir_.path() + "/seats/seats.db").c_str(), &db);
    sqlite3_busy_timeout(db, 10'000);
    std::string rows;
    const auto add = [](void* out, int, char** values, char**) {
      *static_cast<std::string*>(out) += absl::StrCat(values[0], " ", values[1], "\n");
      return 0;
    };
    sqlite3_exec(db, "SELECT seat, state FROM taken ORDER BY seat", add, &rows, nullptr);
    sqlite3_close(db);
    return rows;
  }
  bool NothingIsHeld() {
    return WaitUntil(kPatience,
                     [&] { return Taken().find("tried") == std::string::npos; });
  }
  int64_t Sold() {
    const std::string taken = Taken();
    return std::count(taken.begin(), taken.end(), '\n');
  }

  TempDir dir_;
  std::string address_;
  uint16_t port_ = FreePort();
  std::unique_ptr<Child> node_;
  std::unique_ptr<Child> bank_;
  std::unique_ptr<Child> seats_;
  std::unique_ptr<client::Client> client_;
};

class KilledAtStep : public KilledService,
                     public ::testing::WithParamInterface<const char*> {};

// The client buys, the service dies at the step, and starts again.
TEST_P(KilledAtStep, SeatAndPayment_AgreeWithTheAnswer) {
  const std::string step = GetParam();
  const bool cancels = step.find("cancel") != std::string::npos;
  const bool recovers = step.find("lookup") != std::string::npos;
  Serve(recovers ? "after-confirm" : step);
  CommitResult result;
  std::thread buyer([&] {
    auto client = NewClient();
    if (!cancels) {
      result = Buy(client.get(), "12A");
      return;
    }
    auto t = client->Begin();
    ASSERT_TRUE(t.ok());
    EXPECT_TRUE(Book(&*t, "12A").ok());
    result = t->Rollback();
  });
  EXPECT_EQ(seats_->WaitForExit(kPatience), -1) << "it did not get to the step";
  if (recovers) {
    Serve(step);
    EXPECT_EQ(seats_->WaitForExit(kPatience), -1) << "it looks nothing up";
  }
  Serve("");
  buyer.join();
  ASSERT_TRUE(NothingIsHeld()) << Taken();
  if (result.outcome == Outcome::kUnknown) result = client_->Ask(result);
  ASSERT_NE(result.outcome, Outcome::kUnknown) << result;
  ASSERT_TRUE(WaitUntil(kPatience, [&] {
    return Balance() == (result.committed() ? 1000 - kPrice : 1000);
  })) << result;
  EXPECT_EQ(Taken(), result.committed() ? "12A confirmed\n" : "") << result;
  EXPECT_EQ(result.committed(), step.find("confirm") != std::string::npos || recovers);
  // It goes on as if nothing had happened.
  EXPECT_TRUE(Buy(client_.get(), "12B").committed());
}

INSTANTIATE_TEST_SUITE_P(Steps, KilledAtStep,
                         ::testing::Values("before-try", "after-try", "before-confirm",
                                           "after-confirm", "before-cancel",
                                           "after-cancel", "before-lookup",
                                           "after-lookup"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// One branch alone, committed by the service itself.
TEST_F(KilledService, InOnePhase_TheAnswerCanBeAskedForAfterwards) {
  for (const char* step : {"before-confirm", "after-confirm"}) {
    SCOPED_TRACE(step);
    Serve(step);
    CommitResult result;
    std::thread buyer([&] {
      result = NewClient()->Run([&](client::Transaction& t) { return Book(&t, "1A"); },
                                {.transaction = {}, .max_attempts = 1});
    });
    EXPECT_EQ(seats_->WaitForExit(kPatience), -1);
    Serve("");
    buyer.join();
    ASSERT_TRUE(NothingIsHeld());
    for (int i = 0; i < 50 && result.outcome == Outcome::kUnknown; ++i) {
      result = client_->Ask(result);
    }
    EXPECT_EQ(result.committed(), std::string(step) == "after-confirm") << result;
    EXPECT_EQ(Taken(), result.committed() ? "1A confirmed\n" : "");
    seats_->Kill();
  }
}

// Buyers go on while the service is killed at random moments.
TEST_F(KilledService, Often_NoSeatWithoutPaymentAndNoPaymentWithoutASeat) {
  Serve("");
  std::atomic<int64_t> committed{0};
  std::atomic<int64_t> unknown{0};
  std::atomic<int> next{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> buyers;
  for (int i = 0; i < 3; ++i) {
    buyers.emplace_back([&] {
      auto client = NewClient();
      while (!stop) {
        const int n = next++ % 48;
        const std::string seat = absl::StrCat(1 + n / 6, std::string(1, "ABCDEF"[n % 6]));
        CommitResult result = Buy(client.get(), seat);
        if (result.outcome == Outcome::kUnknown) result = client->Ask(result);
        if (result.committed()) ++committed;
        if (result.outcome == Outcome::kUnknown) ++unknown;
      }
    });
  }
  for (int kill = 0; kill < 8; ++kill) {
    std::this_thread::sleep_for(std::chrono::milliseconds(60 + 37 * kill));
    seats_->Kill();
    Serve("");
  }
  stop = true;
  for (std::thread& buyer : buyers) buyer.join();
  ASSERT_TRUE(NothingIsHeld()) << Taken();
  const int64_t sold = Sold();
  EXPECT_GT(sold, 0);
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return Balance() == 1000 - kPrice * sold; }))
      << Balance() << " left, sold " << sold;
  EXPECT_LE(committed, sold);
  EXPECT_GE(committed + unknown, sold);
}

}  // namespace
}  // namespace concordat::testing
