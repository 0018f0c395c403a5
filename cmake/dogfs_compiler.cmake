# Refuses the compilers that cannot be trusted with this code. Also run by itself (cmake -P) by tests/tools.
# g++ 12 destroys temporaries of awaited calls twice (GCC bugs 101976, 100611, 106188): its programs corrupt memory.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(FATAL_ERROR
    "DogFS cannot be compiled by g++ ${CMAKE_CXX_COMPILER_VERSION}: GCC before 13 miscompiles coroutines "
    "(bugs 101976, 100611, 106188). Use ./dev build, a preset (cmake --preset release), or "
    "-DCMAKE_CXX_COMPILER=clang++-19.")
endif()
