#include "tests/bench/bare/protocol.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/base/checksum.h"

namespace dogfs::bare {
namespace {

std::span<const std::byte> piece(std::span<const std::byte> payload, size_t index) {
  const size_t offset = index * kChecksumPieceBytes;
  return payload.subspan(offset, std::min(kChecksumPieceBytes, payload.size() - offset));
}

size_t piece_count(std::span<const std::byte> payload) {
  return (payload.size() + kChecksumPieceBytes - 1) / kChecksumPieceBytes;
}

}  // namespace

void die(std::string_view what) {
  std::fprintf(stderr, "bare_io: %.*s: %s\n", static_cast<int>(what.size()), what.data(), std::strerror(errno));
  std::_Exit(1);
}

void send_all(int socket, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) die("send");
    bytes = bytes.subspan(static_cast<size_t>(sent));
  }
}

bool receive_all(int socket, std::span<std::byte> bytes) {
  bool first = true;
  while (!bytes.empty()) {
    const ssize_t received = ::recv(socket, bytes.data(), bytes.size(), MSG_WAITALL);
    if (received < 0 && errno == EINTR) continue;
    if (received == 0 && first) return false;
    if (received <= 0) die("recv");
    first = false;
    bytes = bytes.subspan(static_cast<size_t>(received));
  }
  return true;
}

void fill_piece_crcs(Frame& frame, std::span<const std::byte> payload) {
  for (size_t i = 0; i < piece_count(payload); ++i) frame.piece_crc[i] = crc32c(piece(payload, i));
}

void verify_piece_crcs(const Frame& frame, std::span<const std::byte> payload) {
  for (size_t i = 0; i < piece_count(payload); ++i) {
    if (frame.piece_crc[i] != crc32c(piece(payload, i))) die("checksum mismatch");
  }
}

uint64_t process_cpu_us() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) die("getrusage");
  const auto us = [](const timeval& t) { return static_cast<uint64_t>(t.tv_sec) * 1'000'000 + t.tv_usec; };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

}  // namespace dogfs::bare
