// The way to the metadata leader: sends a request until it is answered for good.
//
// Redirects are followed, nodes that do not answer are passed over, and between rounds the channel backs off, all
// within one deadline. It gives up early, with kNoLeader, where waiting is of no use: at once when so many nodes refuse
// connections that the others cannot elect a leader, else once no node has known a leader for a while. Now and then it
// asks the leader who the members are. Belongs to the node's executor.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/client/leader_finder.h"
#include "core/env/env.h"
#include "core/wire/rpc.h"

namespace dogfs {

struct MetaChannelOptions {
  std::vector<Address> nodes;
  std::string principal;
  // How long one request is retried.
  Duration timeout = seconds(15);
  // No node knows a leader for this long: kNoLeader.
  Duration leaderless_patience = seconds(4);
  // The first attempt at one node. A leader that hangs holds an operation up for this long; each further attempt at one
  // that timed out has twice the time, while that leaves half of what is left of `timeout`.
  Duration attempt_timeout = seconds(1);
  // With the first answer after so long the members are asked for. A client that is idle does not ask.
  Duration members_interval = seconds(30);
};

// How a request ended.
struct MetaOutcome {
  // The answer of the leader, which may be an error of the registry (in Reply::error). Fails where none came:
  // kNoLeader, or kTimeout when leaders were named and none answered.
  Result<Reply> reply;
  // Some attempt may have been executed although its answer never came. The last, answered one is not counted.
  bool maybe_executed_before = false;
};

class MetaChannel {
 public:
  // `env` must outlive the channel.
  MetaChannel(Env& env, MetaChannelOptions options);

  // Sends `request` until the leader answers it. The request may be executed more than once: for changes go through
  // a Session.
  Task<MetaOutcome> call(Request request);

  // A read: the typed reply, or the error of the leader or of the search for one.
  template <class ReplyMessage, class RequestMessage>
  Task<Result<ReplyMessage>> ask(MessageType type, RequestMessage message) {
    Request request = make_request(type, GroupId(), message);
    MetaOutcome outcome = co_await call(std::move(request));
    DOGFS_CO_TRY(Reply reply, std::move(outcome.reply));
    DOGFS_CO_TRY(TypedReply<ReplyMessage> typed, parse_reply<ReplyMessage>(std::move(reply)));
    co_return std::move(typed.message);
  }

  // Asks each node once, the believed leader first, and takes the first answer of any, leader or not.
  Task<Result<Reply>> call_any(Request request);

  const LeaderFinder& finder() const { return finder_; }

 private:
  // Takes in the answer of one attempt. The final reply, or nullopt where another attempt is due.
  std::optional<Reply> take_answer(const Address& from, Result<Reply> answer, LeaderSearch& search,
                                   bool& maybe_executed);
  // How long the next attempt at a node may take that has timed out so often.
  Duration patience(int timeouts, MonoTime deadline) const;
  // The error to give up with after a round, or nullopt to go on.
  std::optional<Error> give_up(const LeaderSearch& search, MonoTime deadline, MonoTime round_began) const;
  // The same within a round.
  std::optional<Error> out_of_time(const LeaderSearch& search, MonoTime deadline) const;

  // Asks `leader` for the members, where what is known of them is old. A failure is of no matter: it asks again later.
  Task<void> learn_members(Address leader);

  Env& env_;
  MetaChannelOptions options_;
  LeaderFinder finder_;
  MonoTime members_due_;
};

}  // namespace dogfs
