// SPDX-License-Identifier: Apache-2.0
// Empty: the target that owns the tests' precompiled headers needs a source.
