// The identity of the cluster, the registry of its chunk servers, and what they have confirmed.
#pragma once

#include "core/base/result.h"
#include "core/meta/apply_context.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

inline constexpr uint64_t kMaxChunkServers = 16'384;
// Shards that one ConfirmDeleted command names.
inline constexpr int kMaxConfirmedPerCommand = 2'000;

// Gives the cluster its identity and the root its policy. Once it has one, nothing happens.
Status initialize_cluster(ApplyContext& context, const wire::InitializeCluster& operation);

// A server that registers again under its uuid keeps its id and gets the next incarnation. kWrongCluster for a server
// of another cluster, kConflict for one that was removed, kUnavailable before the cluster is initialised,
// kInvalidArgument, kLimitExceeded.
Result<wire::RegisterServerReply> register_server(ApplyContext& context, const wire::RegisterServer& operation);

// kInvalidArgument for a threshold that is none: 1 to 100.
Status set_balancing(ApplyContext& context, const wire::SetBalancing& operation);

// Forgets garbage that is gone.
Status confirm_deleted(ApplyContext& context, const wire::ConfirmDeleted& operation);

}  // namespace dogfs
