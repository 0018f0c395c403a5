// The bare program's messages: one fixed frame, then the bytes of one cell where the operation has any.
//
// Both ends are one build on one machine, so the struct goes over the socket as it lies in memory. Sockets block, and
// any failure ends the program: a lower bound has no error handling to pay for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/limits.h"

namespace dogfs::bare {

inline constexpr size_t kMaxPieces = kMaxCellBytes / kChecksumPieceBytes;

enum class Operation : uint32_t {
  kAppend,  // client to server: the next cell of `block`
  kSeal,    // client to server: make `block` durable; answered by kSealed
  kSealed,
  kRead,  // client to server: send all cells of `block`; answered by a kCell each
  kCell,
};

struct Frame {
  Operation operation{};
  uint32_t payload_bytes = 0;
  uint64_t block = 0;
  // kSealed, kCell: the CPU time of the server process so far, for the report.
  uint64_t cpu_us = 0;
  // CRC-32C of each 64 KiB of the payload.
  std::array<uint32_t, kMaxPieces> piece_crc{};
};

// Prints what failed, with errno, and ends the process.
[[noreturn]] void die(std::string_view what);

void send_all(int socket, std::span<const std::byte> bytes);
// False when the peer has closed instead of sending the first byte.
bool receive_all(int socket, std::span<std::byte> bytes);

void fill_piece_crcs(Frame& frame, std::span<const std::byte> payload);
// Ends the process when a piece does not have the CRC that came with it.
void verify_piece_crcs(const Frame& frame, std::span<const std::byte> payload);

// User and system CPU time of this process.
uint64_t process_cpu_us();

template <class T>
std::span<std::byte> bytes_of(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

}  // namespace dogfs::bare
