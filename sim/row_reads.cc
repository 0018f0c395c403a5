#include "sim/row_reads.h"

#include "sim/kv_store.h"

namespace dogfs::sim {
namespace {

constexpr uint64_t kMostRowsBeforeFailure = 8;

}  // namespace

std::optional<uint64_t> RowReadFailures::draw() {
  const uint32_t rate = disk_->trouble().row_read_errors_per_million;
  if (rate == 0 || !draws_.chance(rate)) return std::nullopt;
  return draws_.between(uint64_t{0}, kMostRowsBeforeFailure);
}

Error RowReadFailures::count() {
  disk_->harms().count(Harm::kRowReadError);
  return Error(ErrorCode::kIoError, "read of rows failed");
}

Result<std::optional<std::string>> RowReads::get(std::string_view key) const {
  if (failures_->draw()) return failures_->count();
  return rows_->get(key);
}

Status RowReads::scan(std::string_view begin, std::string_view end, const Visitor& visit) const {
  return scan_some(&KvReader::scan, begin, end, visit);
}

Status RowReads::scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const {
  return scan_some(&KvReader::scan_backward, begin, end, visit);
}

Status RowReads::scan_some(Scan scan, std::string_view begin, std::string_view end, const Visitor& visit) const {
  const KvReader& rows = *rows_;
  std::optional<uint64_t> left = failures_->draw();
  if (!left) return (rows.*scan)(begin, end, visit);
  bool ended_by_visitor = false;
  const auto visit_some = [&](std::string_view key, std::string_view value) {
    if (*left == 0) return false;
    --*left;
    ended_by_visitor = !visit(key, value);
    return !ended_by_visitor;
  };
  DOGFS_TRYV((rows.*scan)(begin, end, visit_some));
  if (ended_by_visitor) return ok();
  return failures_->count();
}

}  // namespace dogfs::sim
