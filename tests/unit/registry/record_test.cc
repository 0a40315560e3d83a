#include "coordinator/registry/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace concordat::registry {
namespace {

using ::testing::HasSubstr;

std::vector<Record> Samples() {
  ResourceRecord resource;
  resource.name = "bank-a";
  resource.address = "127.0.0.1:7001";
  resource.kind = "kv";
  resource.incarnation = Incarnation(0xffffffffffffffff);
  resource.cluster = ClusterId(0xc0ffee);
  resource.store = "0123456789abcdef";
  resource.replace_store = true;
  resource.generation = 1'795'168'865'250;
  ResourceRecord plain;
  plain.name = "b";
  return {resource, plain, RetiredRecord{"bank-a", "ann"}};
}

TEST(RegistryRecord, EveryKind_EncodedAndDecoded_IsTheSame) {
  for (const Record& record : Samples()) {
    const auto decoded = DecodeRecord(EncodeRecord(record));
    ASSERT_TRUE(decoded.ok()) << decoded.status() << " for " << Describe(record);
    EXPECT_EQ(*decoded, record) << Describe(record);
  }
}

TEST(RegistryRecord, EveryTruncationAndEveryTrailingByte_IsAnError) {
  for (const Record& record : Samples()) {
    const std::string bytes = EncodeRecord(record);
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(DecodeRecord(std::string_view(bytes).substr(0, size)).ok()) << size;
    }
    EXPECT_EQ(DecodeRecord(bytes + "x").status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST(RegistryRecord, AnyByteChanged_NeverCrashes) {
  for (const Record& record : Samples()) {
    const std::string bytes = EncodeRecord(record);
    for (size_t i = 0; i < bytes.size(); ++i) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ 0xff);
      const auto decoded = DecodeRecord(changed);
      if (decoded.ok()) (void)Describe(*decoded);
    }
  }
}

TEST(RegistryRecord, Scenario50_UnknownKindOrVersion_IsRefusedAndSaysUpgrade) {
  std::string bytes = EncodeRecord(RetiredRecord{"bank-a", "ann"});
  for (const char kind : {'\0', '\3'}) {
    bytes[1] = kind;
    const auto decoded = DecodeRecord(bytes);
    EXPECT_EQ(decoded.status().code(), absl::StatusCode::kUnimplemented);
    EXPECT_THAT(std::string(decoded.status().message()), HasSubstr("upgrade"));
  }
  bytes[0] = 2;
  EXPECT_EQ(DecodeRecord(bytes).status().code(), absl::StatusCode::kUnimplemented);
}

TEST(RegistryRecord, BadResourceName_IsAnError) {
  std::string bytes = EncodeRecord(RetiredRecord{"bank-a", "ann"});
  bytes[bytes.find("bank-a")] = '/';
  EXPECT_EQ(DecodeRecord(bytes).status().code(), absl::StatusCode::kDataLoss);
}

TEST(RegistryRecord, Describe_NamesEveryField) {
  const auto samples = Samples();
  EXPECT_EQ(Describe(samples[0]),
            "RESOURCE bank-a kind=kv address=127.0.0.1:7001 "
            "incarnation=ffffffffffffffff cluster=0000000000c0ffee "
            "store=0123456789abcdef replaces generation=2026-11-20T10:01:05.250Z");
  EXPECT_EQ(Describe(samples[2]), "RETIRED bank-a by='ann'");
}

TEST(Generation, AsText_IsAPointInTime) {
  EXPECT_EQ(GenerationText(1), "1970-01-01T00:00:00.001Z");
  EXPECT_EQ(GenerationText(951'782'400'000), "2000-02-29T00:00:00.000Z");
  EXPECT_EQ(GenerationText(1'709'251'199'999), "2024-02-29T23:59:59.999Z");
  EXPECT_EQ(GenerationText(1'709'251'200'000), "2024-03-01T00:00:00.000Z");
  EXPECT_EQ(GenerationText(kMaxGeneration), "9999-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace concordat::registry
