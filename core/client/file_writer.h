// Writes one file as a pipeline of blocks: while one is sealed and committed, the next ones stream already. Belongs to the
// executor of its client.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/client/block_writer.h"
#include "core/client/client.h"
#include "core/client/context.h"
#include "core/client/lease_keeper.h"

namespace dogfs {

// A file that is open for writing.
struct OpenedFile {
  WriteLease lease;
  Geometry geometry;
  uint64_t length = 0;           // where the writing begins
  uint32_t tail_bytes = 0;       // of that: those that the next block begins with
  Bytes tail{};                  // they themselves, where the file is opened to be written on
  uint64_t expected_length = 0;  // in the end; 0: unknown
};

// Takes the lease of a closed file, but does not fetch its tail. `policy`: what its blocks have from now on; none: as
// before.
Task<Result<OpenedFile>> reopen_file(ClientContext& context, std::string path,
                                     std::optional<wire::EcPolicy> policy = std::nullopt);
// The same to write on.
Task<Result<OpenedFile>> open_to_append(ClientContext& context, std::string path);

// Ends the lease. `length` must be the file's: kConflict otherwise, or while blocks are pending. `tail` becomes the
// file's inline tail first, unless it is empty; `length` counts it.
Task<Status> close_file(ClientContext& context, WriteLease lease, uint64_t length, Bytes tail = {});

// `context` and `leases` must outlive the writer, and what it leaves in context.tasks.
std::unique_ptr<FileWriter> make_file_writer(ClientContext& context, LeaseKeeper& leases, const OpenedFile& file);

}  // namespace dogfs
