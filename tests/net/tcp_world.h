// Three nodes on loopback ports, on one event loop.
#pragma once

#include <array>
#include <memory>

#include "net/transport.h"
#include "runtime/log.h"
#include "tests/runtime/real_harness.h"

namespace dogfs {

class TcpWorld {
 public:
  explicit TcpWorld(TcpOptions options = {}) {
    for (Node& node : nodes_) {
      node.transport = std::make_unique<TcpTransport>(harness_.executor(), harness_.clock(), log_, options);
      node.address = node.transport->listen(Address{"127.0.0.1:0"}).value();
    }
  }

  RealHarness& harness() { return harness_; }
  TcpTransport& transport(size_t node) { return *nodes_[node].transport; }
  Address address(size_t node) { return nodes_[node].address; }
  // Port 1 (tcpmux) is served by nobody.
  Address nowhere() { return Address{"127.0.0.1:1"}; }
  Log& log() { return log_; }

 private:
  struct Node {
    std::unique_ptr<TcpTransport> transport;
    Address address;
  };

  RealHarness harness_;
  StderrLog log_{LogLevel::kError, "test"};
  std::array<Node, 3> nodes_;
};

}  // namespace dogfs
