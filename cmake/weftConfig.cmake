# SPDX-License-Identifier: MIT
include(CMakeFindDependencyMacro)

# The static library needs what it was built on; the shared one has it.
find_dependency(Threads)
find_dependency(PkgConfig)
pkg_check_modules(CK QUIET IMPORTED_TARGET GLOBAL ck)

include(${CMAKE_CURRENT_LIST_DIR}/weftTargets.cmake)

if(NOT TARGET weft::weft)
  add_library(weft::weft INTERFACE IMPORTED)
  target_link_libraries(weft::weft INTERFACE weft::shared)
endif()
