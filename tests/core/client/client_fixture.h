// A client on a fake cluster, with steps that every test of files takes.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "core/client/client.h"
#include "tests/core/client/fake_cluster.h"
#include "tests/core/client/test_world.h"

namespace dogfs::test {

// RS(3,2) with small cells, so that tests cross every boundary cheaply.
inline constexpr Geometry kSmallGeometry{
    .data_shards = 3, .parity_shards = 2, .cell_bytes = 64 * kKiB, .block_bytes = 3 * 4 * 64 * kKiB};

class ClientFixture : public testing::Test {
 public:
  ~ClientFixture() override { stop_client(); }

 protected:
  explicit ClientFixture(size_t servers = 7, Geometry geometry = kSmallGeometry)
      : geometry_(geometry), cluster_(world_, geometry, servers) {
    restart_client(cluster_.client_options());
  }

  void stop_client() {
    if (client_) world_.run(client_->stop());
    client_.reset();
  }
  void restart_client(ClientOptions options) {
    stop_client();
    client_ = std::make_unique<Client>(world_.env, std::move(options));
  }

  // Whatever of a file's end fits there goes into the inode.
  void keep_tails_inline() {
    ClientOptions options = cluster_.client_options();
    options.most_inline_bytes = kMaxInlineTailBytes;
    restart_client(std::move(options));
  }

  std::unique_ptr<FileWriter> create(const std::string& path, uint64_t expected = 0) {
    CreateOptions options;
    options.expected_bytes = expected;
    auto created = world_.run(client_->create(path, options));
    EXPECT_TRUE(created.has_value()) << created.error().to_string();
    return std::move(created).value();
  }

  // Writes in pieces of `step` bytes. The first error of a write, or of the close.
  Result<WriteOutcome> write(const std::string& path, const std::string& data, size_t step = 100'000) {
    const std::unique_ptr<FileWriter> writer = create(path);
    for (size_t at = 0; at < data.size(); at += step) {
      const Status written = world_.run(writer->write(Bytes::copy_of(std::string_view(data).substr(at, step))));
      if (!written) break;
    }
    return world_.run(writer->close());
  }

  Result<std::string> read(const std::string& path, uint64_t offset = 0, size_t length = 1 << 30) {
    auto opened = world_.run(client_->open(path));
    if (!opened) return opened.error();
    const std::unique_ptr<FileReader> reader = std::move(opened).value();
    return read(*reader, offset, length);
  }
  Result<std::string> read(FileReader& reader, uint64_t offset, size_t length) {
    const Result<BytesChain> got = world_.run(reader.read(offset, length));
    if (!got) return got.error();
    return std::string(got.value().flatten().view());
  }

  World world_;
  Geometry geometry_;
  FakeCluster cluster_;
  std::unique_ptr<Client> client_;
};

}  // namespace dogfs::test
