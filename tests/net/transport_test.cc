// The TCP transport keeps the rules that every Transport keeps.
#include <array>
#include <memory>

#include "net/transport.h"
#include "runtime/log.h"
#include "tests/conformance/transport_conformance.h"
#include "tests/net/tcp_world.h"

namespace dogfs {
namespace {

INSTANTIATE_TYPED_TEST_SUITE_P(Tcp, TransportConformance, TcpWorld);

}  // namespace
}  // namespace dogfs
