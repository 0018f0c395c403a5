// Reads an open file: positional reads fetch only what they need, sequential ones run ahead.
#pragma once

#include <memory>
#include <string>

#include "core/client/client.h"
#include "core/client/context.h"

namespace dogfs {

// Fails with the metadata's error: kNotFound, kIsADirectory, ... `context` must outlive the reader, and what it leaves
// in context.tasks.
Task<Result<std::unique_ptr<FileReader>>> open_file_reader(ClientContext& context, std::string path);
Task<Result<std::unique_ptr<FileReader>>> open_file_reader(ClientContext& context, InodeId inode);

}  // namespace dogfs
