#include "thrift/rpc/address.h"

#include <gtest/gtest.h>

namespace concordat::rpc {
namespace {

TEST(Address, WhatWasParsedIsPrintedAgain) {
  for (const char* text : {"127.0.0.1:7070", "localhost:0", "[::1]:65535",
                           "node-1.example.org:1", "unix:/run/concordat.sock"}) {
    const absl::StatusOr<Address> address = Address::Parse(text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(address->ToString(), text);
  }
}

TEST(Address, BadText_IsRefusedAndNamed) {
  const std::string long_path = "unix:/" + std::string(108, 'x');
  for (const std::string& text :
       {std::string(""), std::string("host"), std::string("host:"), std::string(":80"),
        std::string("host:65536"), std::string("host:-1"), std::string("host:1x"),
        std::string("::1:80"), std::string("[::1]"), std::string("[host]:80"),
        std::string("unix:"), long_path}) {
    const absl::StatusOr<Address> address = Address::Parse(text);
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_EQ(address.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(address.status().message().find(text), absl::string_view::npos)
        << address.status();
  }
}

TEST(Address, KernelFormAndBack_IsTheSame) {
  for (const char* text : {"127.0.0.1:7070", "[::1]:1", "unix:/run/concordat.sock"}) {
    const Address address = *Address::Parse(text);
    const absl::StatusOr<SocketAddress> kernel = address.ToSocketLiteral();
    ASSERT_TRUE(kernel.ok());
    EXPECT_EQ(Address::FromSocket(*kernel), address);
  }
}

TEST(Address, Name_HasNoLiteralAndIsLookedUp) {
  const Address address = *Address::Parse("localhost:80");
  EXPECT_EQ(address.ToSocketLiteral().status().code(), absl::StatusCode::kNotFound);
  const absl::StatusOr<std::vector<SocketAddress>> found = address.Resolve();
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(Address::FromSocket(found->front()).port(), 80);
}

}  // namespace
}  // namespace concordat::rpc
