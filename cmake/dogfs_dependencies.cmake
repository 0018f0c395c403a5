# Every package comes from Debian 12; `./dev` installs them. A new one needs a decision record.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(Protobuf REQUIRED)
find_package(RocksDB REQUIRED)
find_package(GTest REQUIRED)
find_package(rapidcheck REQUIRED)
find_package(benchmark REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(GRPC REQUIRED IMPORTED_TARGET grpc++)

find_library(DOGFS_JERASURE Jerasure REQUIRED)
find_library(DOGFS_GF_COMPLETE gf_complete REQUIRED)
find_library(DOGFS_ISAL isal REQUIRED)
# Static: an allocation is a direct call then, and its thread's cache is found without one.
find_library(DOGFS_JEMALLOC NAMES libjemalloc_pic.a REQUIRED)
