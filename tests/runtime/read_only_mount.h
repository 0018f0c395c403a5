// A directory that has become read-only, for the mounts that only this process sees.
#pragma once

#include <sched.h>
#include <sys/mount.h>

#include <string>
#include <utility>

namespace dogfs {

class ReadOnlyMount {
 public:
  // Makes `directory` read-only for whoever opens it from now on, until this object goes. That takes root's rights, and
  // may fail with them: in a container, say.
  explicit ReadOnlyMount(std::string directory) : directory_(std::move(directory)) {
    const char* path = directory_.c_str();
    // What is mounted from here on is no affair of the rest of the machine.
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return;
    is_mounted_ = ::mount(path, path, nullptr, MS_BIND, nullptr) == 0;
    is_read_only_ = is_mounted_ && ::mount(nullptr, path, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0;
  }
  ~ReadOnlyMount() {
    // What is still open keeps it for itself.
    if (is_mounted_) ::umount2(directory_.c_str(), MNT_DETACH);
  }
  ReadOnlyMount(const ReadOnlyMount&) = delete;
  ReadOnlyMount& operator=(const ReadOnlyMount&) = delete;

  bool is_read_only() const { return is_read_only_; }

 private:
  std::string directory_;
  bool is_mounted_ = false;
  bool is_read_only_ = false;
};

}  // namespace dogfs
