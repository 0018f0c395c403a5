// Assertions that stay on in production: a broken invariant ends the process before it can spread.
//
// A DOGFS_CHECK is for what cannot happen unless this program is wrong. What can happen (bad input, a full disk, a
// dead peer) is a Result.
#pragma once

#include <string>
#include <string_view>

namespace dogfs {

// Prints where and what, and aborts. Never returns.
[[noreturn]] void check_failed(const char* file, int line, const char* condition, std::string_view detail);

}  // namespace dogfs

#define DOGFS_CHECK(condition, ...)                                                           \
  do {                                                                                        \
    if (!(condition)) [[unlikely]]                                                            \
      ::dogfs::check_failed(__FILE__, __LINE__, #condition, ::std::string_view{__VA_ARGS__}); \
  } while (false)
