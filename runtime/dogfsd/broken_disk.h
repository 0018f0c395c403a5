// What stands for a disk that could not be opened: every operation fails with the reason.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/env/kv_store.h"
#include "core/env/shard_store.h"

namespace dogfs {

class BrokenShardStore final : public ShardStore {
 public:
  explicit BrokenShardStore(Error error) : error_(std::move(error)) {}

  Task<Result<std::shared_ptr<ShardFile>>> create(std::string /*name*/) override { co_return error_; }
  Task<Result<std::shared_ptr<ShardFile>>> open(std::string /*name*/) override { co_return error_; }
  Task<Status> remove(std::string /*name*/) override { co_return error_; }
  Task<Result<std::vector<std::string>>> list() override { co_return error_; }
  Task<Status> sync_directory() override { co_return error_; }
  Task<Result<DiskSpace>> space() override { co_return error_; }
  void give_up() override {}

 private:
  Error error_;
};

class BrokenKvStore final : public KvStore {
 public:
  explicit BrokenKvStore(Error error) : error_(std::move(error)) {}

  Result<std::optional<std::string>> get(std::string_view /*key*/) const override { return error_; }
  Status scan(std::string_view /*begin*/, std::string_view /*end*/, const Visitor& /*visit*/) const override {
    return error_;
  }
  Status scan_backward(std::string_view /*begin*/, std::string_view /*end*/, const Visitor& /*visit*/) const override {
    return error_;
  }
  std::shared_ptr<const KvReader> snapshot() const override { return std::make_shared<BrokenKvStore>(error_); }
  Task<Status> write(WriteBatch /*batch*/, Durability /*durability*/) override { co_return error_; }
  Result<DiskSpace> space() const override { return error_; }
  void give_up() override {}

 private:
  Error error_;
};

}  // namespace dogfs
