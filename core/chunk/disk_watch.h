// Notices a disk that does not answer, neither with what it was asked for nor with an error.
//
// Stands before the ports of the disk and knows since when each operation is under way; the server looks once in a
// heartbeat's interval. Once a disk is given up, whoever waits for it is answered with kIoError, and so is at once whoever
// asks it for more: nobody holds a turn, a place or a part of a budget for it any longer. Reads of records, which are those
// of the start, are not watched.
#pragma once

#include <memory>
#include <set>

#include "core/base/time.h"
#include "core/env/clock.h"
#include "core/env/kv_store.h"
#include "core/env/shard_store.h"

namespace dogfs {

// A disk that has an operation under way for so long does not answer at all.
inline constexpr Duration kDiskHangLimit = seconds(30);

class DiskWatch {
 public:
  // `files` and `records` are of the same disk. What is passed must outlive this object.
  DiskWatch(Clock& clock, ShardStore& files, KvStore& records);
  ~DiskWatch();

  // The disk, watched. Files that are opened here must not be used after this object is gone.
  ShardStore& files();
  KvStore& records();

  // Whether an operation has been under way for kDiskHangLimit. To be asked again and again: what was under way while
  // nobody asked for long counts from then on, since a process that was stopped learns late of what has ended.
  bool hangs();
  // Whether hangs() saw one that had been under way for a while, and still is.
  bool is_late() const;
  // For good.
  void give_up();
  bool given_up() const { return given_up_; }

 private:
  class Files;
  class File;
  class Records;

  // Runs an operation of the disk, which `begin` starts.
  template <class T, class Begin>
  Task<T> run(Begin begin);
  Duration oldest() const;

  Clock& clock_;
  ShardStore& unwatched_files_;
  KvStore& unwatched_records_;
  std::unique_ptr<Files> files_;
  std::unique_ptr<Records> records_;
  std::multiset<MonoTime> under_way_;  // since when
  MonoTime last_look_;
  MonoTime looked_since_;
  bool was_late_ = false;
  bool given_up_ = false;
};

}  // namespace dogfs
