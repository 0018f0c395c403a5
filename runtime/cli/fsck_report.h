// What `dogfs fsck` says of blocks: the judgement of one, its lines, and the summary. Pure but for the printing.
#pragma once

#include <string>
#include <vector>

#include "core/client/client.h"
#include "core/wire/report.pb.h"
#include "runtime/cli/block_health.h"

namespace dogfs::cli {

// As the metadata has it.
wire::FsckBlock judge(std::string path, wire::BlockLocation block);

// By what reading it has shown, which goes before what the metadata has: a shard that read back whole counts wherever
// its server is said to be. One that could not be read does not count, but a block is not called lost for that as long
// as the metadata has no other word of its server: UNREACHABLE then.
wire::FsckBlock judge(std::string path, wire::BlockLocation block, const std::vector<ShardFinding>& findings);

void count(const wire::FsckBlock& block, wire::FsckSummary& summary);
void count(const std::vector<ShardFinding>& findings, wire::FsckSummary& summary);

// The block, and below it each shard that is not intact, or with `all` every one.
std::string describe_block(const wire::FsckBlock& block, std::string_view shown_path, bool all);
std::string describe_summary(const wire::FsckSummary& summary, bool verified);

}  // namespace dogfs::cli
