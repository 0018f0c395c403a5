// Task<T>: a coroutine of a multi-step flow. Decisions are made in plain functions; tasks only wait.
//
// Rules (each one was a real crash somewhere):
//   - Parameters by value, or references to what outlives the awaiting caller. Never a capturing lambda coroutine.
//   - Build request objects as named locals before the co_await.
//   - After each co_await the world has changed: re-check what you relied on. No iterator or reference into a
//     container that others change lives across it.
//   - DogFS does not use Asio's cancellation inside core. A flow ends by a deadline that its operations carry, or by
//     a stop flag that it looks at after each wait. Ports therefore never throw; a task that throws ends the process.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace dogfs {

using Executor = boost::asio::any_io_executor;

template <class T>
using Task = boost::asio::awaitable<T, Executor>;

}  // namespace dogfs
