// Mutations and commands of the metadata, drawn from the fuzzer's bytes: names, ids and geometries are few and small,
// so that operations meet each other's files.
#pragma once

#include "core/wire/command.pb.h"
#include "core/wire/meta.pb.h"
#include "fuzz/input.h"

namespace dogfs::fuzz {

inline std::string draw_path(Input& input) {
  constexpr const char* kNames[] = {"a", "b", "c", "dir", "..", ""};
  std::string path = input.byte() == 0xFF ? "" : "/";
  for (size_t depth = input.below(4); depth > 0; --depth) {
    if (path.size() > 1) path += "/";
    path += kNames[input.below(std::size(kNames))];
  }
  return path;
}

void draw_mutation(Input& input, wire::Mutation& mutation);
// With what a leader adds: time, and servers for what needs them. `sequence`: of the last request of session 1.
wire::Command draw_command(Input& input, uint64_t& sequence);

}  // namespace dogfs::fuzz
