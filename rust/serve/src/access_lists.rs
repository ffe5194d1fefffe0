//! POSIX ACLs, where the file system keeps none.
//!
//! An ACL is set as the extended attribute `system.posix_acl_access`, which the kernel passes
//! on even to a file system that has not declared ACLs. One that merely keeps attributes would
//! say that it was done; and cp and mv, which set the permission bits of a copy in this way
//! and try chmod(2) only if it is refused, would lose them.

use fusesg_fs::Operation;

const ACLS: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

/// Whether an operation is about an ACL.
pub(crate) fn concerns(operation: &Operation<'_>) -> bool {
    match operation {
        Operation::Setxattr { name, .. }
        | Operation::Getxattr { name, .. }
        | Operation::Removexattr { name, .. } => ACLS.contains(&name.as_encoded_bytes()),
        _ => false,
    }
}

/// Takes ACLs out of a list of attribute names, each of which ends with a NUL.
pub(crate) fn remove_from(names: &mut Vec<u8>) {
    let is_acl = |name: &[u8]| name.strip_suffix(b"\0").is_some_and(|name| ACLS.contains(&name));
    if names.split_inclusive(|byte| *byte == 0).any(is_acl) {
        let others = names.split_inclusive(|byte| *byte == 0).filter(|name| !is_acl(name));
        *names = others.flatten().copied().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_acls_are_taken_out() {
        let mut names = b"user.a\0system.posix_acl_access\0system.posix_acl_accessory\0".to_vec();
        remove_from(&mut names);
        assert_eq!(names, b"user.a\0system.posix_acl_accessory\0");
        remove_from(&mut names);
        assert_eq!(names, b"user.a\0system.posix_acl_accessory\0");
    }
}
