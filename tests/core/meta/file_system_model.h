// A file system as a person would explain it: a map from whole paths to what is there. Slow and obviously right.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace dogfs {

class FileSystemModel {
 public:
  struct Node {
    bool directory = false;
    uint64_t inode = 0;
    bool operator==(const Node&) const = default;
  };
  struct File {
    uint64_t epoch = 0;
    bool open = false;
    uint64_t length = 0;
    std::set<uint64_t> pending;
  };

  // What is at a path and below it, by what comes behind the path.
  std::map<std::string, Node> subtree(const std::string& path) const {
    std::map<std::string, Node> tree;
    for (const auto& [each, node] : nodes) {
      if (each == path || is_below(each, path)) tree[each.substr(path.size())] = node;
    }
    return tree;
  }

  ErrorCode resolve(const std::string& path) const {
    if (const auto wrong = check_parents(path, false)) return *wrong;
    return path == "/" || nodes.contains(path) ? ErrorCode::kOk : ErrorCode::kNotFound;
  }

  // What restoring something to `path` answers: the caller puts it there.
  ErrorCode restore(const std::string& path, bool parents) const {
    if (const auto wrong = check_parents(path, parents)) return *wrong;
    return path == "/" || nodes.contains(path) ? ErrorCode::kAlreadyExists : ErrorCode::kOk;
  }

  // What each operation answers. On success the caller tells the inodes that were made with note_*.
  ErrorCode mkdir(const std::string& path, bool parents) const {
    if (const auto wrong = check_parents(path, parents)) return *wrong;
    if (path != "/" && !nodes.contains(path)) return ErrorCode::kOk;
    if (!parents) return ErrorCode::kAlreadyExists;
    return is_directory(path) ? ErrorCode::kOk : ErrorCode::kNotADirectory;
  }

  ErrorCode create(const std::string& path, bool overwrite, bool parents) const {
    if (const auto wrong = check_parents(path, parents)) return *wrong;
    if (is_directory(path)) return ErrorCode::kIsADirectory;
    const auto node = nodes.find(path);
    if (node == nodes.end() || overwrite) return ErrorCode::kOk;
    return files.at(node->second.inode).open ? ErrorCode::kLeaseHeld : ErrorCode::kAlreadyExists;
  }

  ErrorCode rename(const std::string& source, const std::string& target, bool replace) {
    if (source == "/" || target == "/") return ErrorCode::kInvalidArgument;
    if (const auto wrong = check_parents(source, false)) return *wrong;
    if (!nodes.contains(source)) return ErrorCode::kNotFound;
    if (source == target) return ErrorCode::kOk;
    const auto wrong = check_parents(target, false);
    if (wrong == ErrorCode::kNotADirectory) return *wrong;
    if (is_below(target, source)) return ErrorCode::kInvalidArgument;
    if (wrong) return *wrong;
    if (nodes.contains(target)) {
      if (!replace) return ErrorCode::kAlreadyExists;
      if (is_directory(target) && !is_directory(source)) return ErrorCode::kIsADirectory;
      if (!is_directory(target) && is_directory(source)) return ErrorCode::kNotADirectory;
      if (is_directory(target) && has_children(target)) return ErrorCode::kDirectoryNotEmpty;
      nodes.erase(target);
    }
    std::map<std::string, Node> moved;
    for (const auto& [path, node] : nodes) {
      const bool moves = path == source || is_below(path, source);
      moved[moves ? target + path.substr(source.size()) : path] = node;
    }
    nodes = std::move(moved);
    return ErrorCode::kOk;
  }

  ErrorCode remove(const std::string& path, bool recursive) {
    if (path == "/") return ErrorCode::kInvalidArgument;
    if (const auto wrong = check_parents(path, false)) return *wrong;
    if (!nodes.contains(path)) return ErrorCode::kNotFound;
    if (is_directory(path) && has_children(path) && !recursive) return ErrorCode::kDirectoryNotEmpty;
    std::erase_if(nodes, [&](const auto& node) { return node.first == path || is_below(node.first, path); });
    return ErrorCode::kOk;
  }

  ErrorCode recover(const std::string& path) {
    if (const auto wrong = check_parents(path, false)) return *wrong;
    if (is_directory(path)) return ErrorCode::kIsADirectory;
    const auto node = nodes.find(path);
    if (node == nodes.end()) return ErrorCode::kNotFound;
    revoke(node->second.inode);
    return ErrorCode::kOk;
  }

  ErrorCode append(const std::string& path) {
    if (const auto wrong = check_parents(path, false)) return *wrong;
    if (is_directory(path)) return ErrorCode::kIsADirectory;
    const auto node = nodes.find(path);
    if (node == nodes.end()) return ErrorCode::kNotFound;
    File& file = files.at(node->second.inode);
    if (file.open) return ErrorCode::kLeaseHeld;
    file.open = true;
    ++file.epoch;
    return ErrorCode::kOk;
  }

  void revoke(uint64_t inode) {
    File& file = files.at(inode);
    if (!file.open) return;
    file.open = false;
    ++file.epoch;
    file.pending.clear();
  }

  bool is_attached(uint64_t inode) const {
    for (const auto& [path, node] : nodes) {
      if (node.inode == inode) return true;
    }
    return false;
  }

  bool is_directory(const std::string& path) const {
    const auto node = nodes.find(path);
    return path == "/" || (node != nodes.end() && node->second.directory);
  }

  // The proper prefixes of a path, without the root: "/a/b/c" has "/a" and "/a/b".
  static std::vector<std::string> parents_of(const std::string& path) {
    std::vector<std::string> parents;
    for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      parents.push_back(path.substr(0, slash));
    }
    return parents;
  }

  std::map<std::string, Node> nodes;  // by path; the root is not among them
  std::map<uint64_t, File> files;     // by inode, deleted ones too

 private:
  // What is wrong with the directories above `path`, in the order in which a walk meets it.
  std::optional<ErrorCode> check_parents(const std::string& path, bool may_be_missing) const {
    for (const std::string& parent : parents_of(path)) {
      if (!nodes.contains(parent)) return may_be_missing ? std::nullopt : std::optional(ErrorCode::kNotFound);
      if (!is_directory(parent)) return ErrorCode::kNotADirectory;
    }
    return std::nullopt;
  }

  static bool is_below(const std::string& path, const std::string& directory) {
    return path.starts_with(directory + "/");
  }

  bool has_children(const std::string& directory) const {
    for (const auto& [path, node] : nodes) {
      if (is_below(path, directory)) return true;
    }
    return false;
  }
};

}  // namespace dogfs
