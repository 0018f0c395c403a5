// A file is fetched in segments: whole stripes of one block, about 1 MiB from each shard. A sequential reader keeps a
// window of segments ahead of the caller that doubles with every read, so that short reads do not fetch what nobody
// wants. Segments are fetched at once, up to a limit, and each is kept until the caller has passed it.
#include "core/client/file_reader.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <map>
#include <optional>

#include "core/base/limits.h"
#include "core/client/block_map.h"
#include "core/client/block_reader.h"

namespace dogfs {
namespace {

constexpr uint64_t kSegmentShardBytes = 1 * kMiB;
constexpr size_t kMaxOpenBlocks = 16;
// How often a read finds that other blocks have taken the place of one before it gives up.
constexpr int kMaxReplacements = 4;

// Bytes [begin, end) of the file, being fetched or there.
struct Segment {
  uint64_t begin = 0;
  uint64_t end = 0;
  std::optional<Result<BytesChain>> result;
};

// Where the segment that holds `offset` of a block ends.
uint64_t segment_end(const FileBlock& block, uint64_t offset) {
  const Geometry& geometry = block.layout.geometry();
  const uint64_t stripes = std::max<uint64_t>(1, kSegmentShardBytes / geometry.cell_bytes);
  const uint64_t segment = stripes * geometry.stripe_bytes();
  return std::min(block.visible_length, (offset / segment + 1) * segment);
}

// What holds some byte of the file, open for reading: one of them.
struct OpenStretch {
  std::shared_ptr<BlockReader> block;
  std::shared_ptr<const InlineTail> tail;
};

// Where the segment that holds `offset` of the file ends.
uint64_t segment_end(const OpenStretch& stretch, uint64_t offset) {
  if (stretch.tail) return stretch.tail->end();
  const FileBlock& block = stretch.block->block();
  return block.offset + segment_end(block, offset - block.offset);
}

class ReadState : public std::enable_shared_from_this<ReadState> {
 public:
  ReadState(ClientContext& context, std::shared_ptr<BlockMap> map)
      : context_(context), map_(std::move(map)), changed_(context.env.clock) {}

  uint64_t size() const { return map_->file_length(); }
  Task<Result<BytesChain>> read(uint64_t offset, size_t length);
  Task<Result<std::vector<BytesChain>>> read_ranges(std::vector<FileRange> ranges);

 private:
  static Task<void> fetch(std::shared_ptr<ReadState> self, std::shared_ptr<Segment> segment);

  // How far to fetch ahead of a read at `offset`.
  uint64_t plan_ahead(uint64_t offset);
  Task<Result<std::shared_ptr<Segment>>> segment_at(uint64_t offset, uint64_t end);
  std::shared_ptr<Segment> start_segment(const OpenStretch& stretch, uint64_t offset, uint64_t end);
  Task<Result<std::vector<std::shared_ptr<Segment>>>> start_range(FileRange range);
  Task<Result<BytesChain>> join(std::vector<std::shared_ptr<Segment>> segments);
  Task<void> run_ahead(uint64_t from, uint64_t to);
  Task<Result<OpenStretch>> open(uint64_t offset);
  // The bytes of [begin, end), from whatever holds them by now.
  Task<Result<BytesChain>> read_held(uint64_t begin, uint64_t end);
  void forget(const std::shared_ptr<BlockReader>& block);
  std::shared_ptr<Segment> kept(uint64_t offset) const;
  void drop_before(uint64_t offset);

  ClientContext& context_;
  std::shared_ptr<BlockMap> map_;
  // By offset in the file.
  std::map<uint64_t, std::shared_ptr<BlockReader>> blocks_;
  std::deque<std::shared_ptr<Segment>> segments_;  // ascending, of the sequential reader
  uint64_t sequential_ = 0;                        // where the next read is if it is sequential
  uint64_t ahead_ = 0;
  uint64_t fetching_bytes_ = 0;
  Notifier changed_;
};

Task<Result<BytesChain>> ReadState::read(uint64_t offset, size_t length) {
  BytesChain out;
  if (offset >= size() || length == 0) co_return out;
  const uint64_t end = offset + std::min<uint64_t>(length, size() - offset);
  const uint64_t ahead = plan_ahead(offset);
  sequential_ = end;
  uint64_t at = offset;
  while (at < end) {
    DOGFS_CO_TRY(const std::shared_ptr<Segment> segment, co_await segment_at(at, ahead > 0 ? size() : end));
    co_await run_ahead(segment->end, std::min(size(), end + ahead));
    while (!segment->result) co_await changed_.wait();
    if (!*segment->result) {
      std::erase(segments_, segment);
      co_return segment->result->error();
    }
    const uint64_t take = std::min(end, segment->end) - at;
    const BytesChain part = segment->result->value().slice(at - segment->begin, take);
    for (const Bytes& bytes : part.pieces()) out.append(bytes);
    at += take;
    drop_before(at);
  }
  co_return out;
}

uint64_t ReadState::plan_ahead(uint64_t offset) {
  const bool is_start = offset == 0 && sequential_ == 0;
  if (offset != sequential_) {
    segments_.clear();
    ahead_ = 0;
  } else if (!is_start) {
    ahead_ = std::clamp<uint64_t>(ahead_ * 2, kMiB, std::max<uint64_t>(context_.options.read_ahead_bytes, kMiB));
  }
  return ahead_;
}

// The segment that holds `offset`, being fetched; it ends at `end` at the latest.
Task<Result<std::shared_ptr<Segment>>> ReadState::segment_at(uint64_t offset, uint64_t end) {
  if (std::shared_ptr<Segment> segment = kept(offset)) co_return segment;
  DOGFS_CO_TRY(const OpenStretch stretch, co_await open(offset));
  if (std::shared_ptr<Segment> segment = kept(offset)) co_return segment;
  const std::shared_ptr<Segment> segment = start_segment(stretch, offset, end);
  const auto after = [&](const std::shared_ptr<Segment>& other) { return other->begin > offset; };
  segments_.insert(std::ranges::find_if(segments_, after), segment);
  co_return segment;
}

std::shared_ptr<Segment> ReadState::start_segment(const OpenStretch& stretch, uint64_t offset, uint64_t end) {
  const auto segment = std::make_shared<Segment>();
  segment->begin = offset;
  segment->end = std::min(end, segment_end(stretch, offset));
  fetching_bytes_ += segment->end - segment->begin;
  context_.tasks.spawn(fetch(shared_from_this(), segment));
  return segment;
}

Task<Result<std::vector<BytesChain>>> ReadState::read_ranges(std::vector<FileRange> ranges) {
  std::vector<std::vector<std::shared_ptr<Segment>>> started;
  for (const FileRange& range : ranges) {
    DOGFS_CO_TRY(std::vector<std::shared_ptr<Segment>> segments, co_await start_range(range));
    started.push_back(std::move(segments));
  }
  std::vector<BytesChain> out;
  for (std::vector<std::shared_ptr<Segment>>& segments : started) {
    DOGFS_CO_TRY(BytesChain bytes, co_await join(std::move(segments)));
    out.push_back(std::move(bytes));
  }
  co_return out;
}

// The segments of a range, being fetched; waits while enough are.
Task<Result<std::vector<std::shared_ptr<Segment>>>> ReadState::start_range(FileRange range) {
  std::vector<std::shared_ptr<Segment>> segments;
  const uint64_t begin = std::min(range.offset, size());
  const uint64_t end = begin + std::min<uint64_t>(range.length, size() - begin);
  for (uint64_t at = begin; at < end; at = segments.back()->end) {
    while (fetching_bytes_ > 0 && fetching_bytes_ >= context_.options.read_ahead_bytes) co_await changed_.wait();
    DOGFS_CO_TRY(const OpenStretch stretch, co_await open(at));
    segments.push_back(start_segment(stretch, at, end));
  }
  co_return segments;
}

Task<Result<BytesChain>> ReadState::join(std::vector<std::shared_ptr<Segment>> segments) {
  BytesChain out;
  for (const std::shared_ptr<Segment>& segment : segments) {
    while (!segment->result) co_await changed_.wait();
    if (!*segment->result) co_return segment->result->error();
    for (const Bytes& bytes : segment->result->value().pieces()) out.append(bytes);
  }
  co_return out;
}

// Starts segments from `from` on, as far as the read-ahead allows. What fails here is met again by the read itself.
Task<void> ReadState::run_ahead(uint64_t from, uint64_t to) {
  const uint64_t limit = context_.options.read_ahead_bytes;
  while (from < to) {
    uint64_t held = 0;
    for (const std::shared_ptr<Segment>& segment : segments_) held += segment->end - segment->begin;
    if (held >= limit) co_return;
    const Result<std::shared_ptr<Segment>> segment = co_await segment_at(from, to);
    if (!segment) co_return;
    from = segment.value()->end;
  }
}

Task<void> ReadState::fetch(std::shared_ptr<ReadState> self, std::shared_ptr<Segment> segment) {
  segment->result = co_await self->read_held(segment->begin, segment->end);
  self->fetching_bytes_ -= segment->end - segment->begin;
  self->changed_.notify_all();
}

// A segment was planned to lie in one block; when it is read, others may have taken the place of that, or a truncation
// have cut it.
Task<Result<BytesChain>> ReadState::read_held(uint64_t begin, uint64_t end) {
  BytesChain out;
  int replacements_left = kMaxReplacements;
  for (uint64_t at = begin; at < end;) {
    DOGFS_CO_TRY(const OpenStretch stretch, co_await open(at));
    if (stretch.tail) {
      const uint64_t stop = std::min(end, stretch.tail->end());
      out.append(stretch.tail->data.slice(at - stretch.tail->offset, stop - at));
      at = stop;
      continue;
    }
    const FileBlock& block = stretch.block->block();
    const BlockRange range{.offset = at - block.offset, .length = std::min(end, block.end()) - at};
    const Result<BytesChain> part = co_await stretch.block->read(range);
    if (part) {
      for (const Bytes& bytes : part.value().pieces()) out.append(bytes);
      at += range.length;
      continue;
    }
    if (part.error().code != ErrorCode::kGone || --replacements_left == 0) co_return part.error();
    forget(stretch.block);
  }
  co_return out;
}

void ReadState::forget(const std::shared_ptr<BlockReader>& block) {
  std::erase_if(blocks_, [&block](const auto& open) { return open.second == block; });
}

Task<Result<OpenStretch>> ReadState::open(uint64_t offset) {
  const auto behind = blocks_.upper_bound(offset);
  if (behind != blocks_.begin()) {
    const std::shared_ptr<BlockReader>& open = std::prev(behind)->second;
    if (offset < open->block().end()) co_return OpenStretch{.block = open, .tail = nullptr};
  }
  DOGFS_CO_TRY(const FileStretch found, co_await map_->find(offset));
  if (found.tail) co_return OpenStretch{.block = nullptr, .tail = found.tail};
  if (blocks_.size() >= kMaxOpenBlocks) blocks_.erase(blocks_.begin());
  std::shared_ptr<BlockReader>& block = blocks_[found.block->offset];
  if (!block || block->block().block != found.block->block) {
    block = std::make_shared<BlockReader>(context_, map_, found.block);
  }
  co_return OpenStretch{.block = block, .tail = nullptr};
}

std::shared_ptr<Segment> ReadState::kept(uint64_t offset) const {
  for (const std::shared_ptr<Segment>& segment : segments_) {
    if (segment->begin <= offset && offset < segment->end) return segment;
  }
  return nullptr;
}

void ReadState::drop_before(uint64_t offset) {
  while (!segments_.empty() && segments_.front()->end <= offset) segments_.pop_front();
}

class SegmentedFileReader final : public FileReader {
 public:
  explicit SegmentedFileReader(std::shared_ptr<ReadState> state) : state_(std::move(state)) {}
  uint64_t size() const override { return state_->size(); }
  Task<Result<BytesChain>> read(uint64_t offset, size_t length) override { return state_->read(offset, length); }
  Task<Result<std::vector<BytesChain>>> read_ranges(std::vector<FileRange> ranges) override {
    return state_->read_ranges(std::move(ranges));
  }

 private:
  std::shared_ptr<ReadState> state_;
};

std::unique_ptr<FileReader> make_reader(ClientContext& context, std::shared_ptr<BlockMap> map) {
  return std::make_unique<SegmentedFileReader>(std::make_shared<ReadState>(context, std::move(map)));
}

}  // namespace

Task<Result<std::unique_ptr<FileReader>>> open_file_reader(ClientContext& context, std::string path) {
  auto map = std::make_shared<BlockMap>(context);
  DOGFS_CO_TRYV(co_await map->open(std::move(path)));
  co_return make_reader(context, std::move(map));
}

Task<Result<std::unique_ptr<FileReader>>> open_file_reader(ClientContext& context, InodeId inode) {
  auto map = std::make_shared<BlockMap>(context);
  DOGFS_CO_TRYV(co_await map->open(inode));
  co_return make_reader(context, std::move(map));
}

}  // namespace dogfs
