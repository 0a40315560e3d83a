#include "coordinator/base/byte_codec.h"

#include <gtest/gtest.h>

namespace concordat {
namespace {

TEST(ByteCodec, WhatWasWritten_IsRead) {
  ByteWriter w;
  w.U8(7);
  w.U32(0xdeadbeef);
  w.U64(0x0123456789abcdef);
  for (const uint64_t v : {uint64_t{0}, uint64_t{127}, uint64_t{128}, UINT64_MAX})
    w.Varint(v);
  w.Bytes(std::string_view("a\0b", 3));
  const std::string bytes = w.Take();
  ByteReader r(bytes);
  EXPECT_EQ(r.U8(), 7);
  EXPECT_EQ(r.U32(), 0xdeadbeef);
  EXPECT_EQ(r.U64(), 0x0123456789abcdef);
  EXPECT_EQ(r.Varint(), 0u);
  EXPECT_EQ(r.Varint(), 127u);
  EXPECT_EQ(r.Varint(), 128u);
  EXPECT_EQ(r.Varint(), UINT64_MAX);
  EXPECT_EQ(r.Bytes(), std::string_view("a\0b", 3));
  EXPECT_TRUE(r.complete());
}

TEST(ByteCodec, EveryTruncation_IsNoticed) {
  ByteWriter w;
  w.U32(1);
  w.Varint(300);
  w.Bytes("hello");
  const std::string bytes = w.Take();
  for (size_t size = 0; size < bytes.size(); ++size) {
    ByteReader r(std::string_view(bytes).substr(0, size));
    (void)r.U32();
    (void)r.Varint();
    (void)r.Bytes();
    EXPECT_FALSE(r.ok()) << "cut to " << size;
  }
}

TEST(ByteCodec, VarintOverLong_IsRefused) {
  const std::string bytes(11, '\xff');
  ByteReader r(bytes);
  EXPECT_EQ(r.Varint(), 0u);
  EXPECT_FALSE(r.ok());
}

TEST(ByteCodec, LengthBeyondTheInput_IsRefused) {
  ByteWriter w;
  w.Varint(UINT64_MAX);
  const std::string bytes = w.Take();
  ByteReader r(bytes);
  EXPECT_EQ(r.Bytes(), "");
  EXPECT_FALSE(r.ok());
}

}  // namespace
}  // namespace concordat
