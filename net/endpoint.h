// Addresses of the real network: "host:port", where host is a name, an IPv4 address, or an IPv6 address in brackets.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/env/task.h"
#include "core/env/transport.h"

namespace dogfs {

struct HostPort {
  std::string host;
  uint16_t port = 0;
  bool operator==(const HostPort&) const = default;
};

// kInvalidArgument, with what is wrong, for anything that is not "host:port". Port 0 is let through: it means "any free
// port" to one who listens; nobody can be called there.
Result<HostPort> parse_address(std::string_view text);

// The same, and kInvalidArgument for port 0.
Result<HostPort> parse_callable_address(std::string_view text);

// The address in the form that parse_address takes.
Address format_address(const std::string& host, uint16_t port);

// A numeric endpoint. kInvalidArgument when `host` is a name, which must be resolved first.
Result<boost::asio::ip::tcp::endpoint> numeric_endpoint(const HostPort& address);

using BasicTcpSocket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;

// The peer's address for a log line; "?" when the connection is gone already.
std::string describe_peer(const BasicTcpSocket& socket);

// No delay for small frames, and the kernel finds out about a peer that vanished without a word.
void tune_socket(BasicTcpSocket& socket);

}  // namespace dogfs
