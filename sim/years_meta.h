// A metadata node on its own: the production MetaNode, all of it, as the one voter of its group, on ports that take no
// time and lose nothing. Its clock beats when it is told to (paced_clock.h).
//
// What a metadata node is is the group's affair, and other scenarios'; here it is what decides of repairs.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/meta/meta_node.h"
#include "sim/executor.h"
#include "sim/kv_store.h"
#include "sim/paced_clock.h"

namespace dogfs::sim {

class LoneMeta {
 public:
  // `options.self` and `options.nodes` are filled in. The simulator must outlive it.
  LoneMeta(Simulator& simulator, StreamKey key, MetaOptions options);
  LoneMeta(const LoneMeta&) = delete;
  LoneMeta& operator=(const LoneMeta&) = delete;
  ~LoneMeta();

  // Begins to run; it leads a beat or two later.
  void start();
  bool leads() const;
  void beat();

  // What its store has: the rows of the metadata, and Raft's log.
  KvDisk& store();
  SimExecutor executor() const;

  // Asks the node, as a message would.
  Task<Reply> ask(Request request);
  // Asks, and hands the reply on; in events of its own.
  void ask(Request request, std::function<void(Reply)> answered);

 private:
  struct Program;

  Simulator& simulator_;
  NodeIndex index_;
  std::shared_ptr<KvDisk> disk_;
  std::shared_ptr<Program> program_;
};

}  // namespace dogfs::sim
