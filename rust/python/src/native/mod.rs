//! Native file systems as base classes in Python.
//!
//! | concept | file |
//! |---|---|
//! | their operations, for `super()` | `operations.rs` |
//! | who keeps the native file system of an object | `provider.rs` |
//! | `Passthrough` | `passthrough.rs` |
//! | `Memory` | `memory.rs` |
//! | `Tree` | `tree.rs` |
//! | `NativeHandle`: what its open returns | `native_handle.rs` |

pub(crate) mod memory;
pub(crate) mod native_handle;
pub(crate) mod operations;
pub(crate) mod passthrough;
pub(crate) mod provider;
pub(crate) mod tree;
