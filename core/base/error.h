// The registry of error codes. Codes are stable: they travel on the wire and are never renumbered or reused.
//
// Codes are grouped by what the caller does about them, since that is what calling code branches on:
//   retry     the same request may succeed later or elsewhere; nothing is wrong with the request itself
//   redirect  another node is the one to ask
//   fail      the answer is final: repeating the request gives the same answer
//   corrupt   data is not what was once written; never retried blindly, always reported
// (The registry as one macro follows FoundationDB's flow/error_definitions.h.)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dogfs {

// X(name, number, class, text for a person)
#define DOGFS_ERROR_CODES(X)                                                                      \
  X(kOk, 0, kNone, "ok")                                                                          \
  /* retry */                                                                                     \
  X(kTimeout, 100, kRetry, "timed out")                                                           \
  X(kUnavailable, 101, kRetry, "unavailable")                                                     \
  X(kConnectionLost, 102, kRetry, "connection lost")                                              \
  X(kBusy, 103, kRetry, "busy")                                                                   \
  X(kOverloaded, 104, kRetry, "overloaded")                                                       \
  X(kNoLeader, 105, kRetry, "no metadata leader: a majority of metadata nodes cannot be reached") \
  X(kStaleLocation, 106, kRetry, "stale location")                                                \
  X(kShuttingDown, 107, kRetry, "shutting down")                                                  \
  X(kIoError, 108, kRetry, "input/output error")                                                  \
  X(kRefused, 109, kRetry, "connection refused")                                                  \
  /* redirect */                                                                                  \
  X(kNotLeader, 200, kRedirect, "not the leader")                                                 \
  /* fail */                                                                                      \
  X(kInvalidArgument, 300, kFail, "invalid argument")                                             \
  X(kNotFound, 301, kFail, "no such file or directory")                                           \
  X(kAlreadyExists, 302, kFail, "file exists")                                                    \
  X(kNotADirectory, 303, kFail, "not a directory")                                                \
  X(kIsADirectory, 304, kFail, "is a directory")                                                  \
  X(kDirectoryNotEmpty, 305, kFail, "directory not empty")                                        \
  X(kNameTooLong, 306, kFail, "file name too long")                                               \
  X(kPathTooDeep, 307, kFail, "path too long or too deep")                                        \
  X(kLimitExceeded, 308, kFail, "limit exceeded")                                                 \
  X(kLeaseHeld, 309, kFail, "file is being written by another client")                            \
  X(kLeaseLost, 310, kFail, "write lease lost")                                                   \
  X(kGone, 311, kFail, "file was deleted while it was being written")                             \
  X(kInsufficientServers, 312, kFail, "too few chunk servers")                                    \
  X(kOutcomeUnknown, 313, kFail, "outcome unknown")                                               \
  X(kSessionExpired, 314, kFail, "session expired")                                               \
  X(kPermissionDenied, 315, kFail, "permission denied")                                           \
  X(kNoSpace, 316, kFail, "no space left")                                                        \
  X(kUnsupported, 317, kFail, "not supported")                                                    \
  X(kCancelled, 318, kFail, "cancelled")                                                          \
  X(kWrongGeneration, 319, kFail, "wrong shard generation")                                       \
  X(kNotSealed, 320, kFail, "shard is not sealed")                                                \
  X(kWrongCluster, 321, kFail, "node belongs to another cluster")                                 \
  X(kConflict, 322, kFail, "conflicting state")                                                   \
  X(kQuotaExceeded, 330, kFail, "quota exceeded")                                                 \
  /* corrupt */                                                                                   \
  X(kChecksumMismatch, 400, kCorrupt, "checksum mismatch")                                        \
  X(kCorrupt, 401, kCorrupt, "corrupt data")                                                      \
  X(kDataLoss, 402, kCorrupt, "data loss: too few intact shards")                                 \
  X(kProtocolError, 403, kCorrupt, "protocol error")                                              \
  X(kInternal, 404, kCorrupt, "internal error")

enum class ErrorCode : uint32_t {
#define X(name, number, error_class, text) name = number,
  DOGFS_ERROR_CODES(X)
#undef X
};

enum class ErrorClass : uint8_t { kNone, kRetry, kRedirect, kFail, kCorrupt };

ErrorClass error_class(ErrorCode code);
// The constant's name less its k, in the wire's spelling: "NotLeader".
std::string_view error_name(ErrorCode code);
// The text for a person: "not the leader".
std::string_view error_text(ErrorCode code);
// A code that came from outside: one that this build does not know becomes kInternal.
ErrorCode error_code_from_wire(uint32_t number);

// An error and what a person needs beside the code to act on it (which path, which server, which limit).
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string detail;

  explicit Error(ErrorCode c) : code(c) {}
  Error(ErrorCode c, std::string d) : code(c), detail(std::move(d)) {}

  // "no such file or directory: /a/b"
  std::string to_string() const;
  bool operator==(const Error&) const = default;
};

}  // namespace dogfs
