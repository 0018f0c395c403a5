// The mark of a data directory: whatever the file says, the directory is this node's or is refused.
#include "runtime/dogfsd/data_directory.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/base/check.h"
#include "fuzz/input.h"

namespace dogfs::fuzz {
namespace {

class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "dogfs-fuzz-XXXXXX").string();
    DOGFS_CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~ScratchDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void write_file(const std::string& path, std::string_view content) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  DOGFS_CHECK(file != nullptr);
  std::fwrite(content.data(), 1, content.size(), file);
  std::fclose(file);
}

}  // namespace
}  // namespace dogfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dogfs;
  static const fuzz::ScratchDirectory directory;
  const std::string_view text = fuzz::Input(data, size).rest();
  fuzz::write_file(directory.path() + "/identity", text);
  const DirectoryIdentity identity{{"cluster", "c"}, {"node", "1"}, {"role", "meta"}};
  const Result<DataDirectory> opened = DataDirectory::open(directory.path(), identity);
  if (!opened) return 0;
  for (const auto& [name, value] : identity) {
    DOGFS_CHECK(text.find(name + " " + value) != std::string_view::npos, "what is ours says so");
  }
  return 0;
}
