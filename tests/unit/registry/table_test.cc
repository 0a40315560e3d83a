#include "coordinator/registry/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/registry/harness.h"

namespace concordat::registry {
namespace {

class ResourceTableTest : public ::testing::Test {
 protected:
  Effect Apply(const Record& record) {
    index_ = LogIndex(index_.value() + 1);
    return table_.Apply(index_, record, users_);
  }
  static std::vector<std::string> Portions(ResourceTable* table) {
    std::vector<std::string> portions;
    const auto source = table->TakeSnapshot();
    while (auto portion = source->Next()) portions.push_back(*std::move(portion));
    return portions;
  }
  static absl::Status Restore(TableRestore* restore,
                              const std::vector<std::string>& portions) {
    for (const std::string& portion : portions) {
      if (absl::Status s = restore->Append(portion); !s.ok()) return s;
    }
    return restore->Finish();
  }
  // More than one portion of resources.
  void Fill() {
    for (int i = 0; i < 3000; ++i) {
      ResourceRecord resource = Bank(absl::StrCat("bank-", i));
      resource.store = absl::StrCat("store-", i);
      resource.generation = static_cast<uint64_t>(i);
      Apply(resource);
    }
  }

  FakeUsers users_;
  ResourceTable table_;
  LogIndex index_;
};

TEST_F(ResourceTableTest, LastRegistrationHolds) {
  EXPECT_EQ(Apply(Bank("bank-a", "here")), Effect::kRegistered);
  EXPECT_EQ(Apply(Bank("bank-a", "here")), Effect::kUnchanged);
  EXPECT_EQ(Apply(Bank("bank-a", "there")), Effect::kRegistered);
  EXPECT_EQ(table_.resources().at("bank-a").address, "there");
}

TEST_F(ResourceTableTest, StoreThatHasTheName_KeepsItFromOthersAndFromItsOldCopies) {
  EXPECT_EQ(Apply(BankAt(kSeen)), Effect::kRegistered);
  EXPECT_EQ(Apply(BankIn("2")), Effect::kOtherStore);
  EXPECT_EQ(Apply(BankAt(kBackup)), Effect::kOlderStore);
  EXPECT_EQ(Apply(BankAt(kSeen + 1)), Effect::kGenerationGrown);
  EXPECT_EQ(table_.resources().at("bank-a"), BankAt(kSeen + 1));
}

TEST_F(ResourceTableTest, UsedResource_IsNotRetired) {
  Apply(Bank("bank-a"));
  EXPECT_EQ(Apply(RetiredRecord{"bank-b", "ann"}), Effect::kUnchanged);
  users_.users["bank-a"] = Gtid{GroupId(1), Term(1), 1};
  EXPECT_EQ(Apply(RetiredRecord{"bank-a", "ann"}), Effect::kInUse);
  EXPECT_NE(table_.Find("bank-a"), nullptr);
  users_.users.clear();
  EXPECT_EQ(Apply(RetiredRecord{"bank-a", "ann"}), Effect::kRetired);
  EXPECT_EQ(table_.Find("bank-a"), nullptr);
}

TEST_F(ResourceTableTest, Scenario51_SameRecordsSameHash_AnyDifferenceAnother) {
  ResourceTable other;
  for (const auto* address : {"here", "there"}) {
    index_ = LogIndex(index_.value() + 1);
    table_.Apply(index_, Bank("bank-a", address), users_);
    other.Apply(index_, Bank("bank-a", address), users_);
    EXPECT_EQ(table_.Hash(), other.Hash());
  }
  index_ = LogIndex(index_.value() + 1);
  users_.users["bank-a"] = Gtid{GroupId(1), Term(1), 1};
  table_.Apply(index_, RetiredRecord{"bank-a", ""}, users_);
  other.Apply(index_, RetiredRecord{"bank-a", ""}, FakeUsers());
  EXPECT_NE(table_.Hash(), other.Hash()) << "what became of a record is part of it";
}

TEST_F(ResourceTableTest, RestoredTable_HasTheSameBytesAndHash_AndGoesOnLikeTheOriginal) {
  Fill();
  const auto portions = Portions(&table_);
  EXPECT_GT(portions.size(), 2u);
  for (const std::string& portion : portions) {
    EXPECT_LE(portion.size(), group::kMaxPortionBytes);
  }
  TableRestore restore(index_);
  ASSERT_TRUE(Restore(&restore, portions).ok());
  ResourceTable& copy = restore.table();
  EXPECT_EQ(Portions(&copy), portions);
  EXPECT_EQ(copy.Hash(), table_.Hash());
  EXPECT_EQ(copy.resources(), table_.resources());
  index_ = LogIndex(index_.value() + 1);
  for (ResourceTable* table : {&table_, &copy}) {
    table->Apply(index_, Bank("bank-a"), users_);
  }
  EXPECT_EQ(copy.Hash(), table_.Hash());
}

TEST_F(ResourceTableTest, EmptyTable_HasASnapshotToo) {
  TableRestore restore(index_);
  ASSERT_TRUE(Restore(&restore, Portions(&table_)).ok());
  EXPECT_TRUE(restore.table().resources().empty());
}

TEST_F(ResourceTableTest, SnapshotUnderWay_ShowsWhatWasThereWhenItWasTaken) {
  Fill();
  const auto portions = Portions(&table_);
  const LogIndex taken = index_;
  const auto source = table_.TakeSnapshot();
  std::vector<std::string> later;
  while (auto portion = source->Next()) {
    later.push_back(*std::move(portion));
    Apply(RetiredRecord{absl::StrCat("bank-", later.size()), "ann"});
    Apply(Bank("bank-2999", absl::StrCat("there:", later.size())));
  }
  EXPECT_EQ(later, portions);
  EXPECT_GT(index_, taken);
  EXPECT_EQ(table_.Find("bank-1"), nullptr);
}

TEST_F(ResourceTableTest, MissingRepeatedOrForeignPortion_IsAnError) {
  Fill();
  const auto portions = Portions(&table_);
  for (size_t left_out = 0; left_out < portions.size(); ++left_out) {
    auto some = portions;
    some.erase(some.begin() + static_cast<ptrdiff_t>(left_out));
    TableRestore restore(index_);
    EXPECT_EQ(Restore(&restore, some).code(), absl::StatusCode::kDataLoss) << left_out;
  }
  Apply(Bank("bank-a"));
  TableRestore mixed(index_);
  ASSERT_TRUE(mixed.Append(portions[0]).ok());
  EXPECT_EQ(mixed.Append(Portions(&table_)[1]).code(), absl::StatusCode::kDataLoss);
  TableRestore nothing(index_);
  EXPECT_EQ(nothing.Finish().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ResourceTableTest, EveryTruncatedPortion_IsAnErrorAtTheLatestAtTheEnd) {
  Apply(BankAt(kSeen));
  const std::string portion = Portions(&table_)[0];
  for (size_t size = 0; size < portion.size(); ++size) {
    TableRestore restore(index_);
    EXPECT_FALSE(Restore(&restore, {portion.substr(0, size)}).ok()) << size;
  }
  TableRestore restore(index_);
  EXPECT_EQ(Restore(&restore, {portion + "x"}).code(), absl::StatusCode::kDataLoss);
}

TEST_F(ResourceTableTest, SnapshotOfAnotherVersion_IsRefused) {
  std::string portion = Portions(&table_)[0];
  ++portion[0];
  TableRestore restore(index_);
  EXPECT_EQ(restore.Append(portion).code(), absl::StatusCode::kUnimplemented);
}

TEST_F(ResourceTableTest, StateThatIsLaterThanItsSnapshot_IsAnError) {
  Fill();
  TableRestore restore(LogIndex(index_.value() - 1));
  EXPECT_EQ(Restore(&restore, Portions(&table_)).code(), absl::StatusCode::kDataLoss);
}

TEST_F(ResourceTableTest, IndexThatGoesBack_IsAProgrammersError) {
  Apply(Bank("bank-a"));
  EXPECT_DEATH(table_.Apply(LogIndex(1), Bank("bank-a"), users_), "after 1");
}

TEST_F(ResourceTableTest, Scenario51_SameRecordAtAnotherIndex_AnotherHash) {
  ResourceTable other;
  table_.Apply(LogIndex(1), Bank("bank-a"), users_);
  other.Apply(LogIndex(2), Bank("bank-a"), users_);
  EXPECT_NE(table_.Hash(), other.Hash());
}

}  // namespace
}  // namespace concordat::registry
