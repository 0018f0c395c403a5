// Seeds for the schedules of a Raft group: bytes that RaftGroup reads as the usual course of things, so that the fuzzer
// begins with groups that have a leader, change their members and read from leases, which noise seldom comes to.
#pragma once

#include <map>
#include <string>

namespace dogfs::fuzz {

// By name.
std::map<std::string, std::string> raft_schedule_seeds();

}  // namespace dogfs::fuzz
