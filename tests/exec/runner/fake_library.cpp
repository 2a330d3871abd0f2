// SPDX-License-Identifier: Apache-2.0
// A shared library for dynamic_library_test to load.

extern "C" int fake_twice(int n) { return 2 * n; }
