//! How large a page is to whoever cuts memory and files into pages.

use crate::PAGE_SIZE;

/// The page size of the kernel whose part is played: that of this machine, or another
/// one's, to see what its requests would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageSize(usize);

impl PageSize {
    /// The largest that Linux has.
    const LARGEST: usize = 64 * 1024;

    /// `bytes` as a page size; `None` if it is no power of two from 4096 to 65536.
    pub fn new(bytes: usize) -> Option<Self> {
        let known = bytes.is_power_of_two() && (PAGE_SIZE..=Self::LARGEST).contains(&bytes);
        known.then_some(Self(bytes))
    }

    /// Bytes in a page.
    pub fn bytes(self) -> usize {
        self.0
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(PAGE_SIZE)
    }
}
