// What the parts of a metadata node share, and how they read and change the replicated state. Belongs to the node's
// executor.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "core/env/env.h"
#include "core/env/kv_store.h"
#include "core/env/sync.h"
#include "core/meta/lease_tracker.h"
#include "core/meta/meta_node.h"
#include "core/meta/rack_repair.h"
#include "core/meta/registry.h"
#include "core/meta/tables.h"
#include "core/raft/replica.h"
#include "core/wire/command.pb.h"

namespace dogfs {

// So many rows that are missing are named in the log of a node, each once.
inline constexpr size_t kMaxMissingRowsLogged = 100;

// Runs reads of the rows where they hold nobody up.
//
// A store that cannot be read ends its node, as it does where commands are applied: whoever reads it would be refused for
// as long as this node leads, while others have the same rows. The read fails with kShuttingDown then. A row that is
// missing, of which another one speaks, is missing on the others too: the error is the answer, and is logged.
class StoreReader {
 public:
  StoreReader(Env& env, KvStore& store, Replica& replica, GroupId group)
      : env_(env), store_(store), replica_(replica), group_(group) {}

  // The answer of `query` to what is applied here now, which includes what this node has answered. Linearizable only
  // behind Replica::read_barrier.
  template <class T>
  Task<Result<T>> read(std::function<Result<T>(const MetaTables&)> query) {
    co_await replica_.answers_visible();
    co_return co_await read_from<T>(store_.snapshot(), std::move(query));
  }

  // As read, of a snapshot that was taken here earlier: for what takes more than one job.
  template <class T>
  Task<Result<T>> read_from(std::shared_ptr<const KvReader> snapshot,
                            std::function<Result<T>(const MetaTables&)> query) {
    Result<T> answer = Error(ErrorCode::kInternal);
    co_await env_.compute.run([&] { answer = query(MetaTables(*snapshot, group_)); });
    if (!answer) co_return judge(std::move(answer).error());
    co_return answer;
  }

  std::shared_ptr<const KvReader> snapshot() const { return store_.snapshot(); }
  GroupId group() const { return group_; }

 private:
  // What the reader is told.
  Error judge(Error error);

  Env& env_;
  KvStore& store_;
  Replica& replica_;
  GroupId group_;
  std::set<std::string> missing_rows_;
};

// How long the leader waits for a command of its own.
inline constexpr Duration kProposalLimit = seconds(5);

// Puts commands into the log, with the times that apply must not find out for itself.
class Proposer {
 public:
  // `most` proposals may be in flight.
  Proposer(Env& env, Replica& replica, size_t most)
      : env_(env), replica_(replica), most_(most), last_stamp_(env.clock.now()) {}

  // The log time of this leader begins to run now.
  void lead() {
    ++leaderships_;
    last_stamp_ = env_.clock.now();
  }

  // By how much the next command will move the log time.
  int64_t unstamped_ms() const;

  // The reply of apply, which may itself be a refusal. Fails as Replica::propose, and with kOverloaded.
  Task<Result<wire::CommandReply>> propose(wire::Command command, MonoTime deadline);

  // A command of the leader's own, which nobody waits for: false where it did not take effect, and a refusal is logged.
  Task<bool> propose_own(wire::Command command);

 private:
  void stamp(wire::Command& command);

  Env& env_;
  Replica& replica_;
  const size_t most_;
  MonoTime last_stamp_;
  uint64_t leaderships_ = 0;
  size_t in_flight_ = 0;
};

struct MetaParts {
  MetaParts(Env& the_env, KvStore& store, const MetaOptions& the_options, Replica& the_replica, GroupId group)
      : env(the_env),
        options(the_options),
        replica(the_replica),
        reader(the_env, store, the_replica, group),
        proposer(the_env, the_replica, the_options.max_changes_under_way),
        registry(the_env.clock.now(), the_options.server_silence_limit / 2),
        reclaim_wanted(the_env.clock) {}

  bool is_leader() const { return replica.is_leader(); }
  // The reply to a request that failed with `error`: names the leader where another node leads. A node that was removed
  // hears of no leader any more, and names one of the voters.
  Reply refuse(Error error) const;
  // The reply to a request that apply answered, or that did not get that far.
  Reply answer(Result<wire::CommandReply> outcome) const;

  // Whom to ask instead of this node; empty where nobody is known.
  Address whom_to_ask() const;

  Env& env;
  const MetaOptions& options;
  Replica& replica;
  StoreReader reader;
  Proposer proposer;
  ServerRegistry registry;
  LeaseTracker leases;
  RackRepair racks;
  // Wakes the leader's reclaiming when something was deleted.
  Notifier reclaim_wanted;
  // Of the cluster, once it is known here. Never changes then.
  std::string cluster_uuid;
};

}  // namespace dogfs
