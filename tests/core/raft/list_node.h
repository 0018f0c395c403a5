// A node with members of several Raft groups over state machines that keep lists of commands: on whatever ports it is given.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/env/env.h"
#include "core/env/kv_store.h"
#include "core/raft/group_host.h"
#include "core/raft/replica.h"
#include "core/raft/state_machine.h"
#include "core/wire/rpc.h"

namespace dogfs {

// Keeps each command under its index, and answers a command with "<index>:<command>".
class ListMachine final : public StateMachine {
 public:
  // `table` is the first byte of its keys.
  ListMachine(KvStore& store, char table) : store_(store), table_(table) {}

  Task<Result<Applied>> apply(std::vector<CommittedEntry> entries) override {
    ++batches_;
    WriteBatch batch;
    std::vector<std::string> replies;
    for (CommittedEntry& entry : entries) {
      replies.push_back(std::to_string(entry.index.value()) + ":" + entry.command);
      batch.put(key_of(entry.index), std::move(entry.command));
    }
    co_return Applied{std::move(replies), store_.write(std::move(batch), Durability::kBuffered)};
  }

  Task<Result<LogIndex>> load_applied() override { co_return LogIndex(commands().size()); }

  KeyRange rows() const override { return {std::string(1, table_), std::string(1, static_cast<char>(table_ + 1))}; }

  // How many times it was given something to apply.
  size_t batches() const { return batches_; }

  // All that was applied, no-ops as empty commands.
  std::vector<std::string> commands() const {
    std::vector<std::string> commands;
    const auto visit = [&](std::string_view, std::string_view value) {
      commands.emplace_back(value);
      return true;
    };
    DOGFS_CHECK(store_.scan(rows().begin, rows().end, visit).has_value());
    return commands;
  }

 private:
  std::string key_of(LogIndex index) const {
    std::string digits = std::to_string(index.value());
    return std::string(1, table_) + std::string(20 - digits.size(), '0') + digits;
  }

  KvStore& store_;
  char table_;
  size_t batches_ = 0;
};

// What runs on one node: a replica and a machine for each group, and the handler that feeds them.
class ListNode final : public RequestHandler {
 public:
  // Groups have the ids from that in `options` on.
  ListNode(Env& env, KvStore& store, ReplicaOptions options, std::function<void(Error)> on_fatal, size_t groups = 1)
      : env_(env), host_(env, store, std::move(on_fatal)) {
    for (size_t group = 0; group < groups; ++group) {
      machines_.push_back(std::make_unique<ListMachine>(store, static_cast<char>('m' + group)));
      replicas_.push_back(&host_.add(*machines_.back(), options));
      options.group = options.group.next();
    }
  }

  Task<Status> start() {
    for (Replica* replica : replicas_) {
      DOGFS_CO_TRYV(co_await replica->start());
    }
    env_.transport.serve(*this);
    co_return ok();
  }

  Task<Reply> handle(Request, MonoTime) override { co_return error_reply(Error(ErrorCode::kUnsupported)); }
  void receive(Request frame) override {
    ++frames_;
    host_.receive(frame);
  }

  GroupHost& host() { return host_; }
  Replica& replica(size_t group = 0) { return *replicas_.at(group); }
  ListMachine& machine(size_t group = 0) { return *machines_.at(group); }
  // How many arrived.
  uint64_t frames() const { return frames_; }

 private:
  Env& env_;
  std::vector<std::unique_ptr<ListMachine>> machines_;
  GroupHost host_;
  std::vector<Replica*> replicas_;
  uint64_t frames_ = 0;
};

}  // namespace dogfs
