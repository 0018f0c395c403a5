#include "core/client/truncation.h"

#include <fmt/format.h>

#include <utility>

#include "core/client/file_writer.h"

namespace dogfs {
namespace {

// Until the file has `length` bytes; `reached` says how many it has at every moment.
Task<Status> cut(ClientContext& context, WriteLease lease, uint64_t length, uint64_t& reached) {
  while (reached > length) {
    wire::Mutation mutation;
    wire::TruncateFile& message = *mutation.mutable_truncate_file();
    message.set_inode(lease.inode.value());
    message.set_lease_epoch(lease.epoch.value());
    message.set_length(length);
    DOGFS_CO_TRY(const wire::MutationResult result, co_await context.session.mutate(std::move(mutation)));
    const uint64_t left = result.truncate_file().file_length();
    if (left < length || left >= reached) {
      co_return Error(ErrorCode::kProtocolError, "the metadata cut the file to another length than was asked for");
    }
    reached = left;
  }
  co_return ok();
}

}  // namespace

Task<Status> truncate_file(ClientContext& context, LeaseKeeper& leases, std::string path, uint64_t length) {
  DOGFS_CO_TRY(const OpenedFile file, co_await reopen_file(context, path));
  leases.add(file.lease.inode);
  uint64_t reached = file.length;
  Status done = ok();
  if (length > reached) {
    done = Error(ErrorCode::kInvalidArgument,
                 fmt::format("the file has {} bytes, and cannot be cut to {}", reached, length));
  } else {
    done = co_await cut(context, file.lease, length, reached);
  }
  const Status closed = co_await close_file(context, file.lease, reached);
  leases.remove(file.lease.inode);
  co_return done ? closed : done;
}

}  // namespace dogfs
