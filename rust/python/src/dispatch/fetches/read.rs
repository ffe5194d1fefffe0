//! A READ that is being fetched, and the answer that its pieces make.

use std::io;
use std::mem;
use std::sync::Arc;

use fusesg_fs::Errno;
use fusesg_sg::{Canceller, PageRun, Part, Segment, SegmentList};
use parking_lot::Mutex;

use crate::threads::event_loop::Key;
use crate::threads::gil_waiters::Request;

/// The pieces of a READ that are not there yet.
pub(super) struct FetchedRead {
    assembly: Arc<Assembly>,
    canceller: Canceller,
    slots: Mutex<Vec<Slot>>,
}

/// One piece.
struct Slot {
    /// Until it is there, or given up.
    part: Option<Part>,
    /// By what it may be cancelled, once it is awaited.
    awaited: Option<Key>,
}

impl FetchedRead {
    pub(super) fn new(assembly: Arc<Assembly>, parts: Vec<Part>, canceller: Canceller) -> Self {
        let slots =
            parts.into_iter().map(|part| Slot { part: Some(part), awaited: None }).collect();
        Self { assembly, canceller, slots: Mutex::new(slots) }
    }

    pub(super) fn assembly(&self) -> &Assembly {
        &self.assembly
    }

    /// Number of pieces, fetched or not.
    pub(super) fn pieces(&self) -> usize {
        self.slots.lock().len()
    }

    /// Whether a piece is still wanted.
    pub(super) fn wants(&self, index: usize) -> bool {
        self.slots.lock()[index].part.is_some()
    }

    /// Takes the right to complete a piece; `None` if it was given up.
    pub(super) fn take_part(&self, index: usize) -> Option<Part> {
        let mut slots = self.slots.lock();
        let slot = &mut slots[index];
        slot.awaited = None;
        slot.part.take()
    }

    /// From now on the piece is awaited. What is not wanted any more then does not begin.
    pub(super) fn set_awaited(&self, index: usize, key: Key) {
        let mut slots = self.slots.lock();
        let slot = &mut slots[index];
        slot.awaited = slot.part.as_ref().map(|_| key);
    }

    /// Marks the read as cancelled, unless it has failed already.
    pub(super) fn cancel(&self) {
        self.canceller.cancel();
    }

    /// Completes all pieces that are not there, which answers the read. Returns which of them
    /// are awaited.
    pub(super) fn give_up(&self) -> Vec<Key> {
        let mut slots = self.slots.lock();
        let parts: Vec<_> = slots.iter_mut().filter_map(|slot| slot.part.take()).collect();
        let awaited = slots.iter_mut().filter_map(|slot| slot.awaited.take()).collect();
        drop(slots);
        for part in parts {
            // the read has failed already: what this says does not count
            part.complete(Err(io::Error::from_raw_os_error(libc::ECANCELED)));
        }
        awaited
    }
}

/// The answer to a READ in the making.
pub(super) struct Assembly {
    /// Until it is answered.
    request: Mutex<Option<Request>>,
    content: Mutex<Content>,
}

impl Drop for Assembly {
    fn drop(&mut self) {
        if let Some(request) = self.request.get_mut().take() {
            let _no_one_waits = request.responder.answer(Err(Errno::EINTR));
        }
    }
}

struct Content {
    /// The segments before each piece, and the piece once it is fetched.
    pieces: Vec<(SegmentList, Option<PageRun>)>,
    /// The segments after the last piece.
    rest: SegmentList,
}

impl Assembly {
    pub(super) fn new(request: Request, layout: Vec<SegmentList>, rest: SegmentList) -> Self {
        let pieces = layout.into_iter().map(|before| (before, None)).collect();
        Self { request: Mutex::new(Some(request)), content: Mutex::new(Content { pieces, rest }) }
    }

    /// Takes the request, if it satisfies `wanted` and nobody else has.
    pub(super) fn take_request(&self, wanted: impl Fn(&Request) -> bool) -> Option<Request> {
        self.request.lock().take_if(|request| wanted(request))
    }

    /// Puts a fetched piece into its place.
    pub(super) fn put(&self, index: usize, fetched: PageRun) {
        self.content.lock().pieces[index].1 = Some(fetched);
    }

    /// The first `bytes` bytes of the whole, of which none is missing. To be called once: the
    /// list becomes the only owner of the pages.
    pub(super) fn list(&self, bytes: u64) -> SegmentList {
        let mut content = self.content.lock();
        let mut whole = SegmentList::new();
        for (before, fetched) in mem::take(&mut content.pieces) {
            whole.extend(before.segments().iter().cloned());
            whole.extend(fetched.map(Segment::Pages));
        }
        whole.extend(mem::take(&mut content.rest).segments().iter().cloned());
        if whole.len() == bytes { whole } else { whole.slice(0, bytes) }
    }
}
