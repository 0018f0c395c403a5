#include "core/meta/quota.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/printable.h"
#include "core/meta/path.h"
#include "core/meta/resolve.h"

namespace dogfs {
namespace {

bool is_among(const wire::QuotaCharge& charge, const Charges& charges) {
  return std::ranges::any_of(charges, [&charge](const wire::QuotaCharge& other) {
    return other.inode() == charge.inode() && other.id() == charge.id();
  });
}

Charges without(const Charges& charges, const Charges& others) {
  Charges rest;
  for (const wire::QuotaCharge& charge : charges) {
    if (!is_among(charge, others)) *rest.Add() = charge;
  }
  return rest;
}

// The row that `charge` means, unless it was cleared.
Result<std::optional<wire::QuotaRow>> live_quota(const MetaTables& tables, const wire::QuotaCharge& charge) {
  DOGFS_TRY(std::optional<wire::QuotaRow> row, tables.quota(InodeId(charge.inode())));
  if (row && row->id() != charge.id()) row.reset();
  return row;
}

Result<Charges> live_ones(const MetaTables& tables, const Charges& charges) {
  Charges live;
  for (const wire::QuotaCharge& charge : charges) {
    DOGFS_TRY(const std::optional<wire::QuotaRow> row, live_quota(tables, charge));
    if (row) *live.Add() = charge;
  }
  return live;
}

// What the row of a tree that was cut off keeps of the quotas above it.
Result<Charges> kept_charges(const MetaTables& tables, const wire::InodeRow& top) {
  if (top.trash_expires_ms() != 0) {
    DOGFS_TRY(wire::TrashRow row, tables.required_trash(top));
    return std::move(*row.mutable_charges());
  }
  const InodeId id(top.inode());
  DOGFS_TRY(std::optional<wire::DetachedRow> row, tables.detached(id));
  if (!row) return missing_row(tables.keys().detached(id));
  return std::move(*row->mutable_charges());
}

// For error texts. Precondition: the directory is attached, as those are to which something is added.
Result<std::string> path_of(const MetaTables& tables, InodeId directory) {
  std::string path;
  while (directory != kRootInode) {
    DOGFS_TRY(const wire::InodeRow row, tables.required_inode(directory));
    path = "/" + row.entry_name() + path;
    directory = InodeId(row.parent());
  }
  return path.empty() ? "/" : path;
}

// An excess of one kind.
struct Excess {
  std::string_view what;
  uint64_t limit = 0;
  uint64_t used = 0;
  uint64_t wanted = 0;
};

std::optional<Excess> excess_of(const wire::QuotaRow& row, Usage usage) {
  const auto is_beyond = [](uint64_t limit, uint64_t used, uint64_t more) {
    return limit > 0 && more > 0 && (used > limit || more > limit - used);
  };
  if (is_beyond(row.max_names(), row.names(), usage.names)) {
    return Excess{"names", row.max_names(), row.names(), usage.names};
  }
  if (is_beyond(row.max_bytes(), row.bytes(), usage.bytes)) {
    return Excess{"stored bytes", row.max_bytes(), row.bytes(), usage.bytes};
  }
  return std::nullopt;
}

Status check_room(const MetaTables& tables, InodeId directory, const wire::QuotaRow& row, Usage usage) {
  const std::optional<Excess> excess = excess_of(row, usage);
  if (!excess) return ok();
  DOGFS_TRY(const std::string path, path_of(tables, directory));
  return Error(ErrorCode::kQuotaExceeded,
               fmt::format("\"{}\" may have {} {}, has {}, and {} more are wanted", printable(path), excess->limit,
                           excess->what, excess->used, excess->wanted));
}

Status add_charge(ApplyContext& context, const Charges& charges, Usage usage, bool checked) {
  for (const wire::QuotaCharge& charge : charges) {
    DOGFS_TRY(std::optional<wire::QuotaRow> row, live_quota(context.tables, charge));
    if (!row) continue;
    const InodeId directory(charge.inode());
    if (checked) {
      DOGFS_TRYV(check_room(context.tables, directory, *row, usage));
    }
    row->set_names(row->names() + usage.names);
    row->set_bytes(row->bytes() + usage.bytes);
    context.tables.put_quota(directory, *row);
  }
  return ok();
}

// Counts a tree, and stops with kLimitExceeded where it is too large.
class TreeCount {
 public:
  explicit TreeCount(const MetaTables& tables) : tables_(tables) {}

  Result<Usage> count(const wire::InodeRow& top) {
    DOGFS_TRYV(add(top));
    while (!unvisited_.empty()) {
      const InodeId directory = unvisited_.back();
      unvisited_.pop_back();
      std::vector<InodeId> inside;
      DOGFS_TRYV(scan_rows<wire::DirectoryEntryRow>(tables_.reader(), tables_.keys().entries(directory, {}),
                                                    [&inside](std::string_view, const wire::DirectoryEntryRow& row) {
                                                      inside.emplace_back(row.inode());
                                                      return true;
                                                    }));
      for (const InodeId id : inside) {
        DOGFS_TRY(const wire::InodeRow inode, tables_.required_inode(id));
        DOGFS_TRYV(add(inode));
      }
    }
    return usage_;
  }

 private:
  Status add(const wire::InodeRow& inode) {
    ++usage_.names;
    usage_.bytes += inode.stored_bytes();
    waiting_ += inode.entries();
    if (inode.entries() > 0) unvisited_.emplace_back(inode.inode());
    if (waiting_ < kMaxCountedInodes) return ok();
    return Error(ErrorCode::kLimitExceeded,
                 fmt::format("there are more than {} files and directories in the tree, too many to be counted at once",
                             kMaxCountedInodes));
  }

  const MetaTables& tables_;
  Usage usage_;
  uint64_t waiting_ = 0;  // entries of the directories seen so far: what will be visited beside the top
  std::vector<InodeId> unvisited_;
};

Status start_quota(ApplyContext& context, wire::InodeRow directory, wire::QuotaRow row) {
  DOGFS_TRY(const Usage usage, TreeCount(context.tables).count(directory));
  row.set_id(context.log_index.value());
  row.set_names(usage.names);
  row.set_bytes(usage.bytes);
  context.tables.put_quota(InodeId(directory.inode()), row);
  directory.set_quota(row.id());
  directory.set_ctime_ms(context.wall_ms());
  context.tables.put(directory);
  context.counters.set_quotas(context.counters.quotas() + 1);
  return ok();
}

Status clear_quota(ApplyContext& context, wire::InodeRow directory) {
  if (directory.quota() == 0) return ok();
  context.tables.erase(context.tables.keys().quota(InodeId(directory.inode())));
  context.counters.set_quotas(context.counters.quotas() - 1);
  directory.clear_quota();
  directory.set_ctime_ms(context.wall_ms());
  context.tables.put(directory);
  return ok();
}

}  // namespace

Result<Charges> charges_of(const ApplyContext& context, const wire::InodeRow& inode) {
  Charges charges;
  if (context.counters.quotas() == 0) return charges;
  wire::InodeRow at = inode;
  while (true) {
    if (at.quota() != 0) {
      wire::QuotaCharge& charge = *charges.Add();
      charge.set_inode(at.inode());
      charge.set_id(at.quota());
    }
    if (at.parent() == 0) break;
    DOGFS_TRY(at, context.tables.required_inode(InodeId(at.parent())));
  }
  if (at.inode() == kRootInode.value()) return charges;
  DOGFS_TRY(const Charges above, kept_charges(context.tables, at));
  charges.MergeFrom(above);
  return charges;
}

Result<Charges> charges_of(const ApplyContext& context, InodeId inode) {
  if (context.counters.quotas() == 0) return Charges();
  DOGFS_TRY(const wire::InodeRow row, context.tables.required_inode(inode));
  return charges_of(context, row);
}

Status charge(ApplyContext& context, const Charges& charges, Usage usage) {
  return add_charge(context, charges, usage, true);
}

Status charge_unchecked(ApplyContext& context, const Charges& charges, Usage usage) {
  return add_charge(context, charges, usage, false);
}

Status release(ApplyContext& context, const Charges& charges, Usage usage) {
  for (const wire::QuotaCharge& charge : charges) {
    DOGFS_TRY(std::optional<wire::QuotaRow> row, live_quota(context.tables, charge));
    if (!row) continue;
    const InodeId directory(charge.inode());
    if (row->names() < usage.names || row->bytes() < usage.bytes) {
      return corrupt_row(context.tables.keys().quota(directory), "is charged with less than what is released");
    }
    row->set_names(row->names() - usage.names);
    row->set_bytes(row->bytes() - usage.bytes);
    context.tables.put_quota(directory, *row);
  }
  return ok();
}

Status recharge(ApplyContext& context, const wire::InodeRow& top, const Charges& from, const Charges& to) {
  DOGFS_TRY(const Charges left, live_ones(context.tables, without(from, to)));
  const Charges entered = without(to, from);
  if (left.empty() && entered.empty()) return ok();
  DOGFS_TRY(const Usage usage, TreeCount(context.tables).count(top));
  DOGFS_TRYV(release(context, left, usage));
  return charge(context, entered, usage);
}

Status set_stored_bytes(ApplyContext& context, wire::InodeRow& file, uint64_t bytes) {
  const uint64_t before = file.stored_bytes();
  file.set_stored_bytes(bytes);
  DOGFS_TRY(const Charges charges, charges_of(context, file));
  if (bytes > before) return charge(context, charges, {.bytes = bytes - before});
  return release(context, charges, {.bytes = before - bytes});
}

Status drop_stored_bytes(ApplyContext& context, wire::InodeRow& file, uint64_t bytes) {
  if (file.stored_bytes() < bytes) {
    return corrupt_row(context.tables.keys().inode(InodeId(file.inode())), "counts fewer bytes than its blocks have");
  }
  return set_stored_bytes(context, file, file.stored_bytes() - bytes);
}

Status set_quota(ApplyContext& context, const wire::SetQuota& operation) {
  DOGFS_TRY(const Path path, Path::parse(operation.path()));
  if (operation.clear() == (operation.max_names() != 0 || operation.max_bytes() != 0)) {
    return Error(ErrorCode::kInvalidArgument, "a quota is either cleared or given limits");
  }
  if (operation.max_names() > kMaxQuota || operation.max_bytes() > kMaxQuota) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("a quota is {} at most", kMaxQuota));
  }
  DOGFS_TRY(const Resolution resolution, resolve_existing(context.tables, path));
  if (!resolution.is_directory()) return path_error(ErrorCode::kNotADirectory, path.text());
  DOGFS_TRY(wire::InodeRow directory, context.tables.required_inode(resolution.inode()));
  if (operation.clear()) return clear_quota(context, std::move(directory));
  DOGFS_TRY(std::optional<wire::QuotaRow> there, context.tables.quota(resolution.inode()));
  wire::QuotaRow row = there.value_or(wire::QuotaRow());
  if (operation.max_names() != 0) row.set_max_names(operation.max_names());
  if (operation.max_bytes() != 0) row.set_max_bytes(operation.max_bytes());
  if (!there) return start_quota(context, std::move(directory), std::move(row));
  context.tables.put_quota(resolution.inode(), row);
  return ok();
}

}  // namespace dogfs
