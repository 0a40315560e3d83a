#include "examples/transfer/input/transfer_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "examples/transfer/input/placement.h"

namespace concordat::transfer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

TransferFile Read(const std::string& text, int decimals = 2) {
  std::istringstream in(text);
  const auto file = ReadTransfers(&in, Scale(decimals), BadRows::kSkip);
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? *file : TransferFile{};
}

// The reason for which a single row is bad, at two decimals.
std::string ReasonFor(const std::string& row) {
  const TransferFile file = Read(row + "\n");
  EXPECT_THAT(file.transfers, IsEmpty()) << row;
  EXPECT_THAT(file.bad_rows, SizeIs(1)) << row;
  return file.bad_rows.size() == 1 ? file.bad_rows[0].reason : "";
}

TEST(TransferReader, Rows_BecomeTransfersWithTheirLines) {
  const TransferFile file =
      Read("from,to,amount\nhome:1,YZ:87,245.20\nYZ:87,home:2,.80\n");
  EXPECT_THAT(file.bad_rows, IsEmpty());
  EXPECT_THAT(
      file.transfers,
      ElementsAre(Transfer{2, {"home", "1"}, {"YZ", "87"}, Money::FromUnits(24520)},
                  Transfer{3, {"YZ", "87"}, {"home", "2"}, Money::FromUnits(80)}));
}

TEST(TransferReader, HeaderIsOptional_AndOnlyTheFirstRowIsOne) {
  EXPECT_THAT(Read("a:1,b:1,5\n").transfers, SizeIs(1));
  EXPECT_THAT(Read("\xef\xbb\xbf\"from\",\"to\",\"amount\"\r\na:1,b:1,5\r\n").transfers,
              SizeIs(1));
  const TransferFile file = Read("from,to,amount\nfrom,to,amount\n");
  EXPECT_THAT(file.bad_rows,
              ElementsAre(BadRow{2, "from: account \"from\" has no colon"}));
}

TEST(TransferReader, ColonsInTheAccount_BelongToIt) {
  const TransferFile file = Read("de:iban:12,b:1,5\n");
  ASSERT_THAT(file.transfers, SizeIs(1));
  EXPECT_EQ(file.transfers[0].from, (AccountId{"de", "iban:12"}));
  EXPECT_EQ(ToString(file.transfers[0].from), "de:iban:12");
}

TEST(TransferReader, BadRow_SaysWhatIsWrong) {
  EXPECT_THAT(ReasonFor("a:1,b:1"), StartsWith("missing field"));
  EXPECT_THAT(ReasonFor("a:1"), StartsWith("missing field"));
  EXPECT_THAT(ReasonFor("a:1,b:1,5,x"), StartsWith("too many fields"));
  EXPECT_EQ(ReasonFor("a,b:1,5"), "from: account \"a\" has no colon");
  EXPECT_EQ(ReasonFor("a:1,b,5"), "to: account \"b\" has no colon");
  EXPECT_EQ(ReasonFor(",b:1,5"), "from: account \"\" is empty");
  EXPECT_EQ(ReasonFor(":1,b:1,5"), "from: account \":1\" names no bank");
  EXPECT_EQ(ReasonFor("a:1,b:,5"), "to: account \"b:\" names no account");
  EXPECT_THAT(ReasonFor("a:1 ,b:1,5"), HasSubstr("blanks"));
  EXPECT_THAT(ReasonFor("a:1,\"b:\n1\",5"), HasSubstr("control characters"));
  EXPECT_THAT(ReasonFor("a:" + std::string(65, '1') + ",b:1,5"), HasSubstr("too long"));
  EXPECT_EQ(ReasonFor("a:1,b:1,0"), "the amount is zero");
  EXPECT_EQ(ReasonFor("a:1,b:1,0.00"), "the amount is zero");
  EXPECT_EQ(ReasonFor("a:1,b:1,-5"), "amount \"-5\" has a sign");
  EXPECT_EQ(ReasonFor("a:1,b:1,"), "amount \"\" is empty");
  EXPECT_EQ(ReasonFor("a:1,b:1,1.005"), "amount \"1.005\" has more than 2 decimals");
  EXPECT_EQ(ReasonFor("a:1,b:1,92233720368547758.08"),
            "amount \"92233720368547758.08\" is too large");
  EXPECT_EQ(ReasonFor("a:1,b:1,five"), "amount \"five\" is not a number");
  EXPECT_EQ(ReasonFor("a:1,a:1,5"), "from and to are the same account");
  EXPECT_THAT(ReasonFor("a:1,b:\"1,5"), HasSubstr("quote"));
}

TEST(TransferReader, BadRows_AreSkippedAndNamedByLine) {
  const TransferFile file =
      Read("from,to,amount\r\na:1,b:1,1\r\nbad\r\n\r\n  \r\na:1,b:1,2\r\na:1,b:1,0");
  EXPECT_THAT(file.transfers, SizeIs(2));
  ASSERT_THAT(file.bad_rows, SizeIs(2));
  EXPECT_THAT(ToString(file.bad_rows[0]), StartsWith("line 3: missing field"));
  EXPECT_EQ(ToString(file.bad_rows[1]), "line 7: the amount is zero");
}

TEST(TransferReader, DecimalsOfTheBank_DecideWhatIsTooMany) {
  EXPECT_THAT(Read("a:1,b:1,1.005\n", 2).bad_rows, SizeIs(1));
  const TransferFile file = Read("a:1,b:1,1.005\n", 3);
  ASSERT_THAT(file.transfers, SizeIs(1));
  EXPECT_EQ(file.transfers[0].amount, Money::FromUnits(1005));
}

TEST(ReadTransfers, Strict_OneBadRow_RefusesTheWholeFile) {
  std::istringstream in("a:1,b:1,1\na:1,b:1,0\na:1,b:1,2\n");
  const auto file = ReadTransfers(&in, Scale(2), BadRows::kRefuseFile);
  EXPECT_TRUE(absl::IsInvalidArgument(file.status()));
  EXPECT_EQ(file.status().message(), "1 bad rows; line 2: the amount is zero");
}

TEST(ReadTransfers, Strict_ManyBadRows_AreCountedAndTheFirstNamed) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "a:1,b:1,0\n";
  std::istringstream in(text);
  const auto file = ReadTransfers(&in, Scale(2), BadRows::kRefuseFile);
  const std::string message(file.status().message());
  EXPECT_THAT(message, StartsWith("100 bad rows; line 1: "));
  EXPECT_THAT(message, HasSubstr("line 10: "));
  EXPECT_THAT(message, Not(HasSubstr("line 11: ")));
}

TEST(ReadTransfers, Strict_GoodFile_IsRead) {
  std::istringstream in("from,to,amount\na:1,b:1,1\n");
  const auto file = ReadTransfers(&in, Scale(2), BadRows::kRefuseFile);
  ASSERT_TRUE(file.ok());
  EXPECT_THAT(file->transfers, SizeIs(1));
}

TEST(ReadTransfers, StreamThatIsBroken_IsAnErrorAndNotAShortFile) {
  std::istringstream in("a:1,b:1,1\n");
  in.setstate(std::ios::badbit);
  EXPECT_TRUE(absl::IsDataLoss(ReadTransfers(&in, Scale(2), BadRows::kSkip).status()));
}

TEST(ReadTransfers, SampleFile_HasNoBadRow) {
  std::ifstream in(SAMPLE_FILE);
  ASSERT_TRUE(in.is_open()) << SAMPLE_FILE;
  const auto file = ReadTransfers(&in, Scale(2), BadRows::kRefuseFile);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(file->transfers, SizeIs(3000));
  EXPECT_EQ(BanksOf(AccountsOf(file->transfers)),
            (std::set<std::string>{"alder", "birch", "cedar", "damson", "elm"}));
}

TEST(AccountsOf, Transfers_GivesEachAccountOnceAndSorted) {
  const TransferFile file = Read("b:2,a:1,1\na:1,b:1,1\nb:2,b:1,1\n");
  EXPECT_THAT(AccountsOf(file.transfers),
              ElementsAre(AccountId{"a", "1"}, AccountId{"b", "1"}, AccountId{"b", "2"}));
}

}  // namespace
}  // namespace concordat::transfer
