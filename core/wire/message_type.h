// What a frame carries. The numbers are stable: never renumbered, never reused.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/env/transport.h"

namespace dogfs {

// X(name, number, request message or none, reply message or none); numbers by who serves them.
#define DOGFS_MESSAGE_TYPES(X)                                              \
  /* metadata node to metadata node, one-way */                             \
  X(kRaft, 1, RaftMessages, None)                                           \
  /* client to metadata */                                                  \
  X(kOpenSession, 100, OpenSessionRequest, OpenSessionReply)                \
  X(kMutate, 101, MutateRequest, MutateReply)                               \
  X(kStat, 102, StatRequest, StatReply)                                     \
  X(kList, 103, ListRequest, ListReply)                                     \
  X(kGetBlocks, 104, GetBlocksRequest, GetBlocksReply)                      \
  X(kRenewLeases, 105, RenewLeasesRequest, RenewLeasesReply)                \
  X(kSummary, 106, SummaryRequest, SummaryReply)                            \
  X(kClusterStatus, 107, ClusterStatusRequest, ClusterStatusReply)          \
  X(kMembership, 108, MembershipRequest, MembershipReply)                   \
  X(kChangeMembership, 109, ChangeMembershipRequest, MembershipReply)       \
  X(kTransferLeadership, 110, TransferLeadershipRequest, MembershipReply)   \
  X(kReportDamage, 111, ReportDamageRequest, ReportDamageReply)             \
  X(kBalance, 113, BalanceRequest, BalanceReply)                            \
  X(kAdministerServer, 112, AdministerServerRequest, AdministerServerReply) \
  X(kListTrash, 130, ListTrashRequest, ListTrashReply)                      \
  X(kAdministerTrash, 131, AdministerTrashRequest, AdministerTrashReply)    \
  X(kGetQuotas, 132, GetQuotasRequest, GetQuotasReply)                      \
  /* chunk server to metadata */                                            \
  X(kRegisterServer, 200, RegisterServerRequest, RegisterServerReply)       \
  X(kHeartbeat, 201, HeartbeatRequest, HeartbeatReply)                      \
  X(kReportDigests, 202, ReportDigestsRequest, ReportDigestsReply)          \
  X(kReportShards, 203, ReportShardsRequest, ReportShardsReply)             \
  /* client or chunk server to chunk server */                              \
  X(kOpenShard, 300, OpenShardRequest, OpenShardReply)                      \
  X(kAppendShard, 301, AppendShardRequest, AppendShardReply)                \
  X(kSealShard, 302, SealShardRequest, SealShardReply)                      \
  X(kReadShard, 303, ReadShardRequest, ReadShardReply)                      \
  X(kAbortShard, 304, AbortShardRequest, AbortShardReply)                   \
  /* metadata to chunk server */                                            \
  X(kTellMembers, 305, TellMembersRequest, TellMembersReply)

enum class MessageType : uint16_t {
#define X(name, number, request, reply) name = number,
  DOGFS_MESSAGE_TYPES(X)
#undef X
};

constexpr std::string_view message_type_name(MessageType type) {
  switch (type) {
#define X(name, number, request, reply) \
  case MessageType::name:               \
    return std::string_view(#name).substr(1);
    DOGFS_MESSAGE_TYPES(X)
#undef X
  }
  return "Unknown";
}

}  // namespace dogfs
