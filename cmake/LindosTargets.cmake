# SPDX-License-Identifier: Apache-2.0
# Helpers that give every target of the project the same language level, warnings and sanitizers.

add_library(lindos_warnings INTERFACE)
target_compile_options(lindos_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wundef
  -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual -Wdouble-promotion>)
if(LINDOS_WERROR)
  target_compile_options(lindos_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()

if(LINDOS_ASSERTS)
  add_compile_definitions(LINDOS_ASSERTS=1)
endif()
if(LINDOS_SANITIZE)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${LINDOS_SANITIZE}>
    $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize-recover=all> $<$<COMPILE_LANGUAGE:CXX>:-fno-omit-frame-pointer>)
  add_link_options(-fsanitize=${LINDOS_SANITIZE})
endif()
if(LINDOS_FUZZ)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fsanitize=fuzzer-no-link>)
endif()

# lindos_library(name SOURCES ... DEPENDS ...): library lindos_<name> with the alias lindos::<name>.
function(lindos_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  add_library(lindos_${name} STATIC ${arg_SOURCES})
  add_library(lindos::${name} ALIAS lindos_${name})
  target_include_directories(lindos_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(lindos_${name} PUBLIC ${arg_DEPENDS} PRIVATE ${arg_PRIVATE_DEPENDS} lindos_warnings)
endfunction()

# Labels under which `check` runs a test again in a sanitizer build, and the target that builds what carries them.
# address and undefined behaviour → sanitized_tests, threads → threaded_tests (made in tests/CMakeLists.txt).
function(lindos_note_sanitized name)
  if("sanitize" IN_LIST ARGN)
    set_property(GLOBAL APPEND PROPERTY LINDOS_SANITIZED_TESTS ${name})
  endif()
  if("threads" IN_LIST ARGN)
    set_property(GLOBAL APPEND PROPERTY LINDOS_THREADED_TESTS ${name})
  endif()
endfunction()

# lindos_test(name SOURCES ... DEPENDS ... [LABELS ...]): one GoogleTest binary, one ctest entry.
# LABELS sanitize and threads: see lindos_note_sanitized; such a test needs neither sim nor the lindos binary. COST: seconds of
# one core, of a test that takes long: ctest starts such ones first, so that all cores end together; a clean clone has no times
# of its own to go by.
function(lindos_test name)
  cmake_parse_arguments(arg "" "TIMEOUT;COST" "SOURCES;DEPENDS;LABELS" ${ARGN})
  if("lindos::sim" IN_LIST arg_DEPENDS AND ("sanitize" IN_LIST arg_LABELS OR "threads" IN_LIST arg_LABELS))
    message(FATAL_ERROR "${name}: a test under sanitizers cannot need lindos::sim, whose SimGrid does not compile there; "
      "make what it tests a library of its own")
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS} GTest::gmock GTest::gtest_main rapidcheck rapidcheck_gtest)
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wshadow)
  target_precompile_headers(${name} REUSE_FROM lindos_test_headers)
  target_compile_definitions(${name} PRIVATE LINDOS_SOURCE_DIR="${CMAKE_SOURCE_DIR}" LINDOS_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  # Property tests draw from a fixed seed: the same commit gives the same answer. Another seed: RC_PARAMS of the shell
  # goes to a binary that is run by hand.
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} ENVIRONMENT "RC_PARAMS=seed=20261126")
  if(arg_COST)
    set_tests_properties(${name} PROPERTIES COST ${arg_COST})
  endif()
  lindos_note_sanitized(${name} ${arg_LABELS})
endfunction()

# lindos_fuzz(name SOURCE file DEPENDS ... CORPUS dir): the file defines LLVMFuzzerTestOneInput. Under the
# fuzz preset it becomes a libFuzzer binary; otherwise a test that replays the corpus.
function(lindos_fuzz name)
  cmake_parse_arguments(arg "" "SOURCE;CORPUS" "DEPENDS" ${ARGN})
  if(LINDOS_FUZZ)
    add_executable(${name} ${arg_SOURCE})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(${name} ${arg_SOURCE} ${CMAKE_SOURCE_DIR}/tests/fuzz_replay_main.cpp)
    add_test(NAME ${name} COMMAND ${name} ${arg_CORPUS})
    set_tests_properties(${name} PROPERTIES LABELS "fuzz-replay;sanitize" TIMEOUT 300)
    lindos_note_sanitized(${name} sanitize)
  endif()
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endfunction()
