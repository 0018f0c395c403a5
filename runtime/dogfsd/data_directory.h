// The directory in which a node keeps everything: locked by one process, and marked with whose it is.
//
// A wrong directory is the mistake that costs data: a metadata node that comes up on another's log, or on an empty
// disk, breaks promises it has given. The mark is a small text file, `identity`, that is written before anything else
// and compared at each start.
#pragma once

#include <map>
#include <string>

#include "core/base/result.h"
#include "runtime/file_descriptor.h"

namespace dogfs {

// What the mark says, by name: role, cluster, node, members.
using DirectoryIdentity = std::map<std::string, std::string>;

class DataDirectory {
 public:
  // Opens `path`, which is made if it is missing, locks it, and compares its mark with `identity`; an empty directory
  // is marked. kUnavailable when another process has it, kConflict when it belongs to something else, kIoError.
  static Result<DataDirectory> open(const std::string& path, const DirectoryIdentity& identity);

  // Whether the node's stores have been made: from then on a missing one is a loss, not a beginning.
  bool formatted() const { return formatted_; }
  // To be called when the stores have been made.
  Status set_formatted();

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  DataDirectory(std::string path, FileDescriptor lock, DirectoryIdentity identity, bool formatted)
      : path_(std::move(path)), lock_(std::move(lock)), identity_(std::move(identity)), formatted_(formatted) {}

  std::string path_;
  FileDescriptor lock_;
  DirectoryIdentity identity_;
  bool formatted_;
};

}  // namespace dogfs
