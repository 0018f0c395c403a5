// The limits of the TCP transport, all with names. The defaults suit a metadata node and a client; a chunk server
// sets `request_bytes` by the memory that it may use.
#pragma once

#include <cstddef>

#include "core/base/limits.h"
#include "core/base/time.h"

namespace dogfs {

struct TcpOptions {
  // --- towards peers that we call
  Duration connect_timeout = seconds(2);
  // After a connection could not be made, calls to that peer fail at once for this long; it doubles up to the limit.
  Duration first_backoff = milliseconds(20);
  Duration max_backoff = milliseconds(500);
  // One-way messages are dropped beyond this much that waits for one peer. (Calls need no such limit: each is a
  // suspended caller, who holds its request anyway.)
  size_t one_way_queue_bytes = 16 * kMiB;
  // A connection that nobody used for this long is closed. Less than the other side's limit, so that it is the caller
  // who closes, while no call is under way.
  Duration idle_peer_limit = seconds(120);

  // --- towards peers that call us
  size_t max_connections = 4096;
  // Of one connection: requests under way (answered or not, until the reply is written) and the bytes of these and of
  // their replies. Beyond, nothing more is read from that connection.
  size_t connection_requests = 1024;
  size_t connection_bytes = 16 * kMiB;
  // Bytes of requests under way over all connections; a quarter more for one-way and small ones.
  size_t request_bytes = 128 * kMiB;
  // Bytes of replies that wait to be taken, over all connections. Beyond, no more requests are read; by how much the
  // replies to those under way may still exceed it is up to the handler, which bounds what it works on at a time.
  size_t reply_bytes = 64 * kMiB;
  Duration idle_connection_limit = seconds(600);
  // A frame that has begun to arrive must be complete within this time; the shorter one holds while other connections
  // wait for the memory that it occupies.
  Duration frame_limit = seconds(30);
  Duration frame_limit_under_pressure = seconds(3);
  // A peer that takes none of the bytes that we have for it is given up after this time; the shorter one holds while
  // others wait for the memory that its replies occupy.
  Duration write_stall_limit = seconds(30);
  Duration write_stall_limit_under_pressure = seconds(3);

  // --- both
  // How often the limits in time are checked; frames and calls themselves are not bound to it.
  Duration sweep_interval = seconds(1);
};

static_assert(kMaxFramePayloadBytes <= 16 * kMiB, "one request must fit the limits of its connection");

}  // namespace dogfs
