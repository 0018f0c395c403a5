// Result<T>: a value, or the Error that took its place. Everything that can fail at run time returns one.
//
// Reading the value of a failed Result ends the process (policy::terminate): a bug, never a run-time condition.
// In a plain function write DOGFS_TRY(auto x, f()); in a coroutine DOGFS_CO_TRY(auto x, co_await f()): both return
// the error to the caller. The forms for Status are DOGFS_TRYV and DOGFS_CO_TRYV.
#pragma once

#include <boost/outcome/basic_result.hpp>
#include <boost/outcome/policy/terminate.hpp>
#include <boost/outcome/success_failure.hpp>
#include <boost/outcome/try.hpp>
#include <string>
#include <utility>

#include "core/base/error.h"

namespace dogfs {

namespace outcome = BOOST_OUTCOME_V2_NAMESPACE;

template <class T>
using Result = outcome::basic_result<T, Error, outcome::policy::terminate>;
using Status = Result<void>;

// The Status of a thing that went well.
inline outcome::success_type<void> ok() {
  return outcome::success();
}

// The code of a Result or Status: kOk when it holds a value.
template <class T>
ErrorCode code_of(const Result<T>& result) {
  return result.has_value() ? ErrorCode::kOk : result.error().code;
}

}  // namespace dogfs

#define DOGFS_TRY(...) BOOST_OUTCOME_TRY(__VA_ARGS__)
#define DOGFS_TRYV(...) BOOST_OUTCOME_TRYV(__VA_ARGS__)
#define DOGFS_CO_TRY(...) BOOST_OUTCOME_CO_TRY(__VA_ARGS__)
#define DOGFS_CO_TRYV(...) BOOST_OUTCOME_CO_TRYV(__VA_ARGS__)
