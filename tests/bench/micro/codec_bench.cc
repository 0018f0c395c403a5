// What the arithmetic of the data path costs on one core: Reed-Solomon coding and CRC-32C. Rates are of user data.
//
// What to see: ISA-L is two to three times as fast as Jerasure's own loops, for the same bytes; decoding costs what it
// has to compute, one lost shard a third of three; a checksum costs a fifth of encoding; and a plan for a new erasure
// pattern is paid for by the first few KiB.
#include <benchmark/benchmark.h>

#include <vector>

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/ec/codec.h"

extern "C" {
#include <galois.h>
#include <jerasure.h>
#include <reed_sol.h>
}

namespace dogfs {
namespace {

constexpr uint32_t kData = 6;
constexpr uint32_t kParity = 3;

// One stripe of RS(6,3), with something in its data.
class Stripe {
 public:
  explicit Stripe(size_t cell_bytes) : cell_bytes_(cell_bytes), memory_(cell_bytes * (kData + kParity)) {
    uint32_t x = 1;
    for (std::byte& byte : memory_.span()) byte = static_cast<std::byte>((x = x * 1664525 + 1013904223) >> 24);
    for (uint32_t i = 0; i < kData; ++i) data_.push_back(cell(i));
    for (uint32_t i = 0; i < kParity; ++i) parity_.push_back(cell(kData + i));
  }

  std::span<std::byte> cell(size_t i) { return memory_.span().subspan(i * cell_bytes_, cell_bytes_); }
  std::span<const std::span<const std::byte>> data() const { return data_; }
  std::span<const std::span<std::byte>> parity() const { return parity_; }
  std::span<std::byte> all() { return memory_.span(); }

 private:
  size_t cell_bytes_;
  MutableBuffer memory_;
  std::vector<std::span<const std::byte>> data_;
  std::vector<std::span<std::byte>> parity_;
};

void set_user_bytes(benchmark::State& state, size_t each) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(each));
}

void encode(benchmark::State& state) {
  const auto cell = static_cast<size_t>(state.range(0));
  const Codec codec(kData, kParity);
  Stripe stripe(cell);
  for (auto _ : state) {
    codec.encode(stripe.data(), stripe.parity());
    benchmark::ClobberMemory();
  }
  set_user_bytes(state, kData * cell);
}
BENCHMARK(encode)->Arg(64 << 10)->Arg(256 << 10)->Arg(1 << 20);

void encode_by_jerasure(benchmark::State& state) {
  const auto cell = static_cast<size_t>(state.range(0));
  int* matrix = reed_sol_vandermonde_coding_matrix(kData, kParity, 8);
  Stripe stripe(cell);
  std::vector<char*> cells;
  for (size_t i = 0; i < kData + kParity; ++i) cells.push_back(reinterpret_cast<char*>(stripe.cell(i).data()));
  for (auto _ : state) {
    jerasure_matrix_encode(kData, kParity, 8, matrix, cells.data(), cells.data() + kData, static_cast<int>(cell));
    benchmark::ClobberMemory();
  }
  std::free(matrix);
  set_user_bytes(state, kData * cell);
}
BENCHMARK(encode_by_jerasure)->Arg(64 << 10)->Arg(256 << 10)->Arg(1 << 20);

// Data shards 0..lost-1 from the others and as many parity shards.
void decode(benchmark::State& state) {
  const auto cell = static_cast<size_t>(state.range(0));
  const auto lost = static_cast<uint32_t>(state.range(1));
  Codec codec(kData, kParity);
  Stripe stripe(cell);
  codec.encode(stripe.data(), stripe.parity());
  Codec::DecodeRequest request{.stored_data_shards = kData, .available = {}, .wanted = {}};
  std::vector<std::span<const std::byte>> sources;
  std::vector<std::span<std::byte>> wanted;
  for (uint32_t i = lost; i < kData + lost; ++i) {
    request.available.push_back(ShardIndex(i));
    sources.push_back(stripe.cell(i));
  }
  for (uint32_t i = 0; i < lost; ++i) {
    request.wanted.push_back(ShardIndex(i));
    wanted.push_back(stripe.cell(i));
  }
  for (auto _ : state) {
    codec.plan(request).value()->run(sources, wanted);
    benchmark::ClobberMemory();
  }
  set_user_bytes(state, kData * cell);
}
BENCHMARK(decode)->ArgsProduct({{256 << 10, 1 << 20}, {1, 2, 3}});

// A new erasure pattern: what a reader pays once for it, not for each stripe.
void plan_decode(benchmark::State& state) {
  for (auto _ : state) {
    Codec codec(kData, kParity);
    Codec::DecodeRequest request{.stored_data_shards = kData, .available = {}, .wanted = {ShardIndex(0)}};
    for (uint32_t i = 1; i <= kData; ++i) request.available.push_back(ShardIndex(i));
    benchmark::DoNotOptimize(codec.plan(request));
  }
}
BENCHMARK(plan_decode);

void checksum(benchmark::State& state) {
  Stripe stripe(static_cast<size_t>(state.range(0)) / (kData + kParity));
  for (auto _ : state) benchmark::DoNotOptimize(crc32c(stripe.all()));
  set_user_bytes(state, stripe.all().size());
}
BENCHMARK(checksum)->Arg(64 << 10)->Arg(1 << 20)->Arg(64 << 20);

// The CRC of a shard from those of two parts of it, without a byte of the shard.
void combine_checksums(benchmark::State& state) {
  uint32_t crc = 1;
  for (auto _ : state) benchmark::DoNotOptimize(crc = crc32c_combine(crc, 2, 64 << 10));
}
BENCHMARK(combine_checksums);

}  // namespace
}  // namespace dogfs

BENCHMARK_MAIN();
