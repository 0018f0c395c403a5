#include "runtime/dogfsd/stop_signals.h"

#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "runtime/dogfsd/exit_code.h"

namespace dogfs {
namespace {

constexpr unsigned kOrderlyEndSeconds = 10;

[[noreturn]] void end_at_once(int /*signal*/) {
  ::_exit(static_cast<int>(ExitCode::kStopCutShort));
}

}  // namespace

StopSignals::StopSignals(boost::asio::io_context& io, std::function<void()> on_stop)
    : signals_(io, SIGTERM, SIGINT), on_stop_(std::move(on_stop)) {
  wait();
}

void StopSignals::wait() {
  signals_.async_wait([this](const boost::system::error_code& error, int /*signal*/) {
    if (error) return;
    if (stopping_) end_at_once(SIGTERM);
    stopping_ = true;
    // The kernel's alarm, because what is stuck may be this very thread.
    std::signal(SIGALRM, end_at_once);
    ::alarm(kOrderlyEndSeconds);
    on_stop_();
    wait();
  });
}

}  // namespace dogfs
