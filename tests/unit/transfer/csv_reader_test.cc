#include "examples/transfer/input/csv_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <streambuf>
#include <string>
#include <vector>

namespace concordat::transfer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<CsvRecord> ReadRecords(const std::string& text) {
  std::istringstream in(text);
  CsvReader reader(&in);
  std::vector<CsvRecord> records;
  for (CsvRecord record; reader.Next(&record);) records.push_back(record);
  EXPECT_TRUE(reader.status().ok());
  return records;
}

// The fields of input that has one record, and that a good one.
std::vector<std::string> Fields(const std::string& text) {
  const auto records = ReadRecords(text);
  EXPECT_THAT(records, SizeIs(1)) << text;
  if (records.size() != 1) return {};
  EXPECT_EQ(records[0].error, "");
  return records[0].fields;
}

TEST(CsvReader, Rows_AreSplitAndNumbered) {
  const auto records = ReadRecords("a,b\nc,d\n");
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_THAT(records[0].fields, ElementsAre("a", "b"));
  EXPECT_EQ(records[0].line, 1u);
  EXPECT_THAT(records[1].fields, ElementsAre("c", "d"));
  EXPECT_EQ(records[1].line, 2u);
}

TEST(CsvReader, CarriageReturnAndLineFeed_EndARow) {
  const auto records = ReadRecords("a,b\r\nc,\"d\"\r\n");
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_THAT(records[0].fields, ElementsAre("a", "b"));
  EXPECT_THAT(records[1].fields, ElementsAre("c", "d"));
}

TEST(CsvReader, CarriageReturnAlone_BelongsToTheField) {
  EXPECT_THAT(Fields("a\rb,c"), ElementsAre("a\rb", "c"));
}

TEST(CsvReader, LastLineWithoutItsEnd_IsRead) {
  EXPECT_THAT(Fields("a,b"), ElementsAre("a", "b"));
  EXPECT_THAT(Fields("a,\"b\""), ElementsAre("a", "b"));
  EXPECT_THAT(Fields("a,"), ElementsAre("a", ""));
}

TEST(CsvReader, EmptyInputAndBlankLines_AreNoRows) {
  EXPECT_THAT(ReadRecords(""), IsEmpty());
  EXPECT_THAT(ReadRecords("\n\r\n\n"), IsEmpty());
  const auto records = ReadRecords("\n\r\na,b\n\n\nc,d\n\n");
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_EQ(records[0].line, 3u);
  EXPECT_EQ(records[1].line, 6u);
}

TEST(CsvReader, ByteOrderMark_IsPassedOver) {
  EXPECT_THAT(Fields("\xef\xbb\xbf"
                     "a,b"),
              ElementsAre("a", "b"));
  EXPECT_THAT(ReadRecords("\xef\xbb\xbf"), IsEmpty());
}

TEST(CsvReader, NameThatBeginsLikeTheMark_KeepsItsBytes) {
  EXPECT_THAT(Fields("\xef\xbc\xa1,b"), ElementsAre("\xef\xbc\xa1", "b"));
  EXPECT_THAT(Fields("\xef\xbb\xaf,b"), ElementsAre("\xef\xbb\xaf", "b"));
  EXPECT_THAT(Fields("\xef"), ElementsAre("\xef"));
}

// RFC 4180, section 2, rules 5 to 7.
TEST(CsvReader, QuotedField_MayHoldCommasQuotesAndLineBreaks) {
  EXPECT_THAT(Fields("\"a,b\",\"say \"\"no\"\"\",\"\""),
              ElementsAre("a,b", "say \"no\"", ""));
  EXPECT_THAT(Fields("\"\"\"\""), ElementsAre("\""));
  const auto records = ReadRecords("\"a\r\nb\nc\",d\ne,f\n");
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_THAT(records[0].fields, ElementsAre("a\nb\nc", "d"));
  EXPECT_EQ(records[1].line, 4u);
}

// RFC 4180, section 2, rule 4.
TEST(CsvReader, Blanks_BelongToTheField) {
  EXPECT_THAT(Fields(" a ,\tb"), ElementsAre(" a ", "\tb"));
}

TEST(CsvReader, QuoteInAFieldThatIsNotQuoted_IsAnErrorOfThatRowOnly) {
  const auto records = ReadRecords("a\"b,c\nd,e\n");
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_THAT(records[0].error, HasSubstr("not quoted"));
  EXPECT_EQ(records[1].error, "");
  EXPECT_THAT(records[1].fields, ElementsAre("d", "e"));
}

TEST(CsvReader, TextBehindAClosingQuote_IsAnErrorOfThatRowOnly) {
  const auto records = ReadRecords("\"a\"b,c\nd,e\n");
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_THAT(records[0].error, HasSubstr("behind a closing quote"));
  EXPECT_THAT(records[1].fields, ElementsAre("d", "e"));
}

TEST(CsvReader, QuoteThatIsNotClosed_IsAnError) {
  const auto records = ReadRecords("a,b\n\"c,d\ne,f\n");
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_EQ(records[0].error, "");
  EXPECT_EQ(records[1].line, 2u);
  EXPECT_THAT(records[1].error, HasSubstr("not closed"));
}

TEST(CsvReader, EndlessRow_IsAnErrorThatIsNotKept_AndReadingGoesOn) {
  for (const std::string& start : {std::string("x"), std::string("\"")}) {
    for (const char filler : {'x', ','}) {
      const auto records = ReadRecords(start + std::string(1 << 20, filler) + "\na,b\n");
      ASSERT_THAT(records, SizeIs(2));
      EXPECT_THAT(records[0].error, HasSubstr("too long"));
      size_t kept = records[0].fields.size();
      for (const auto& field : records[0].fields) kept += field.size();
      EXPECT_LE(kept, CsvReader::kMaxRecordBytes + 1);
      EXPECT_EQ(records[1].error, "");
      EXPECT_THAT(records[1].fields, ElementsAre("a", "b"));
      EXPECT_EQ(records[1].line, 2u);
    }
  }
}

TEST(CsvReader, RowOfTheLargestSize_IsRead) {
  const std::string field(CsvReader::kMaxRecordBytes - 1, 'x');
  EXPECT_THAT(Fields(field), ElementsAre(field));
  EXPECT_THAT(ReadRecords(field + "x")[0].error, HasSubstr("too long"));
}

TEST(CsvReader, StreamThatFails_IsNotTheEndOfTheFile) {
  class Failing : public std::streambuf {
    int_type underflow() override {
      if (sent_) throw std::ios_base::failure("disk");
      sent_ = true;
      setg(text_, text_, text_ + 8);
      return traits_type::to_int_type(text_[0]);
    }
    char text_[9] = "a,b\nc,d\n";
    bool sent_ = false;
  } buffer;
  std::istream in(&buffer);
  CsvReader reader(&in);
  CsvRecord record;
  EXPECT_TRUE(reader.Next(&record));
  EXPECT_TRUE(reader.status().ok());
  EXPECT_TRUE(reader.Next(&record));
  EXPECT_FALSE(reader.Next(&record));
  EXPECT_TRUE(absl::IsDataLoss(reader.status()));
}

}  // namespace
}  // namespace concordat::transfer
