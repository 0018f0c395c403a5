#include "core/base/error.h"

namespace dogfs {

ErrorClass error_class(ErrorCode code) {
  switch (code) {
#define X(name, number, error_class, text) \
  case ErrorCode::name:                    \
    return ErrorClass::error_class;
    DOGFS_ERROR_CODES(X)
#undef X
  }
  return ErrorClass::kCorrupt;
}

std::string_view error_name(ErrorCode code) {
  switch (code) {
#define X(name, number, error_class, text) \
  case ErrorCode::name:                    \
    return std::string_view(#name).substr(1);
    DOGFS_ERROR_CODES(X)
#undef X
  }
  return "Internal";
}

std::string_view error_text(ErrorCode code) {
  switch (code) {
#define X(name, number, error_class, text) \
  case ErrorCode::name:                    \
    return text;
    DOGFS_ERROR_CODES(X)
#undef X
  }
  return "internal error";
}

ErrorCode error_code_from_wire(uint32_t number) {
  switch (number) {
#define X(name, number, error_class, text) \
  case number:                             \
    return ErrorCode::name;
    DOGFS_ERROR_CODES(X)
#undef X
    default:
      return ErrorCode::kInternal;
  }
}

std::string Error::to_string() const {
  std::string text(error_text(code));
  if (!detail.empty()) text += ": " + detail;
  return text;
}

}  // namespace dogfs
