# SPDX-License-Identifier: Apache-2.0
# Writes revision.h when the revision has changed; "-dirty" marks uncommitted changes of tracked files.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
  OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  set(revision "unknown")
endif()
set(text "// SPDX-License-Identifier: Apache-2.0\n// Generated at build time.\n#pragma once\n#define LINDOS_VERSION \"${VERSION}\"\n#define LINDOS_REVISION \"${revision}\"\n")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT "${old}" STREQUAL "${text}")
  file(WRITE ${OUTPUT} "${text}")
endif()
