// A TCP socket without any manners, for tests of what peers may do to us.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <string>

#include "core/base/check.h"
#include "core/wire/frame.h"
#include "net/connection.h"
#include "net/endpoint.h"

namespace dogfs {

inline constexpr auto kAwaitTuple = boost::asio::as_tuple(boost::asio::use_awaitable_t<Executor>());

class RawSocket {
 public:
  explicit RawSocket(TcpSocket socket) : socket_(std::move(socket)) {}

  static RawSocket connect(const Executor& executor, const Address& to) {
    TcpSocket socket(executor);
    socket.connect(numeric_endpoint(parse_address(to.value).value()).value());
    return RawSocket(std::move(socket));
  }

  // False when the peer has closed.
  Task<bool> send(std::string bytes) {
    const auto [error, written] = co_await boost::asio::async_write(socket_, boost::asio::buffer(bytes), kAwaitTuple);
    co_return !error;
  }

  // What came before the peer closed; everything may also be nothing.
  Task<std::string> read_to_end() {
    std::string all;
    while (true) {
      const std::string part = co_await read_some();
      if (part.empty()) co_return all;
      all += part;
    }
  }

  // Empty when the peer has closed.
  Task<std::string> read_some() {
    std::string part(64 * kKiB, '\0');
    const auto [error, bytes] = co_await socket_.async_read_some(boost::asio::buffer(part), kAwaitTuple);
    part.resize(error ? 0 : bytes);
    co_return part;
  }

  // With a reset instead of an orderly end.
  void reset() {
    socket_.set_option(boost::asio::socket_base::linger(true, 0));
    socket_.close();
  }
  void close() { socket_.close(); }

 private:
  TcpSocket socket_;
};

// Listens on loopback and leaves what comes in to the test.
class RawListener {
 public:
  explicit RawListener(const Executor& executor, const Address& at = Address{"127.0.0.1:0"})
      : acceptor_(executor, numeric_endpoint(parse_address(at.value).value()).value()) {}

  Address address() const { return format_address("127.0.0.1", acceptor_.local_endpoint().port()); }

  Task<RawSocket> accept() {
    auto [error, socket] = co_await acceptor_.async_accept(kAwaitTuple);
    DOGFS_CHECK(!error);
    co_return RawSocket(std::move(socket));
  }

  // How many connections wait to be accepted.
  size_t accept_waiting() {
    acceptor_.non_blocking(true);
    size_t count = 0;
    boost::system::error_code error;
    while (true) {
      TcpSocket socket = acceptor_.accept(error);
      if (error) return count;
      ++count;
    }
  }

 private:
  boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, Executor> acceptor_;
};

// A frame as it goes over the wire.
inline std::string wire_frame(const Request& request, FrameKind kind, uint64_t id, Duration timeout = seconds(10)) {
  return encode_request(request, kind, id, timeout).value().prefix + std::string(request.payload.flatten().view());
}

}  // namespace dogfs
