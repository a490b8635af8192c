# SPDX-License-Identifier: MIT
#
# weft_flags(TARGET) - how every target of this project is compiled and linked
#
# A function and not global flags, so that a project that adds weft as a
# subdirectory keeps its own.

include_guard()

# In C++ a function that shares its name with a struct, as stat() does, counts
# as shadowing: no -Wshadow there.
set(WEFT_WARNINGS -Wall -Wextra)
set(WEFT_WARNINGS_C ${WEFT_WARNINGS} -Wshadow -Wconversion -Wstrict-prototypes
                    -Wmissing-prototypes
)

# What hardening costs, one worker, best of 12: nothing for an offered fork (4.0
# ns) and an empty loop of 1000 (30 ns), 0.3 ns for a yield (2.5 ns), 8 % for a
# reduction of 1000 nothings (436 ns), whose accumulators get a canary.
set(WEFT_HARDENING -fstack-protector-strong -fstack-clash-protection)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  list(APPEND WEFT_HARDENING -fcf-protection=full)
elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  list(APPEND WEFT_HARDENING -mbranch-protection=standard)
endif()

function(weft_flags target)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_compile_options(
    ${target}
    PRIVATE "$<$<COMPILE_LANGUAGE:C>:${WEFT_WARNINGS_C}>"
            "$<$<COMPILE_LANGUAGE:CXX>:${WEFT_WARNINGS}>"
            $<$<BOOL:${WEFT_WERROR}>:-Werror>
  )
  if(WEFT_SANITIZE)
    target_compile_options(
      ${target} PRIVATE -fsanitize=${WEFT_SANITIZE} -fno-sanitize-recover=all
                        -fno-omit-frame-pointer
    )
    target_link_options(${target} PRIVATE -fsanitize=${WEFT_SANITIZE})
  elseif(WEFT_HARDEN)
    # FORTIFY_SOURCE needs an optimiser.
    target_compile_options(
      ${target} PRIVATE ${WEFT_HARDENING}
                        $<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=3>
    )
    target_link_options(${target} PRIVATE -Wl,-z,relro,-z,now,-z,noexecstack)
  endif()
  if(WEFT_DELAY) # tests/support/delay.c; elsewhere the hooks are those of libc, which do nothing
    target_compile_options(${target} PRIVATE -finstrument-functions)
  endif()
  if(WEFT_COVERAGE)
    target_compile_options(${target} PRIVATE --coverage -fprofile-update=atomic)
    target_link_options(${target} PRIVATE --coverage)
  endif()
endfunction()

# weft_use_jemalloc(TARGET) - an executable that allocates with jemalloc
#
# Nothing in it names a symbol of jemalloc, hence --no-as-needed.  The library
# never gets this: see ARCHITECTURE.md.  Sanitizers bring allocators of their
# own.
function(weft_use_jemalloc target)
  if(NOT WEFT_SANITIZE)
    pkg_check_modules(JEMALLOC REQUIRED QUIET jemalloc)
    target_link_options(
      ${target} PRIVATE -Wl,--push-state,--no-as-needed -ljemalloc -Wl,--pop-state
    )
  endif()
endfunction()
