#include "net/endpoint.h"

#include <gtest/gtest.h>

namespace dogfs {
namespace {

TEST(Endpoint, HostAndPortAreTakenApart) {
  EXPECT_EQ(parse_address("127.0.0.1:7001").value(), (HostPort{"127.0.0.1", 7001}));
  EXPECT_EQ(parse_address("node-3.example.org:65535").value(), (HostPort{"node-3.example.org", 65535}));
  EXPECT_EQ(parse_address("[::1]:0").value(), (HostPort{"::1", 0}));
}

TEST(Endpoint, WhatIsNoAddressIsRefusedWithItsReason) {
  for (const std::string& text :
       {std::string(""), std::string("host"), std::string(":1"), std::string("host:"), std::string("host:65536"),
        std::string("host:-1"), std::string("host:1x"), std::string("host:+1"), std::string("::1:7001"),
        std::string("a b:1"), std::string("a,b:1"), std::string("[:1"), std::string("a\0b:1", 5),
        std::string(300, 'a') + ":1"}) {
    const auto parsed = parse_address(text);
    ASSERT_EQ(code_of(parsed), ErrorCode::kInvalidArgument) << text;
    EXPECT_LT(parsed.error().detail.size(), 400U);
  }
}

TEST(Endpoint, NobodyCanBeCalledAtPort0) {
  EXPECT_EQ(parse_callable_address("node-3:7001").value(), (HostPort{"node-3", 7001}));
  for (const char* text : {"127.0.0.1:0", "[::1]:00", "host"}) {
    EXPECT_EQ(code_of(parse_callable_address(text)), ErrorCode::kInvalidArgument) << text;
  }
}

TEST(Endpoint, FormattedAddressParsesBack) {
  for (const char* host : {"127.0.0.1", "::1", "name"}) {
    EXPECT_EQ(parse_address(format_address(host, 80).value).value(), (HostPort{host, 80}));
  }
}

TEST(Endpoint, NameIsNotNumeric) {
  EXPECT_EQ(code_of(numeric_endpoint(HostPort{"localhost", 1})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(numeric_endpoint(HostPort{"::1", 1}).value().port(), 1);
}

}  // namespace
}  // namespace dogfs
