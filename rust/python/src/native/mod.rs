//! Native file systems as base classes in Python.
//!
//! | concept | file |
//! |---|---|
//! | `Passthrough`, and its operations for `super()` | `passthrough.rs` |
//! | `NativeHandle`: what its open returns | `native_handle.rs` |

pub(crate) mod native_handle;
pub(crate) mod passthrough;
