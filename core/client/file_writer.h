// Writes one file as a pipeline of blocks: while one is sealed and committed, the next ones stream already.
#pragma once

#include <memory>
#include <string>

#include "core/client/block_writer.h"
#include "core/client/client.h"
#include "core/client/context.h"
#include "core/client/lease_keeper.h"

namespace dogfs {

// A file that was just created.
struct NewFile {
  WriteLease lease;
  Geometry geometry;
  uint64_t expected_bytes = 0;  // 0: unknown
};

// `context` and `leases` must outlive the writer, and what it leaves in context.tasks.
std::unique_ptr<FileWriter> make_file_writer(ClientContext& context, LeaseKeeper& leases, const NewFile& file);

}  // namespace dogfs
