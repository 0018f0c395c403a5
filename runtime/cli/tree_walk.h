// A walk over files: of one, or of all in a directory and below it, and of what was deleted there and is in the trash.
#pragma once

#include <string>
#include <vector>

#include "core/env/task.h"
#include "core/wire/meta.pb.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

class TreeWalk {
 public:
  explicit TreeWalk(Session& session) : session_(session) {}
  virtual ~TreeWalk() = default;
  TreeWalk(const TreeWalk&) = delete;
  TreeWalk& operator=(const TreeWalk&) = delete;

  // Visits the file `path`, or each directory with the files in it, until the session is interrupted. What fails within
  // a tree is reported, and the walk goes on; what has gone since it was listed is passed over.
  Task<Status> walk(std::string path);
  // The same for the trees in the trash that were at `path` or below it. The result is how many there are.
  Task<Result<uint64_t>> walk_trash(std::string path);

 protected:
  struct Entry {
    std::string path;  // in the trash: that it had
    wire::FileStatus status;
    uint64_t trash = 0;  // the id of the tree in the trash that it is in, if it is
  };
  virtual void visit_directory() {}
  // `directory`: the file's. None of the top of a tree in the trash.
  virtual Task<Status> visit_file(Entry file, const Entry& directory) = 0;

  Session& session_;

 private:
  Task<Status> walk_tree(Entry directory);
  Task<Status> walk_directory(Entry directory);
  void report(const std::string& path, const Status& status);

  std::vector<Entry> pending_;
};

}  // namespace dogfs::cli
