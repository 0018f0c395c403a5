// SIGTERM and SIGINT: the first stops in good order, the second at once. So does an orderly end that takes too long.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>

namespace dogfs {

class StopSignals {
 public:
  // `on_stop` runs on `io`, once.
  StopSignals(boost::asio::io_context& io, std::function<void()> on_stop);
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  // Gives the signals back to their default, which ends the process.
  ~StopSignals() = default;

 private:
  void wait();

  boost::asio::signal_set signals_;
  std::function<void()> on_stop_;
  bool stopping_ = false;
};

}  // namespace dogfs
