// A chunk server under any requests, any replies of its metadata node, and crashes between them: every request is
// answered, none ends the server, and a sealed shard reads back as what was sealed, or not at all.
#include <algorithm>
#include <map>
#include <string>

#include "fuzz/input.h"
#include "fuzz/requests.h"
#include "tests/core/chunk/chunk_world.h"

namespace dogfs::fuzz {
namespace {

constexpr size_t kMostRequests = 32;
constexpr size_t kReadBytes = 1 * kMiB;

class ShardTalk {
 public:
  ShardTalk() { DOGFS_CHECK(world_.started && world_.started->has_value() && world_.wait_registered()); }

  void step(Input& input) {
    switch (input.below(8)) {
      case 0:
        return open(input);
      case 1:
      case 2:
        return append(input);
      case 3:
        return seal(input);
      case 4:
        return read(input);
      case 5:
        return abort(input);
      case 6:
        return send_bytes(input);
      default:
        return pass(input);
    }
  }

  // All that was acknowledged as sealed is there, after a power cut too.
  void check_sealed() {
    restart(sim::CrashKind::kPower);
    for (const auto& [key, content] : sealed_) {
      for (size_t at = 0; at < content.size(); at += kReadBytes) {
        const size_t bytes = std::min(kReadBytes, content.size() - at);
        const Result<std::string> back = world_.read(key, at, bytes);
        DOGFS_CHECK(back.has_value(), back ? "" : to_string(key) + ": " + back.error().to_string());
        DOGFS_CHECK(back.value() == content.substr(at, bytes), "a sealed shard is what was sealed");
      }
    }
  }

 private:
  static ShardKey draw_key(Input& input) {
    return {BlockId(input.id()), ShardIndex(static_cast<uint32_t>(input.below(3))), ShardGeneration(input.below(3))};
  }

  template <class Message>
  ErrorCode send(MessageType type, const Message& message, std::string_view payload = {}) {
    Request request = make_request(type, GroupId(), message, BytesChain(Bytes::copy_of(payload)));
    const Result<Reply> reply = ask(world_.world, world_.client, world_.node, std::move(request));
    return reply ? reply.value().error.code : reply.error().code;
  }

  void open(Input& input) {
    const ShardKey key = draw_key(input);
    wire::OpenShardRequest request = world_.open_request(key);
    if (input.byte() > 0xE0) request.mutable_policy()->set_cell_bytes(input.u64());
    if (input.byte() > 0xE0) request.mutable_policy()->set_data_shards(static_cast<uint32_t>(input.number()));
    if (input.byte() > 0xF0) request.set_server(input.number());
    if (send(MessageType::kOpenShard, request) == ErrorCode::kOk) open_[key].clear();
  }

  void append(Input& input) {
    const ShardKey key = draw_key(input);
    // Some of them whole pieces, so that more can follow.
    const size_t pieces = input.below(3);
    std::string bytes(pieces * kChecksumPieceBytes, static_cast<char>(input.byte()));
    bytes += input.bytes();
    const auto here = open_.find(key);
    const uint64_t end = here == open_.end() ? 0 : here->second.size();
    const uint64_t offset = input.byte() < 0xE0 ? end : input.number() * kChecksumPieceBytes;
    wire::AppendShardRequest request = ChunkWorld::append_request(key, offset, bytes);
    if (input.byte() > 0xF0) request.add_piece_crc32c(static_cast<uint32_t>(input.u64()));
    const ErrorCode code = send(MessageType::kAppendShard, request, bytes);
    if (code == ErrorCode::kOk && here != open_.end() && offset == end) here->second += bytes;
  }

  void seal(Input& input) {
    const ShardKey key = draw_key(input);
    const auto here = open_.find(key);
    wire::SealShardRequest request = ChunkWorld::seal_request(key, here == open_.end() ? "" : here->second);
    if (input.byte() > 0xF0) request.set_length(input.number());
    if (input.byte() > 0xF0) request.set_crc32c(static_cast<uint32_t>(input.u64()));
    const std::string content = here == open_.end() ? std::string() : here->second;
    if (send(MessageType::kSealShard, request) != ErrorCode::kOk) return;
    DOGFS_CHECK(unknown_ || sealed_.contains(key) || request.crc32c() == crc32c(content), "what was written is sealed");
    if (here == open_.end()) return;
    sealed_[key] = content;
    open_.erase(here);
  }

  void read(Input& input) {
    const ShardKey key = draw_key(input);
    const uint64_t offset = input.number() * 1000;
    const uint64_t length = input.number() * 1000;
    const ErrorCode code = send(MessageType::kReadShard, ChunkWorld::read_request(key, offset, length));
    const auto here = sealed_.find(key);
    if (code == ErrorCode::kOk && !unknown_) {
      DOGFS_CHECK(here != sealed_.end() && offset <= here->second.size(), "only what was sealed is read");
    }
  }

  void abort(Input& input) {
    wire::AbortShardRequest request;
    const ShardKey key = draw_key(input);
    *request.mutable_key() = shard_key_to_wire(key);
    if (send(MessageType::kAbortShard, request) == ErrorCode::kOk) open_.erase(key);
  }

  void send_bytes(Input& input) {
    unknown_ = true;
    Request request;
    request.type = static_cast<MessageType>(input.byte() < 0xF0 ? 300 + input.byte() % 8 : input.u16());
    request.body = std::string(input.bytes());
    request.payload.append(Bytes::copy_of(input.bytes()));
    (void)ask(world_.world, world_.client, world_.node, std::move(request));
  }

  void pass(Input& input) {
    const uint8_t how = input.byte();
    if (how < 0x20) return restart(how < 0x10 ? sim::CrashKind::kProcess : sim::CrashKind::kPower);
    world_.world.run_for(milliseconds(how));
  }

  void restart(sim::CrashKind kind) {
    open_.clear();
    world_.restart(kind);
    DOGFS_CHECK(world_.started && world_.started->has_value() && world_.wait_registered(), "a server starts again");
  }

  ChunkWorld world_;
  std::map<ShardKey, std::string> open_;  // and what was acknowledged of them
  std::map<ShardKey, std::string> sealed_;
  bool unknown_ = false;  // requests were sent that nothing is known of
};

}  // namespace
}  // namespace dogfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dogfs::fuzz::Input input(data, size);
  dogfs::fuzz::ShardTalk talk;
  for (size_t i = 0; i < dogfs::fuzz::kMostRequests && !input.empty(); ++i) talk.step(input);
  talk.check_sealed();
  return 0;
}
