#include "tests/bench/bare/client.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <numeric>

#include "core/ec/codec.h"
#include "tests/bench/bare/protocol.h"
#include "tests/bench/rate.h"

namespace dogfs::bare {
namespace {

using bench::seconds_since;

// How many stripes the client holds that are not all sent: what lets fast servers go ahead of one that syncs.
constexpr size_t kWindowStripes = 8;

struct Outgoing {
  Frame frame;
  std::span<const std::byte> payload;
  size_t sent = 0;

  size_t size() const { return sizeof(Frame) + payload.size(); }
};

// Sends as much as the socket takes. True when all of it has gone.
bool send_some(int socket, Outgoing& out) {
  while (out.sent < out.size()) {
    std::array<iovec, 2> parts;
    size_t count = 0;
    if (out.sent < sizeof(Frame)) {
      parts[count++] = {reinterpret_cast<std::byte*>(&out.frame) + out.sent, sizeof(Frame) - out.sent};
    }
    const size_t payload_sent = out.sent < sizeof(Frame) ? 0 : out.sent - sizeof(Frame);
    const auto rest = out.payload.subspan(payload_sent);
    if (!rest.empty()) parts[count++] = {const_cast<std::byte*>(rest.data()), rest.size()};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    const ssize_t sent = ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return false;
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) die("sendmsg");
    out.sent += static_cast<size_t>(sent);
  }
  return true;
}

uint64_t sum(const std::vector<uint64_t>& values) {
  return std::accumulate(values.begin(), values.end(), uint64_t{0});
}

}  // namespace

// Keeps a queue of cells for each server full, and the sockets busy.
class BareClient::Putter {
 public:
  explicit Putter(BareClient& client) : client_(client), layout_(client.layout_), queues_(kShards) {
    for (size_t i = 0; i < kWindowStripes; ++i) parity_.emplace_back(layout_.cell_bytes * kParityShards);
  }

  void run() {
    while (sealed_ < layout_.blocks() * kShards) {
      // One stripe at a time, so that its cells are sent while they are still in the CPU's cache.
      const bool encoded = next_stripe_ < layout_.stripes && longest_queue() < kWindowStripes;
      if (encoded) encode_next_stripe();
      wait_for_sockets(encoded ? 0 : -1);
    }
  }

 private:
  size_t longest_queue() const {
    size_t longest = 0;
    for (const auto& queue : queues_) longest = std::max(longest, queue.size());
    return longest;
  }

  void encode_next_stripe() {
    const uint64_t stripe = next_stripe_++;
    const uint64_t block = layout_.block_of(stripe);
    const std::byte* data = client_.source_.data() + stripe % layout_.stripes_per_block * layout_.stripe_bytes();
    // The stripe that had this buffer before is sent: no queue is as long as the window.
    std::byte* parity = parity_[stripe % kWindowStripes].data();
    std::array<std::span<const std::byte>, kDataShards> data_cells;
    std::array<std::span<std::byte>, kParityShards> parity_cells;
    for (size_t i = 0; i < kDataShards; ++i) data_cells[i] = {data + i * layout_.cell_bytes, layout_.cell_bytes};
    for (size_t i = 0; i < kParityShards; ++i) parity_cells[i] = {parity + i * layout_.cell_bytes, layout_.cell_bytes};
    codec_.encode(data_cells, parity_cells);
    for (size_t i = 0; i < kDataShards; ++i) enqueue_cell(block, i, data_cells[i]);
    for (size_t i = 0; i < kParityShards; ++i) enqueue_cell(block, kDataShards + i, parity_cells[i]);
    if (next_stripe_ == layout_.stripes || layout_.block_of(next_stripe_) != block) enqueue_seals(block);
  }

  void enqueue_cell(uint64_t block, size_t shard, std::span<const std::byte> cell) {
    Outgoing& out = queues_[Layout::server_of(block, shard)].emplace_back();
    out.payload = cell;
    out.frame.operation = Operation::kAppend;
    out.frame.block = block;
    out.frame.payload_bytes = static_cast<uint32_t>(layout_.cell_bytes);
    fill_piece_crcs(out.frame, out.payload);
  }

  void enqueue_seals(uint64_t block) {
    for (auto& queue : queues_) {
      Outgoing& out = queue.emplace_back();
      out.frame.operation = Operation::kSeal;
      out.frame.block = block;
    }
  }

  void wait_for_sockets(int timeout_ms) {
    std::array<pollfd, kShards> polled;
    for (size_t i = 0; i < kShards; ++i) {
      const int writing = queues_[i].empty() ? 0 : POLLOUT;
      polled[i] = {client_.sockets_[i], static_cast<short>(POLLIN | writing), 0};
    }
    if (::poll(polled.data(), polled.size(), timeout_ms) < 0 && errno != EINTR) die("poll");
    for (size_t i = 0; i < kShards; ++i) {
      if (polled[i].revents & POLLOUT) send_queue(i);
      if (polled[i].revents & ~POLLOUT) receive_sealed(i);
    }
  }

  void send_queue(size_t server) {
    auto& queue = queues_[server];
    while (!queue.empty() && send_some(client_.sockets_[server], queue.front())) queue.pop_front();
  }

  void receive_sealed(size_t server) {
    Frame frame;
    if (!receive_all(client_.sockets_[server], bytes_of(frame))) die("connection lost");
    if (frame.operation != Operation::kSealed) die("unexpected reply");
    client_.server_cpu_us_[server] = frame.cpu_us;
    ++sealed_;
  }

  BareClient& client_;
  const Layout& layout_;
  const Codec codec_{kDataShards, kParityShards};
  std::vector<MutableBuffer> parity_;
  std::vector<std::deque<Outgoing>> queues_;
  uint64_t next_stripe_ = 0;
  uint64_t sealed_ = 0;
};

BareClient::BareClient(std::vector<int> sockets, Layout layout, Bytes source)
    : sockets_(std::move(sockets)), layout_(layout), source_(std::move(source)), server_cpu_us_(kShards) {}

Transfer BareClient::put() {
  const uint64_t cpu_before = process_cpu_us() + sum(server_cpu_us_);
  const auto start = bench::SteadyClock::now();
  Putter(*this).run();
  return {seconds_since(start), process_cpu_us() + sum(server_cpu_us_) - cpu_before};
}

Transfer BareClient::get() {
  const uint64_t cpu_before = process_cpu_us() + sum(server_cpu_us_);
  const auto start = bench::SteadyClock::now();
  // Servers run ahead as far as their sockets hold: the requests are all there from the start.
  for (uint64_t block = 0; block < layout_.blocks(); ++block) {
    for (size_t shard = 0; shard < kDataShards; ++shard) {
      Frame request;
      request.operation = Operation::kRead;
      request.block = block;
      send_all(sockets_[Layout::server_of(block, shard)], bytes_of(request));
    }
  }
  MutableBuffer cell(layout_.cell_bytes);
  for (uint64_t stripe = 0; stripe < layout_.stripes; ++stripe) {
    for (size_t shard = 0; shard < kDataShards; ++shard) {
      const size_t server = Layout::server_of(layout_.block_of(stripe), shard);
      Frame frame;
      if (!receive_all(sockets_[server], bytes_of(frame))) die("connection lost");
      if (frame.operation != Operation::kCell || frame.payload_bytes != cell.size()) die("unexpected reply");
      if (!receive_all(sockets_[server], cell.span())) die("connection lost");
      verify_piece_crcs(frame, cell.span());
      server_cpu_us_[server] = frame.cpu_us;
    }
  }
  return {seconds_since(start), process_cpu_us() + sum(server_cpu_us_) - cpu_before};
}

}  // namespace dogfs::bare
