#include "core/raft/address_book.h"

#include "core/base/limits.h"

namespace dogfs::raft {

bool AddressBook::learn(const ConfigurationHistory& history) {
  if (version_ == history.version()) return false;
  version_ = history.version();
  members_ = first_;
  for (const ConfigurationHistory::Item& item : history.items()) {
    for (const auto& [node, address] : item.configuration.addresses) members_.insert_or_assign(node, address);
  }
  std::erase_if(strangers_, [this](const auto& stranger) { return members_.contains(stranger.first); });
  return true;
}

void AddressBook::meet(NodeId node, const Address& address) {
  if (address.value.empty() || members_.contains(node)) return;
  if (strangers_.size() >= kMaxRaftMembers && !strangers_.contains(node)) strangers_.clear();
  strangers_.insert_or_assign(node, address);
}

const Address* AddressBook::find(NodeId node) const {
  if (const auto known = members_.find(node); known != members_.end()) return &known->second;
  const auto met = strangers_.find(node);
  return met == strangers_.end() ? nullptr : &met->second;
}

}  // namespace dogfs::raft
