// What one client knows about its own subtree, in which nobody else changes anything.
//
// An operation that was acknowledged has taken effect; one that failed, or whose client died, may have, and may yet (it
// can sit in the log of a metadata node that is cut off). So before an operation begins, every path that it touches
// becomes *uncertain*, with all that may be there; success makes it certain again. Uncertain paths are not used any
// more, only looked at when everything has settled.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace dogfs::sim {

// A stretch of a file: from `offset` on its bytes are those of the content named by `content` (sim/content.h).
struct ModelStretch {
  uint64_t offset = 0;
  uint64_t content = 0;
};

struct ModelFile {
  uint64_t content = 0;  // the key of what was written first
  uint64_t length = 0;
  uint32_t least_spares = 0;  // of its weakest block, when it was written
  // What was appended later, ascending; each goes on to the next one.
  std::vector<ModelStretch> appended{};
  // Of a file that may be there in part: at least so much of it is, since that was acknowledged.
  uint64_t acknowledged = 0;
};

// `file` cut to `length`, and with `bytes` of the content named by `content` behind its end.
ModelFile truncated(ModelFile file, uint64_t length);
ModelFile appended(ModelFile file, uint64_t content, uint64_t bytes);

// Whether `bytes` are what `file` has at `offset`.
bool is_in_file(const ModelFile& file, uint64_t offset, const BytesChain& bytes);

// What is at a path for certain. No file: a directory.
struct ModelEntry {
  std::optional<ModelFile> file;
  bool is_directory() const { return !file; }
};

// All that may be at a path.
struct Possible {
  bool absent = true;
  bool directory = false;
  std::vector<ModelFile> whole;      // exactly one of these
  std::vector<ModelFile> beginning;  // or the beginning, of any length from what is acknowledged on, of one of these
};

// What was seen at a path when everything had settled.
struct Observed {
  enum class Kind : uint8_t { kAbsent, kDirectory, kFile };
  Kind kind = Kind::kAbsent;
  uint64_t length = 0;
};

class NamespaceModel {
 public:
  using Entries = std::map<std::string, ModelEntry>;
  using Uncertain = std::map<std::string, Possible>;
  // What is at a path and below it, by what comes behind that path: "" is the top.
  struct Subtree {
    Entries certain;
    Uncertain uncertain;
  };

  const Entries& certain() const { return certain_; }
  const Uncertain& uncertain() const { return uncertain_; }
  std::vector<std::string> directories() const;
  std::vector<std::string> files() const;
  // The children of `directory` that are certainly there.
  std::vector<std::string> names_in(std::string_view directory) const;
  // A name that was never used.
  std::string fresh_name() { return "n" + std::to_string(++last_name_); }

  Subtree subtree_at(const std::string& path) const;

  // --- Before an operation: it may or may not take effect ---
  void begin_make_directory(const std::string& path);
  // Creating, or replacing what is there; `file` is what is going to be written.
  void begin_write(const std::string& path, const ModelFile& file);
  // Appending: the file may come to have any length from its own to that of `longer`.
  void begin_append(const std::string& path, const ModelFile& longer);
  void begin_truncate(const std::string& path, uint64_t length);
  // So much of what is being written to `path` is durable.
  void synced(const std::string& path, uint64_t length);
  // The file of a begin_write certainly exists now, with some beginning of its content.
  void created(const std::string& path);
  void begin_rename(const std::string& source, const std::string& target);
  void begin_remove(const std::string& path);
  // Of what was taken away whole, at a path where nothing is.
  void begin_restore(const Subtree& tree, const std::string& target);

  // --- It has taken effect ---
  void made_directory(const std::string& path);
  void written(const std::string& path, const ModelFile& file);
  void renamed(const std::string& source, const std::string& target);
  void removed(const std::string& path);
  void restored(const Subtree& tree, const std::string& target);

  // --- It certainly has not
  void not_restored(const std::string& target) { forget_uncertain(target); }

  // Whether `name` may be in a listing of `directory` that lacks it in names_in().
  bool may_contain(std::string_view directory, std::string_view name) const;

 private:
  // The paths of `path` and everything under it, among the certain ones.
  std::vector<std::string> subtree(const std::string& path) const;
  // Takes the entry out of the certain ones and notes that it may be at `at`, or not.
  void doubt(const std::string& path, const std::string& at);
  // `path` and all under it are certainly absent, and their names are not used again.
  void forget_uncertain(const std::string& path);

  Entries certain_;
  Uncertain uncertain_;
  // What the operation under way would move: from, to, entry.
  struct Move {
    std::string from;
    std::string to;
    ModelEntry entry;
  };
  std::vector<Move> moving_;
  uint64_t last_name_ = 0;
};

// Whether `observed` is one of `possible`. For a file, `candidates` gets those whose content it may have; its bytes
// must be those of one of them.
bool is_possible(const Possible& possible, const Observed& observed, std::vector<ModelFile>& candidates);

std::string_view parent_of(std::string_view path);
std::string_view name_of(std::string_view path);

}  // namespace dogfs::sim
