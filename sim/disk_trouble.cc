#include "sim/disk_trouble.h"

#include "core/base/check.h"

namespace dogfs::sim {

DiskTrouble& DiskTrouble::operator+=(const DiskTrouble& more) {
  read_errors_per_million += more.read_errors_per_million;
  write_errors_per_million += more.write_errors_per_million;
  misdirected_reads_per_million += more.misdirected_reads_per_million;
  misdirected_writes_per_million += more.misdirected_writes_per_million;
  row_read_errors_per_million += more.row_read_errors_per_million;
  row_write_errors_per_million += more.row_write_errors_per_million;
  full += more.full;
  rows_full += more.rows_full;
  rows_nearly_full += more.rows_nearly_full;
  read_only += more.read_only;
  delay_min += more.delay_min;
  delay_max += more.delay_max;
  return *this;
}

DiskTrouble& DiskTrouble::operator-=(const DiskTrouble& less) {
  DOGFS_CHECK(full >= less.full && delay_max >= less.delay_max);
  read_errors_per_million -= less.read_errors_per_million;
  write_errors_per_million -= less.write_errors_per_million;
  misdirected_reads_per_million -= less.misdirected_reads_per_million;
  misdirected_writes_per_million -= less.misdirected_writes_per_million;
  row_read_errors_per_million -= less.row_read_errors_per_million;
  row_write_errors_per_million -= less.row_write_errors_per_million;
  full -= less.full;
  rows_full -= less.rows_full;
  rows_nearly_full -= less.rows_nearly_full;
  read_only -= less.read_only;
  delay_min -= less.delay_min;
  delay_max -= less.delay_max;
  return *this;
}

}  // namespace dogfs::sim
