# Compiler and linker settings that every target shares.
set(DOGFS_SANITIZE "" CACHE STRING "Sanitizers to build with: empty, address,undefined, or thread")
option(DOGFS_FUZZ "Build all code for coverage-guided fuzzing, and fuzz/ as libFuzzer programs (needs Clang)" OFF)

find_program(DOGFS_CCACHE ccache)
if(DOGFS_CCACHE)
  # Clang's precompiled headers need these sloppinesses, or nothing that includes one is ever found in the cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${DOGFS_CCACHE})
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
  add_link_options(-fuse-ld=lld)
endif()
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options(-Wthread-safety -Wimplicit-fallthrough -gline-tables-only)
endif()

if(DOGFS_SANITIZE)
  add_compile_options(-fsanitize=${DOGFS_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${DOGFS_SANITIZE})
  # Asio recycles coroutine frames and small blocks, which hides uses after free from the sanitizers.
  add_compile_definitions(BOOST_ASIO_DISABLE_AWAITABLE_FRAME_RECYCLING BOOST_ASIO_DISABLE_SMALL_BLOCK_RECYCLING)
endif()
add_compile_definitions(BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_VISIBILITY)
# Coroutine frames come from operator new, which is several times as fast as aligned_alloc and aligns them as well.
add_compile_definitions(BOOST_ASIO_DISABLE_STD_ALIGNED_ALLOC BOOST_ASIO_DISABLE_BOOST_ALIGN)
if(DOGFS_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
