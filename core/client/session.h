// The client's session with the metadata: changes that take effect exactly once.
//
// Every change has a number in the session. It is sent again under the same number until its outcome is certain;
// the metadata answers a repeated number from memory. Each request also says up to where all answers have arrived (the
// low-water mark), so that the metadata can forget those. Changes run at once up to a window.
//
// The session is opened with the first change. A change that finds the session expired is run again in a new one if it
// certainly never ran; otherwise its caller gets kOutcomeUnknown: it must look for itself. Belongs to the node's
// executor.
#pragma once

#include <set>
#include <string>

#include "core/base/ids.h"
#include "core/client/meta_channel.h"
#include "core/env/sync.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

class Session {
 public:
  // What is passed must outlive the session.
  Session(Env& env, MetaChannel& channel);

  // Makes one change. Waits while the window is full. Fails with the metadata's final error, with kNoLeader or kTimeout
  // if the change was certainly not made, with kOutcomeUnknown if it may have been or may yet be.
  Task<Result<wire::MutationResult>> mutate(wire::Mutation mutation);

  // Opens the session unless it is open.
  Task<Status> open();
  // None before the first change.
  SessionId id() const { return id_; }
  const std::string& cluster_uuid() const { return cluster_uuid_; }

 private:
  Task<MetaOutcome> send(SequenceNumber sequence, wire::Mutation mutation);
  void expire(SessionId id);
  SequenceNumber take_sequence();
  void finish(SessionId id, SequenceNumber sequence);
  // The smallest number whose answer has not arrived.
  SequenceNumber low_water() const;
  bool has_room() const;

  Env& env_;
  MetaChannel& channel_;
  SessionId id_;
  std::string cluster_uuid_;
  SequenceNumber next_sequence_{1};
  // Invariant: every number below next_sequence_ that is not here has been answered, or given up.
  std::set<SequenceNumber> outstanding_;
  bool opening_ = false;
  Notifier changed_;
};

}  // namespace dogfs
