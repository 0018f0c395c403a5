// Whom to dial for each node of a group: as the configurations in the log say, and for others as their own messages do.
#pragma once

#include <map>
#include <optional>

#include "core/env/transport.h"
#include "core/raft/configuration.h"

namespace dogfs::raft {

class AddressBook {
 public:
  // `first`: the members that the node was started with.
  explicit AddressBook(std::map<NodeId, Address> first) : first_(std::move(first)) {}

  // Takes the addresses of all who are in the log's configurations, also of those who have left: they may be told of it
  // still. Cheap where nothing has changed. True where something has.
  bool learn(const ConfigurationHistory& history);
  // `node` says that it is at `address`. Whoever was away while the members changed does not find those who are left in
  // its log, and must answer them to be told.
  void meet(NodeId node, const Address& address);

  // Null where it is not known. Valid until the book changes.
  const Address* find(NodeId node) const;

 private:
  std::map<NodeId, Address> first_;
  // As of version `version_` of the configurations.
  std::map<NodeId, Address> members_;
  std::optional<uint64_t> version_;
  // Of nodes that are not members: the latest few.
  std::map<NodeId, Address> strangers_;
};

}  // namespace dogfs::raft
