#include "core/client/client.h"

#include <fmt/format.h>

#include "core/base/limits.h"
#include "core/client/block_verifier.h"
#include "core/client/context.h"
#include "core/client/converter.h"
#include "core/client/file_reader.h"
#include "core/client/file_writer.h"
#include "core/client/lease_keeper.h"
#include "core/client/truncation.h"
#include "core/ec/policy_wire.h"

namespace dogfs {
namespace {

// The metadata checks everything else; this only keeps the message within its limits.
Status check_path(const std::string& path) {
  if (path.size() > kMaxPathBytes)
    return Error(ErrorCode::kPathTooDeep, fmt::format("a path has at most {} bytes", kMaxPathBytes));
  return ok();
}

}  // namespace

class Client::Impl {
 public:
  Impl(Env& env, ClientOptions options) : context_(env, std::move(options)), leases_(context_) {}

  // A change whose result says nothing more.
  Task<Status> change(wire::Mutation mutation) {
    DOGFS_CO_TRYV(co_await context_.session.mutate(std::move(mutation)));
    co_return ok();
  }

  // A change whose result the caller wants.
  Task<Result<wire::MutationResult>> change_for(wire::Mutation mutation) {
    return context_.session.mutate(std::move(mutation));
  }

  // A read that names a path.
  template <class ReplyMessage, class RequestMessage>
  Task<Result<ReplyMessage>> ask(MessageType type, RequestMessage message) {
    DOGFS_CO_TRYV(check_path(message.path()));
    co_return co_await context_.channel.ask<ReplyMessage>(type, std::move(message));
  }

  // What the leader alone can do, without a path.
  template <class ReplyMessage, class RequestMessage>
  Task<Result<ReplyMessage>> ask_leader(MessageType type, RequestMessage message) {
    return context_.channel.ask<ReplyMessage>(type, std::move(message));
  }

  Task<Result<std::unique_ptr<FileWriter>>> create(std::string path, CreateOptions options);
  Task<Result<std::unique_ptr<FileWriter>>> append(std::string path);
  Task<Status> truncate(std::string path, uint64_t length);
  Task<Result<ConvertOutcome>> convert(std::string path, std::optional<wire::EcPolicy> policy);
  Task<Result<std::unique_ptr<FileReader>>> open(std::string path);
  Task<Result<std::vector<ShardFinding>>> verify(VerifyRequest request) {
    return dogfs::verify_block(context_, std::move(request));
  }
  // What any node answers as far as it knows: the leader, unless nobody leads.
  template <class ReplyMessage, class RequestMessage>
  Task<Result<ReplyMessage>> ask_best(MessageType type, RequestMessage message);

  Task<void> stop() {
    leases_.stop();
    co_await context_.tasks.join();
  }

 private:
  ClientContext context_;
  LeaseKeeper leases_;
};

Task<Result<std::unique_ptr<FileWriter>>> Client::Impl::create(std::string path, CreateOptions options) {
  DOGFS_CO_TRYV(check_path(path));
  wire::Mutation mutation;
  wire::CreateFile& message = *mutation.mutable_create_file();
  message.set_path(std::move(path));
  message.set_overwrite(options.overwrite);
  message.set_parents(options.parents);
  message.set_mode(options.mode);
  DOGFS_CO_TRY(const wire::MutationResult result, co_await context_.session.mutate(std::move(mutation)));
  const wire::CreateFileResult& created = result.create_file();
  DOGFS_CO_TRY(const Geometry geometry, geometry_from_wire(created.policy()));
  const OpenedFile file{.lease = {.inode = InodeId(created.inode()), .epoch = LeaseEpoch(created.lease_epoch())},
                        .geometry = geometry,
                        .expected_length = options.expected_bytes};
  co_return make_file_writer(context_, leases_, file);
}

Task<Result<std::unique_ptr<FileWriter>>> Client::Impl::append(std::string path) {
  DOGFS_CO_TRYV(check_path(path));
  DOGFS_CO_TRY(const OpenedFile file, co_await open_to_append(context_, std::move(path)));
  co_return make_file_writer(context_, leases_, file);
}

Task<Status> Client::Impl::truncate(std::string path, uint64_t length) {
  DOGFS_CO_TRYV(check_path(path));
  co_return co_await truncate_file(context_, leases_, std::move(path), length);
}

Task<Result<ConvertOutcome>> Client::Impl::convert(std::string path, std::optional<wire::EcPolicy> policy) {
  DOGFS_CO_TRYV(check_path(path));
  co_return co_await convert_file(context_, leases_, std::move(path), std::move(policy));
}

Task<Result<std::unique_ptr<FileReader>>> Client::Impl::open(std::string path) {
  DOGFS_CO_TRYV(check_path(path));
  co_return co_await open_file_reader(context_, std::move(path));
}

template <class ReplyMessage, class RequestMessage>
Task<Result<ReplyMessage>> Client::Impl::ask_best(MessageType type, RequestMessage message) {
  message.set_only_leader(true);
  Result<ReplyMessage> of_leader = co_await ask_leader<ReplyMessage>(type, message);
  if (of_leader || of_leader.error().code != ErrorCode::kNoLeader) co_return of_leader;
  message.set_only_leader(false);
  Request request = make_request(type, GroupId(), message);
  DOGFS_CO_TRY(Reply reply, co_await context_.channel.call_any(std::move(request)));
  DOGFS_CO_TRY(TypedReply<ReplyMessage> typed, parse_reply<ReplyMessage>(std::move(reply)));
  co_return std::move(typed.message);
}

Client::Client(Env& env, ClientOptions options) : impl_(std::make_unique<Impl>(env, std::move(options))) {}

Client::~Client() = default;

Task<Status> Client::make_directory(std::string path, MakeDirectoryOptions options) {
  DOGFS_CO_TRYV(check_path(path));
  wire::Mutation mutation;
  wire::MakeDirectory& message = *mutation.mutable_make_directory();
  message.set_path(std::move(path));
  message.set_parents(options.parents);
  message.set_mode(options.mode);
  if (options.policy) *message.mutable_policy() = *options.policy;
  co_return co_await impl_->change(std::move(mutation));
}

Task<Result<std::unique_ptr<FileWriter>>> Client::create(std::string path, CreateOptions options) {
  return impl_->create(std::move(path), options);
}

Task<Result<std::unique_ptr<FileWriter>>> Client::append(std::string path) {
  return impl_->append(std::move(path));
}

Task<Result<ConvertOutcome>> Client::convert(std::string path, std::optional<wire::EcPolicy> policy) {
  return impl_->convert(std::move(path), std::move(policy));
}

Task<Status> Client::truncate(std::string path, uint64_t length) {
  return impl_->truncate(std::move(path), length);
}

Task<Result<std::unique_ptr<FileReader>>> Client::open(std::string path) {
  return impl_->open(std::move(path));
}

Task<Result<wire::FileStatus>> Client::stat(std::string path) {
  wire::StatRequest request;
  request.set_path(std::move(path));
  DOGFS_CO_TRY(wire::StatReply reply, co_await impl_->ask<wire::StatReply>(MessageType::kStat, std::move(request)));
  co_return std::move(*reply.mutable_status());
}

Task<Result<wire::ListReply>> Client::list(std::string path, std::string after, uint32_t limit) {
  wire::ListRequest request;
  request.set_path(std::move(path));
  request.set_after(std::move(after));
  request.set_limit(limit);
  return list(std::move(request));
}

Task<Result<wire::ListReply>> Client::list(wire::ListRequest request) {
  co_return co_await impl_->ask<wire::ListReply>(MessageType::kList, std::move(request));
}

Task<Status> Client::rename(std::string source, std::string target, bool replace) {
  DOGFS_CO_TRYV(check_path(source));
  DOGFS_CO_TRYV(check_path(target));
  wire::Mutation mutation;
  wire::Rename& message = *mutation.mutable_rename();
  message.set_source(std::move(source));
  message.set_target(std::move(target));
  message.set_replace(replace);
  co_return co_await impl_->change(std::move(mutation));
}

Task<Result<wire::DeleteResult>> Client::remove(std::string path, DeleteOptions options) {
  DOGFS_CO_TRYV(check_path(path));
  wire::Mutation mutation;
  wire::Delete& message = *mutation.mutable_delete_();
  message.set_path(std::move(path));
  message.set_recursive(options.recursive);
  message.set_skip_trash(options.skip_trash);
  if (options.written_under) {
    message.set_inode(options.written_under->inode.value());
    message.set_lease_epoch(options.written_under->epoch.value());
  }
  DOGFS_CO_TRY(const wire::MutationResult result, co_await impl_->change_for(std::move(mutation)));
  co_return result.delete_();
}

Task<Status> Client::restore_trash(uint64_t inode, RestoreOptions options) {
  DOGFS_CO_TRYV(check_path(options.target));
  wire::Mutation mutation;
  wire::RestoreTrash& message = *mutation.mutable_restore_trash();
  message.set_inode(inode);
  message.set_target(std::move(options.target));
  message.set_parents(options.parents);
  co_return co_await impl_->change(std::move(mutation));
}

Task<Status> Client::purge_trash(uint64_t inode) {
  wire::Mutation mutation;
  mutation.mutable_purge_trash()->set_inode(inode);
  return impl_->change(std::move(mutation));
}

Task<Status> Client::empty_trash() {
  for (bool more = true; more;) {
    wire::Mutation mutation;
    mutation.mutable_purge_trash()->set_all(true);
    DOGFS_CO_TRY(const wire::MutationResult result, co_await impl_->change_for(std::move(mutation)));
    more = result.purge_trash().more();
  }
  co_return ok();
}

Task<Result<wire::ListTrashReply>> Client::list_trash(wire::ListTrashRequest request) {
  return impl_->ask_leader<wire::ListTrashReply>(MessageType::kListTrash, std::move(request));
}

Task<Result<wire::AdministerTrashReply>> Client::administer_trash(wire::AdministerTrashRequest request) {
  return impl_->ask_leader<wire::AdministerTrashReply>(MessageType::kAdministerTrash, std::move(request));
}

Task<Status> Client::set_policy(std::string path, std::optional<wire::EcPolicy> policy) {
  DOGFS_CO_TRYV(check_path(path));
  wire::Mutation mutation;
  wire::SetPolicy& message = *mutation.mutable_set_policy();
  message.set_path(std::move(path));
  if (policy) *message.mutable_policy() = *std::move(policy);
  co_return co_await impl_->change(std::move(mutation));
}

Task<Status> Client::set_quota(wire::SetQuota quota) {
  DOGFS_CO_TRYV(check_path(quota.path()));
  wire::Mutation mutation;
  *mutation.mutable_set_quota() = std::move(quota);
  co_return co_await impl_->change(std::move(mutation));
}

Task<Result<wire::GetQuotasReply>> Client::quotas(std::string path) {
  wire::GetQuotasRequest request;
  request.set_path(std::move(path));
  co_return co_await impl_->ask<wire::GetQuotasReply>(MessageType::kGetQuotas, std::move(request));
}

Task<Status> Client::recover_lease(std::string path) {
  DOGFS_CO_TRYV(check_path(path));
  wire::Mutation mutation;
  mutation.mutable_recover_lease()->set_path(std::move(path));
  co_return co_await impl_->change(std::move(mutation));
}

Task<Result<wire::GetBlocksReply>> Client::blocks(std::string path, uint64_t offset, uint64_t length) {
  wire::GetBlocksRequest request;
  request.set_path(std::move(path));
  request.set_offset(offset);
  request.set_length(length);
  return blocks(std::move(request));
}

Task<Result<wire::GetBlocksReply>> Client::blocks(wire::GetBlocksRequest request) {
  co_return co_await impl_->ask<wire::GetBlocksReply>(MessageType::kGetBlocks, std::move(request));
}

Task<Result<std::vector<ShardFinding>>> Client::verify_block(VerifyRequest request) {
  return impl_->verify(std::move(request));
}

Task<Result<wire::SummaryReply>> Client::summary(std::string path) {
  wire::SummaryRequest request;
  request.set_path(std::move(path));
  co_return co_await impl_->ask<wire::SummaryReply>(MessageType::kSummary, std::move(request));
}

Task<Result<wire::ClusterStatusReply>> Client::status(bool count_blocks) {
  wire::ClusterStatusRequest request;
  request.set_count_blocks(count_blocks);
  return impl_->ask_best<wire::ClusterStatusReply>(MessageType::kClusterStatus, request);
}

Task<Result<wire::MembershipReply>> Client::membership() {
  return impl_->ask_best<wire::MembershipReply>(MessageType::kMembership, wire::MembershipRequest());
}

Task<Result<wire::MembershipReply>> Client::change_membership(wire::ChangeMembershipRequest change) {
  return impl_->ask_leader<wire::MembershipReply>(MessageType::kChangeMembership, std::move(change));
}

Task<Result<wire::AdministerServerReply>> Client::administer_server(wire::AdministerServerRequest request) {
  return impl_->ask_leader<wire::AdministerServerReply>(MessageType::kAdministerServer, std::move(request));
}

Task<Result<wire::BalanceReply>> Client::balance(wire::BalanceRequest request) {
  return impl_->ask_leader<wire::BalanceReply>(MessageType::kBalance, std::move(request));
}

Task<Result<wire::MembershipReply>> Client::transfer_leadership(uint64_t target) {
  wire::TransferLeadershipRequest request;
  request.set_target(target);
  return impl_->ask_leader<wire::MembershipReply>(MessageType::kTransferLeadership, request);
}

Task<void> Client::stop() {
  return impl_->stop();
}

}  // namespace dogfs
