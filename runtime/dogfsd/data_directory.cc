#include "runtime/dogfsd/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <sstream>
#include <vector>

#include "runtime/text_file.h"

namespace dogfs {
namespace {

constexpr char kLockName[] = "/lock";
constexpr char kIdentityName[] = "/identity";
constexpr char kFirstLine[] = "dogfs identity 1";
constexpr char kFormatted[] = "formatted";
constexpr size_t kMaxIdentityBytes = 64 * 1024;

Result<FileDescriptor> lock_directory(const std::string& path) {
  constexpr mode_t kMode = 0644;
  FileDescriptor lock(::open((path + kLockName).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kMode));
  if (!lock.is_open()) return system_error(path + kLockName);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) return Error(ErrorCode::kUnavailable, path + " is in use by another process");
  return system_error(path + kLockName);
}

std::string to_text(const DirectoryIdentity& identity, bool formatted) {
  std::string text = std::string(kFirstLine) + "\n";
  for (const auto& [name, value] : identity) text += name + " " + value + "\n";
  text += std::string(kFormatted) + (formatted ? " yes\n" : " no\n");
  return text;
}

Result<DirectoryIdentity> from_text(const std::string& text, const std::string& path) {
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line) || line != kFirstLine) {
    return Error(ErrorCode::kCorrupt, path + " is not an identity that this release can read");
  }
  DirectoryIdentity identity;
  while (std::getline(lines, line)) {
    const size_t space = line.find(' ');
    if (space == std::string::npos) return Error(ErrorCode::kCorrupt, path + ": bad line \"" + line + "\"");
    identity[line.substr(0, space)] = line.substr(space + 1);
  }
  if (!identity.contains(kFormatted)) return Error(ErrorCode::kCorrupt, path + " is cut short");
  return identity;
}

Status check_same(const DirectoryIdentity& found, const DirectoryIdentity& expected, const std::string& path) {
  for (const auto& [name, value] : expected) {
    const auto at = found.find(name);
    const std::string was = at == found.end() ? "nothing" : at->second;
    if (was != value) {
      return Error(ErrorCode::kConflict,
                   path + " belongs to another node: its " + name + " is " + was + ", and " + value + " was asked for");
    }
  }
  return ok();
}

// What lies in a directory without our mark that is not ours, if anything: all but the lock, and what file systems put
// into a new root.
std::optional<std::string> foreign_entry(const std::string& path) {
  std::error_code error;
  if (std::filesystem::exists(path + kIdentityName, error)) return std::nullopt;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    std::string name = entry.path().filename();
    if (name != "lock" && name != "lost+found" && name != "identity.tmp") return name;
  }
  return std::nullopt;
}

// Makes `path` and what is missing above it, durably.
Status make_directories(const std::string& path) {
  std::error_code error;
  std::vector<std::filesystem::path> parents;
  for (auto missing = std::filesystem::absolute(path, error);
       !missing.empty() && !std::filesystem::exists(missing, error);) {
    missing = missing.parent_path();
    parents.push_back(missing);
  }
  std::filesystem::create_directories(path, error);
  if (error) return Error(ErrorCode::kIoError, "cannot make the directory " + path + ": " + error.message());
  for (const std::filesystem::path& parent : parents) {
    DOGFS_TRYV(sync_directory(parent));
  }
  return ok();
}

}  // namespace

Result<DataDirectory> DataDirectory::open(const std::string& path, const DirectoryIdentity& identity) {
  DOGFS_TRYV(make_directories(path));
  // Looked at before the lock is made: nothing is put into a directory that is not ours.
  if (const auto foreign = foreign_entry(path)) {
    return Error(ErrorCode::kConflict, path + " is neither empty nor a DogFS directory: there is " + *foreign);
  }
  DOGFS_TRY(FileDescriptor lock, lock_directory(path));
  Result<std::string> text = read_text_file(path + kIdentityName, kMaxIdentityBytes);
  if (text) {
    DOGFS_TRY(const DirectoryIdentity found, from_text(text.value(), path + kIdentityName));
    DOGFS_TRYV(check_same(found, identity, path));
    return DataDirectory(path, std::move(lock), identity, found.at(kFormatted) == "yes");
  }
  if (text.error().code != ErrorCode::kNotFound) return text.error();
  DOGFS_TRYV(replace_text_file(path + kIdentityName, to_text(identity, false)));
  return DataDirectory(path, std::move(lock), identity, false);
}

Status DataDirectory::set_formatted() {
  if (formatted_) return ok();
  DOGFS_TRYV(replace_text_file(path_ + kIdentityName, to_text(identity_, true)));
  formatted_ = true;
  return ok();
}

}  // namespace dogfs
