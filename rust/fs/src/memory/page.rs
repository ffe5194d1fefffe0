//! A page of a file: shared with the replies that are being sent, copied when written then.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use fusesg_sg::PAGE_SIZE;

type Content = [u8; PAGE_SIZE];

/// Stands for every page that was allocated and not written yet, so that these take no
/// memory; what they may take is accounted for.
static UNWRITTEN: LazyLock<Arc<Content>> = LazyLock::new(|| Arc::new([0; PAGE_SIZE]));

/// A page that belongs to a file, by reference count: a reply in flight keeps the content
/// that it was planned with.
#[derive(Clone, Debug)]
pub(super) struct Page(Arc<Content>);

impl Page {
    /// A page of zeros without memory of its own.
    pub(super) fn unwritten() -> Self {
        Self(Arc::clone(&UNWRITTEN))
    }

    /// Whether it has no memory of its own.
    pub(super) fn is_unwritten(&self) -> bool {
        Arc::ptr_eq(&self.0, &UNWRITTEN)
    }

    /// Puts `data` at `start`, into memory that nobody else refers to.
    pub(super) fn write(&mut self, start: usize, data: &[u8]) {
        if let Some(content) = Arc::get_mut(&mut self.0) {
            content[start..start + data.len()].copy_from_slice(data);
        } else if let Ok(whole) = Arc::<[u8]>::from(data).try_into() {
            // nothing of the old content is left: no need to copy it
            self.0 = whole;
        } else {
            Arc::make_mut(&mut self.0)[start..start + data.len()].copy_from_slice(data);
        }
    }

    /// Makes a range zero.
    pub(super) fn clear(&mut self, range: Range<usize>) {
        if !self.is_unwritten() {
            Arc::make_mut(&mut self.0)[range].fill(0);
        }
    }

    /// A range of it as it is now, not copied.
    pub(super) fn bytes(&self, range: Range<usize>) -> Bytes {
        let whole = Bytes::from_owner(self.clone());
        if range.len() == PAGE_SIZE { whole } else { whole.slice(range) }
    }

    pub(super) fn slice(&self, range: Range<usize>) -> &[u8] {
        &self.0[range]
    }
}

impl AsRef<[u8]> for Page {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}
