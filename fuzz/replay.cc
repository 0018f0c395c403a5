// The main program of a fuzz target in builds without libFuzzer: runs it over the files that are named, and over those
// of the directories that are named. So each corpus, and each input that once found a bug, is an ordinary test.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

// What a target is to libFuzzer.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

size_t runs = 0;

bool replay(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    return false;
  }
  std::fprintf(stderr, "%s\n", path.c_str());
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  ++runs;
  return true;
}

bool replay_all(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return replay(path);
  bool good = true;
  for (const auto& entry : std::filesystem::directory_iterator(path)) good = replay(entry.path()) && good;
  return good;
}

}  // namespace

int main(int count, char** arguments) {
  bool good = true;
  for (int i = 1; i < count; ++i) good = replay_all(arguments[i]) && good;
  std::fprintf(stderr, "%zu inputs\n", runs);
  return good && runs > 0 ? 0 : 1;
}
