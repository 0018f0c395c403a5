// `dogfs stat`, `du` and `status`: what is stored, how safely, and on what. With `json` the cluster's own replies are
// printed as one JSON object a line (protobuf's JSON mapping, in which `bytes` fields are base64).
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/env/task.h"
#include "core/wire/common.pb.h"
#include "core/wire/meta.pb.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

struct InspectOptions {
  std::vector<std::string> paths;
  bool human = false;
  bool json = false;
};

// A path's attributes and, of a file, every block with its shards and spares.
Task<void> print_status_of_paths(Session& session, InspectOptions options);
// What is under each path: bytes, bytes stored with parity, files, directories, spares of the weakest block.
Task<void> print_usage(Session& session, InspectOptions options);
// Metadata nodes, chunk servers, space and counts. kNoLeader when nobody leads: what is shown is then one node's view.
Task<void> print_cluster_status(Session& session, InspectOptions options);

// One object on a line of its own.
void print_json(const google::protobuf::Message& message);
std::string_view server_state_name(wire::ServerState state);
std::string_view disk_state_name(wire::DiskInfo::State state);
// The members of the metadata group and how they fare, in lines, as far as who answered knows.
std::string describe_meta_nodes(const wire::ClusterStatusReply& status);
// An alarm, as a line; empty where there is room.
std::string describe_metadata_room(const wire::ClusterStatusReply& status);
// "alive, heard 0.3 s ago"
std::string describe_last_heartbeat(const wire::ChunkServerInfo& server);
// A line, or nothing where no other server has come to its address.
std::string describe_supplanted(const wire::ChunkServerInfo& server);

}  // namespace dogfs::cli
