#include "tests/bench/bare/shard_process.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <vector>

#include "core/base/bytes.h"
#include "tests/bench/bare/protocol.h"

namespace dogfs::bare {
namespace {

class ShardProcess {
 public:
  ShardProcess(int socket, const ShardProcessOptions& options)
      : socket_(socket), options_(options), cell_(options.cell_bytes) {}

  void run() {
    Frame frame;
    while (receive_all(socket_, bytes_of(frame))) {
      switch (frame.operation) {
        case Operation::kAppend:
          append(frame);
          break;
        case Operation::kSeal:
          seal(frame);
          break;
        case Operation::kRead:
          read(frame);
          break;
        default:
          die("unexpected operation");
      }
    }
    for (const auto& [block, shard] : shards_) ::unlink(path(block).c_str());
  }

 private:
  struct Shard {
    int fd = -1;  // open for writing until it is sealed
    uint64_t length = 0;
    std::vector<Frame> cells;  // with the checksums that readers get
  };

  std::string path(uint64_t block) const { return options_.directory + "/" + std::to_string(block); }

  void append(const Frame& frame) {
    if (frame.payload_bytes > cell_.size()) die("cell too long");
    const auto payload = cell_.span().first(frame.payload_bytes);
    if (!receive_all(socket_, payload)) die("connection lost");
    verify_piece_crcs(frame, payload);
    Shard& shard = shards_[frame.block];
    if (shard.fd < 0) shard.fd = create(frame.block);
    if (::pwrite(shard.fd, payload.data(), payload.size(), static_cast<off_t>(shard.length)) !=
        static_cast<ssize_t>(payload.size())) {
      die("pwrite");
    }
    shard.length += payload.size();
    shard.cells.push_back(frame);
  }

  int create(uint64_t block) const {
    const int direct = options_.direct_io ? O_DIRECT : 0;
    const int fd = ::open(path(block).c_str(), O_CREAT | O_TRUNC | O_RDWR | direct, 0644);
    if (fd < 0) die("open");
    return fd;
  }

  void seal(const Frame& frame) {
    Shard& shard = shards_[frame.block];
    if (::fdatasync(shard.fd) != 0) die("fdatasync");
    ::close(shard.fd);
    shard.fd = -1;
    Frame reply;
    reply.operation = Operation::kSealed;
    reply.block = frame.block;
    reply.cpu_us = process_cpu_us();
    send_all(socket_, bytes_of(reply));
  }

  void read(const Frame& frame) {
    const int fd = ::open(path(frame.block).c_str(), O_RDONLY);
    if (fd < 0) die("open");
    off_t offset = 0;
    for (Frame reply : shards_[frame.block].cells) {
      const auto payload = cell_.span().first(reply.payload_bytes);
      if (::pread(fd, payload.data(), payload.size(), offset) != static_cast<ssize_t>(payload.size())) die("pread");
      offset += static_cast<off_t>(payload.size());
      reply.operation = Operation::kCell;
      reply.cpu_us = process_cpu_us();
      send_all(socket_, bytes_of(reply));
      send_all(socket_, payload);
    }
    ::close(fd);
  }

  int socket_;
  const ShardProcessOptions& options_;
  MutableBuffer cell_;
  std::map<uint64_t, Shard> shards_;
};

}  // namespace

void run_shard_process(int listener, const ShardProcessOptions& options) {
  const int socket = ::accept(listener, nullptr, nullptr);
  if (socket < 0) die("accept");
  ::close(listener);
  ShardProcess(socket, options).run();
  ::close(socket);
}

}  // namespace dogfs::bare
