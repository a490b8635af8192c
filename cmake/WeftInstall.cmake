# SPDX-License-Identifier: MIT
#
# What `cmake --install` puts in place: headers, both libraries, weft.pc, the
# CMake package, the command and its manual page.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/weft)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/weft TYPE INCLUDE FILES_MATCHING PATTERN "*.h")
install(TARGETS weft_shared weft_static EXPORT weftTargets)
if(TARGET weft)
  install(TARGETS weft)
endif()

# Found from where weft.pc lies, so that the tree can be moved.
file(RELATIVE_PATH prefix_from_pc /x/${CMAKE_INSTALL_LIBDIR}/pkgconfig /x)
configure_file(${PROJECT_SOURCE_DIR}/cmake/weft.pc.in ${PROJECT_BINARY_DIR}/weft.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/weft.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/weftConfigVersion.cmake COMPATIBILITY SameMinorVersion
)
install(FILES ${PROJECT_SOURCE_DIR}/cmake/weftConfig.cmake
              ${PROJECT_BINARY_DIR}/weftConfigVersion.cmake DESTINATION ${config_dir}
)
install(
  EXPORT weftTargets
  NAMESPACE weft::
  DESTINATION ${config_dir}
)

find_program(SCDOC scdoc)
set(page ${PROJECT_SOURCE_DIR}/doc/weft.1.scd)
if(SCDOC AND EXISTS ${page})
  add_custom_command(
    OUTPUT ${PROJECT_BINARY_DIR}/weft.1
    COMMAND ${SCDOC} < ${page} > ${PROJECT_BINARY_DIR}/weft.1
    DEPENDS ${page}
    VERBATIM
  )
  add_custom_target(weft_man ALL DEPENDS ${PROJECT_BINARY_DIR}/weft.1)
  install(FILES ${PROJECT_BINARY_DIR}/weft.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
