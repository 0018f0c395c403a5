#include "net/endpoint.h"

#include <netinet/tcp.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/socket_base.hpp>
#include <charconv>

#include "core/base/limits.h"

namespace dogfs {
namespace {

template <int Level, int Name>
using IntegerOption = boost::asio::detail::socket_option::integer<Level, Name>;

Error bad_address(std::string_view text, std::string_view why) {
  std::string detail = "address \"";
  detail += text.substr(0, kMaxAddressBytes);
  detail += "\": ";
  detail += why;
  return Error(ErrorCode::kInvalidArgument, std::move(detail));
}

}  // namespace

Result<HostPort> parse_address(std::string_view text) {
  if (text.size() > kMaxAddressBytes) return bad_address(text, "too long");
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad_address(text, "there is no port: write host:port");
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad_address(text, "an IPv6 address goes in brackets: [::1]:7001");
  }
  if (host.empty()) return bad_address(text, "there is no host: write host:port");
  for (const char c : host) {
    if (c <= ' ' || c == '/' || c == '[' || c == ']' || c == ',' || c == 0x7f)
      return bad_address(text, "bad host name");
  }
  HostPort parsed;
  parsed.host = host;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), parsed.port);
  if (port.empty() || error != std::errc() || end != port.data() + port.size()) {
    return bad_address(text, "the port is not a number from 0 to 65535");
  }
  return parsed;
}

Result<HostPort> parse_callable_address(std::string_view text) {
  Result<HostPort> parsed = parse_address(text);
  if (parsed && parsed.value().port == 0) return bad_address(text, "nobody can be called at port 0");
  return parsed;
}

Address format_address(const std::string& host, uint16_t port) {
  const bool v6 = host.find(':') != std::string::npos;
  return Address{(v6 ? "[" + host + "]" : host) + ":" + std::to_string(port)};
}

Result<boost::asio::ip::tcp::endpoint> numeric_endpoint(const HostPort& address) {
  boost::system::error_code error;
  const auto ip = boost::asio::ip::make_address(address.host, error);
  if (error) return Error(ErrorCode::kInvalidArgument, "not a numeric address: " + address.host);
  return boost::asio::ip::tcp::endpoint(ip, address.port);
}

std::string describe_peer(const BasicTcpSocket& socket) {
  boost::system::error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return "?";
  return format_address(endpoint.address().to_string(), endpoint.port()).value;
}

void tune_socket(BasicTcpSocket& socket) {
  constexpr int kDeadPeerMs = 15'000;
  constexpr int kProbeAfterSeconds = 10;
  constexpr int kProbeEverySeconds = 5;
  constexpr int kProbes = 3;
  boost::system::error_code ignored;
  socket.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
  socket.set_option(boost::asio::socket_base::keep_alive(true), ignored);
  socket.set_option(IntegerOption<IPPROTO_TCP, TCP_KEEPIDLE>(kProbeAfterSeconds), ignored);
  socket.set_option(IntegerOption<IPPROTO_TCP, TCP_KEEPINTVL>(kProbeEverySeconds), ignored);
  socket.set_option(IntegerOption<IPPROTO_TCP, TCP_KEEPCNT>(kProbes), ignored);
  socket.set_option(IntegerOption<IPPROTO_TCP, TCP_USER_TIMEOUT>(kDeadPeerMs), ignored);
}

}  // namespace dogfs
