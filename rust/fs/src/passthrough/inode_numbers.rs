//! Which inode number stands for which inode of the backing file systems.
//!
//! On the source's own device it is the backing's number itself, so that programs that
//! remember `st_ino` (git's index, rsync -H, tar) find it again, also after the kernel
//! forgot the inode and after a new mount. Only what would collide is renumbered, in the
//! upper half of the numbers, and keeps its number for the life of the mount:
//!
//! ```text
//! bit 63   62..48          47..0
//!   0      the source's own number
//!   1      device index    number on that device       device 0 is the source's own
//!   1      0x7fff          counter                     where the number has more bits
//! ```

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::Inode;

/// An inode of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    /// Device it is on.
    pub(super) device: u64,
    /// Its number there.
    pub(super) inode: u64,
}

/// First of the numbers that are not the source's own.
const RENUMBERED: u64 = 1 << 63;
const DEVICE_SHIFT: u32 = 48;
/// Device index of numbers that are handed out one by one.
const COUNTED: u64 = 0x7fff;

/// The mapping from backing inodes to inode numbers; one-to-one.
#[derive(Debug)]
pub(super) struct InodeNumbers {
    root: Identity,
    renumbered: Mutex<Renumbered>,
}

#[derive(Debug, Default)]
struct Renumbered {
    /// Index of each device but the source's, in the order they were met.
    devices: HashMap<u64, u64>,
    /// Numbers too large to keep; they stay, as a number must not change its meaning.
    counted: HashMap<Identity, u64>,
}

impl InodeNumbers {
    /// A mapping for the tree below `root`.
    pub(super) fn new(root: Identity) -> Self {
        Self { root, renumbered: Mutex::default() }
    }

    /// The number that stands for `identity`.
    pub(super) fn number(&self, identity: Identity) -> Inode {
        if identity == self.root {
            return Inode::ROOT;
        }
        let own_device = identity.device == self.root.device;
        if own_device && (Inode::ROOT.0 + 1..RENUMBERED).contains(&identity.inode) {
            return Inode(identity.inode);
        }
        let mut renumbered = self.renumbered.lock();
        let index = if own_device { Some(0) } else { renumbered.device_index(identity.device) };
        Inode(match index {
            Some(index) if identity.inode >> DEVICE_SHIFT == 0 => {
                RENUMBERED | index << DEVICE_SHIFT | identity.inode
            }
            _ => renumbered.counted(identity),
        })
    }
}

impl Renumbered {
    /// Index of a foreign device, from 1; `None` when there are too many.
    fn device_index(&mut self, device: u64) -> Option<u64> {
        let next = self.devices.len() as u64 + 1;
        let index = *self.devices.entry(device).or_insert(next);
        (index < COUNTED).then_some(index)
    }

    fn counted(&mut self, identity: Identity) -> u64 {
        let next = RENUMBERED | COUNTED << DEVICE_SHIFT | self.counted.len() as u64;
        *self.counted.entry(identity).or_insert(next)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const ROOT: Identity = Identity { device: 7, inode: 2 };

    fn on(device: u64, inode: u64) -> Identity {
        Identity { device, inode }
    }

    #[test]
    fn own_numbers_stay() {
        let numbers = InodeNumbers::new(ROOT);
        assert_eq!(numbers.number(ROOT), Inode::ROOT);
        assert_eq!(numbers.number(on(7, 3)), Inode(3));
        assert_eq!(numbers.number(on(7, RENUMBERED - 1)), Inode(RENUMBERED - 1));
    }

    #[test]
    fn collisions_are_renumbered_for_good_and_apart() {
        let numbers = InodeNumbers::new(ROOT);
        let colliding = [
            on(7, 0),
            on(7, 1),
            on(7, RENUMBERED),
            on(7, u64::MAX),
            on(8, 0),
            on(8, 1),
            on(8, 2),
            on(8, 3),
            on(8, u64::MAX),
            on(9, 1),
            on(9, 1 << DEVICE_SHIFT),
        ];
        let first: Vec<_> = colliding.iter().map(|identity| numbers.number(*identity)).collect();
        let again: Vec<_> = colliding.iter().map(|identity| numbers.number(*identity)).collect();
        assert_eq!(first, again);
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), colliding.len());
        assert!(first.iter().all(|number| number.0 >= RENUMBERED && number.0 != u64::MAX));
    }

    #[test]
    fn more_devices_than_indices_still_differ() {
        let numbers = InodeNumbers::new(ROOT);
        let all: HashSet<_> = (100..100 + COUNTED + 5)
            .flat_map(|device| [numbers.number(on(device, 1)), numbers.number(on(device, 2))])
            .collect();
        assert_eq!(all.len() as u64, 2 * (COUNTED + 5));
    }
}
