// Fills the cluster of a run over years: a client that writes files, block by block, with the requests of a real one.
// Where the metadata places a shard, there it is.
#pragma once

#include <cstdint>

#include "core/env/task.h"
#include "sim/years_fleet.h"
#include "sim/years_meta.h"
#include "sim/years_options.h"

namespace dogfs::sim {

class YearsLoader {
 public:
  // What is passed must outlive it.
  YearsLoader(LoneMeta& meta, YearsFleet& fleet, const YearsOptions& options);

  // Until all blocks are committed. Precondition: every server was heard of.
  Task<void> load();
  bool done() const { return done_; }

 private:
  template <class Answer, class Message>
  Task<Answer> ask(MessageType type, Message message);
  Task<wire::MutationResult> mutate(wire::Mutation mutation);
  Task<void> write_file(uint32_t number, uint32_t blocks);
  Task<void> write_block(wire::CreateFileResult file, uint64_t offset);

  LoneMeta& meta_;
  YearsFleet& fleet_;
  const YearsOptions& options_;
  uint64_t session_ = 0;
  uint64_t sequence_ = 0;
  bool done_ = false;
};

}  // namespace dogfs::sim
