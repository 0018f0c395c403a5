// Small text files that are read and replaced as a whole.
#pragma once

#include <string>

#include "core/base/limits.h"
#include "core/base/result.h"

namespace dogfs {

// Of the file that names a cluster's metadata nodes: `dogfsd dev` writes it, and `dogfs --cluster` reads it.
inline constexpr size_t kMaxClusterFileBytes = 64 * kKiB;

// kNotFound when there is none, kLimitExceeded when it is longer than `max_bytes`, kIoError.
Result<std::string> read_text_file(const std::string& path, size_t max_bytes);

// Makes `text` the whole content of `path`, durably: after a crash there is the old content or the new one.
Status replace_text_file(const std::string& path, const std::string& text);

// Makes durable which names are in the directory `path`.
Status sync_directory(const std::string& path);

}  // namespace dogfs
