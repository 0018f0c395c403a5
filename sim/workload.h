// What clients do in a run: each works in a directory of its own, and holds every answer against its model.
//
// Operations are drawn one by one, each from a stream of its own. Files of all interesting sizes (none, a byte, around
// a cell, a stripe and a block, several blocks) are written, read whole and in parts, overwritten, renamed, listed,
// removed and restored. An answer that contradicts the model fails the run; an operation that fails for a reason that
// faults excuse leaves its paths uncertain.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/client/client.h"
#include "core/ec/geometry.h"
#include "core/env/sync.h"
#include "sim/atlas.h"
#include "sim/namespace_model.h"
#include "sim/random.h"
#include "sim/scenario.pb.h"
#include "sim/verdict.h"
#include "sim/world.h"

namespace dogfs::sim {

// What a client has put into the trash, and has not taken out again.
struct TrashedTree {
  uint64_t inode = 0;
  std::string path;
  NamespaceModel::Subtree tree;
};

// A file that a client is writing. It lives as long as the writer.
struct OpenWriter {
  std::string root;  // of that client
  std::string path;
  bool recovered = false;  // its lease was taken away: nothing that begins from now on may be acknowledged
};

// Whether faults of nodes, network and disks can make an operation end so.
bool is_excusable(ErrorCode code);

// What a client is at.
struct ClientOperation {
  std::string what;
  VirtualTime since{};
};

// What is known of a client over all its lives.
struct ClientState {
  std::string root;  // "/client-1"
  StreamKey key;
  NamespaceModel model;
  std::vector<TrashedTree> trash{};
  // Directories whose policy some change with unknown outcome concerns, which may come late.
  std::set<std::string> doubtful_policies{};
  uint64_t last_drawn = 0;  // the number of the last operation, over all lives
  uint64_t last_look = 0;   // at other clients' directories, likewise
  uint64_t operations = 0;
  uint64_t failed_operations = 0;
  uint64_t bytes_written = 0;
  uint64_t bytes_read = 0;
  bool idle = true;  // nothing of it runs
  std::optional<ClientOperation> doing{};
};

// What all clients of a run look at.
struct WorkContext {
  const proto::Scenario& scenario;
  Verdict& verdict;
  Atlas& atlas;
  VirtualTime work_end{};
  // The clients' directories.
  std::vector<std::string> roots = {};
  std::vector<std::weak_ptr<OpenWriter>> writers = {};
};

// One life of a client.
class Workload {
 public:
  // What is passed must outlive this object.
  Workload(Env& env, Simulator& simulator, Client& client, WorkContext& context, ClientState& state)
      : env_(env),
        simulator_(simulator),
        client_(client),
        context_(context),
        state_(state),
        beside_(env.executor, env.clock) {}

  // Makes the client's directory, and the files that the scenario wants before the first fault.
  Task<void> prepare();
  // Works until the end of the work.
  Task<void> work();
  // After the faults: everything acknowledged must be there, and new work must succeed.
  Task<void> verify();

 private:
  Task<void> operate(uint64_t number);
  // The operations that a scenario asks for beside the usual ones; nullopt where it is one of those.
  Task<std::optional<Status>> operate_as_asked(uint64_t number, RandomStream& draws);
  // Those of a kind, so many in a hundred operations, with draws of their own.
  struct AskedOperations {
    std::string_view stream;
    uint32_t per_hundred = 0;
    Task<Status> (Workload::*operate)(RandomStream& draws) = nullptr;
  };
  // On quotas (workload_quota.cc).
  Task<Status> operate_on_quotas(RandomStream& draws);
  Task<Status> set_quota(RandomStream& draws);
  Task<Status> clear_quota(std::string path);
  Task<Status> show_quotas(RandomStream& draws);
  Task<Status> add_up(RandomStream& draws);
  // On names that all clients use (workload_shared.cc).
  Task<Status> make_shared_directory(const wire::EcPolicy& policy);
  Task<Status> operate_on_shared_names(RandomStream& draws);
  Task<Status> write_shared(RandomStream& draws);
  Task<Status> make_shared(RandomStream& draws);
  Task<Status> rename_shared(RandomStream& draws);
  Task<Status> remove_shared(RandomStream& draws);
  Task<Status> look_at_shared(RandomStream& draws);
  // On the trash (workload_trash.cc).
  Task<Status> operate_on_trash(RandomStream& draws);
  Task<Status> set_up_trash();
  Task<Status> restore_from_trash(RandomStream& draws);
  Task<Status> purge_trash(RandomStream& draws);
  Task<Status> list_trash();
  // One that this client has put there, from now on not counted among those. Precondition: there is one.
  TrashedTree take_trashed(RandomStream& draws);
  std::string restore_target(const TrashedTree& trashed, RandomStream& draws);
  // On leases (workload_leases.cc).
  Task<Status> recover_lease(RandomStream& draws);
  std::shared_ptr<OpenWriter> pick_writer(RandomStream& draws);
  std::shared_ptr<OpenWriter> note_writer(std::string path);
  // On policies, and reads of several ranges (workload_policies.cc).
  Task<Status> change_policy(RandomStream& draws);
  Task<Status> check_new_file(std::string directory, Geometry geometry, RandomStream& draws);
  Task<Result<std::vector<Geometry>>> geometries_of(std::string path);
  Task<Status> read_ranges(RandomStream& draws);
  // On the bytes of files (workload_files.cc).
  Task<std::optional<Status>> operate_on_ends(uint64_t number, RandomStream& draws);
  Task<Status> write_file(RandomStream& draws);
  Task<Status> write_to(std::string path, ModelFile file, RandomStream& draws);
  Task<Status> append_to_file(RandomStream& draws);
  Task<Status> truncate_file(RandomStream& draws);
  Task<Status> convert_file(RandomStream& draws);
  // What goes to a writer: bytes [from, the end) of `file`.
  struct Filling {
    std::string path;
    ModelFile file;
    uint64_t from = 0;
    std::shared_ptr<OpenWriter> open{};
  };
  Task<Status> fill(FileWriter& writer, Filling filling, RandomStream& draws, WriteOutcome& outcome);
  // Writes bytes [from, to) of a file, and does what the scenario wants done between two pieces.
  struct Piece {
    uint64_t from = 0;
    uint64_t to = 0;
  };
  Task<Status> fill_piece(FileWriter& writer, const Filling& filling, Piece piece, RandomStream& draws);
  Task<Status> sync(FileWriter& writer, const Filling& filling, uint64_t length);
  Task<Status> read_file(RandomStream& draws);
  Task<Status> read_range(FileReader& reader, const ModelFile& file, uint64_t offset, uint64_t length);
  Task<Status> read_whole(std::string path, ModelFile file);
  // On names (workload_names.cc).
  Task<Status> make_directory(RandomStream& draws);
  Task<Status> list_directory(RandomStream& draws);
  Task<Status> check_listing(std::string path);
  Task<Status> stat_path(RandomStream& draws);
  Task<Status> check_stat(std::string path);
  // Looks at other clients' directories until the end of the work. What is there is the business of HistoryOracle.
  Task<void> look_at_others();
  Task<Status> look_into(std::string root, RandomStream& draws);
  Task<Status> rename_path(RandomStream& draws);
  Task<Status> remove_path(RandomStream& draws);

  // Calls `attempt` until it succeeds.
  Task<void> verify_uncertain(std::string path, Possible possible);
  Task<Status> look(std::string path, Possible possible);
  Task<bool> pause_before_retry(const Status& status, std::string what);

  // Notes, and tells the recording if there is one, what the client does: when it begins, what it turns out to be, how it ends.
  void record_begin();
  void record_what(std::string_view verb, const std::string& path);
  void record_end(const Status& status);

  // Fails the run where an operation that began at `begun` took longer than a read may.
  void judge_time(const std::string& path, VirtualTime begun);
  uint64_t draw_length(RandomStream& draws) const;
  // A code of no more shards than the usual one.
  Geometry draw_geometry(RandomStream& draws) const;
  std::string pick(const std::vector<std::string>& paths, RandomStream& draws) const;
  // The status of an operation that met `error`: fails the run where nothing excuses it.
  Status judge(const std::string& what, Error error);
  // The same for a read that began at `begun`: what was stored within reach then and until now decides.
  Status judge_read(const std::string& path, VirtualTime begun, Error error);
  bool is_lost(const std::string& path) const;
  bool is_excused(ErrorCode code) const;
  void wrong(const std::string& what) { fail("file", what); }
  void fail(std::string_view oracle, const std::string& what) {
    context_.verdict.fail(oracle, state_.root + ": " + what);
  }
  bool is_wanted(uint64_t operation) const;

  Env& env_;
  Simulator& simulator_;
  Client& client_;
  WorkContext& context_;
  ClientState& state_;
  TaskGroup beside_;       // what runs beside the operations
  uint32_t recorded_ = 0;  // the EventId of the operation under way
};

}  // namespace dogfs::sim
