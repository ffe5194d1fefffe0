//! The bytes of a READ reply, from a segment list to the kernel, the cheapest right way.
//!
//! | the list | its way |
//! |---|---|
//! | extents of immutable files, 16 KiB and more | one writev from where the files are mapped |
//! | one buffer, zeros, or little of anything | one contiguous buffer, through fuser |
//! | extents and streams of [`splice_threshold`](crate::MountConfig::splice_threshold) bytes and more | a pipe: pages of the files, pipes and sockets, not copied |
//! | several pieces, some large and in memory | one writev of our own: what is in memory is not copied |
//!
//! The last two are messages of our own: fuser takes one slice for a reply. They are sent
//! past fuser, whose own reply then finds the request answered and fails harmlessly. Should
//! the kernel refuse ours, fuser's reply carries the data, copied.

use std::io;

use fusesg_fs::{Errno, Unique};
use fusesg_sg::{Endless, LoadError, PackedList, Patience, SegmentList, SplicedMessage};

use crate::connection::Connection;
use crate::data_path::{DataPath, Way};
use crate::fuser_transport::FuserReply;
use crate::own_reply::{HEADER, expecting_failure};

/// The answer to a READ, with all its bytes at hand.
#[derive(Debug)]
pub(crate) struct DataReply<'l> {
    list: &'l SegmentList,
    bytes: Bytes<'l>,
}

#[derive(Debug)]
enum Bytes<'l> {
    Packed(PackedList<'l>),
    Spliced(SplicedMessage),
}

impl<'l> DataReply<'l> {
    /// Fetches the bytes of `list`, those of streams with `patience`. Fewer than the list
    /// promises mean that a file or stream ended.
    pub(crate) fn fetch(
        list: &'l SegmentList,
        path: &DataPath,
        patience: &dyn Patience,
    ) -> Result<Self, Errno> {
        let pool = path.pools.for_bytes(list.len());
        if list.len() >= path.splice_threshold && !list.is_mapped() {
            match SplicedMessage::load(list, &path.pipes, HEADER, patience) {
                Ok(message) => {
                    path.count_spliced(list, &message);
                    return Ok(Self { list, bytes: Bytes::Spliced(message) });
                }
                Err(LoadError::NotSpliced(unspliced)) => {
                    path.count_not_spliced(unspliced.reason());
                    return Self::packed(list, unspliced.pack(list, pool, patience)?, path);
                }
                Err(LoadError::Failed(error)) => return Err(errno(&error)),
            }
        }
        Self::packed(list, PackedList::new(list, pool, patience)?, path)
    }

    fn packed(
        list: &'l SegmentList,
        packed: PackedList<'l>,
        path: &DataPath,
    ) -> Result<Self, Errno> {
        let packed = complete(packed)?;
        path.count_packed(list, &packed);
        Ok(Self { list, bytes: Bytes::Packed(packed) })
    }

    /// Number of bytes.
    pub(crate) fn len(&self) -> usize {
        match &self.bytes {
            Bytes::Packed(packed) => packed.len(),
            Bytes::Spliced(message) => message.payload(),
        }
    }

    /// Number of those that are in pages of ours.
    pub(crate) fn in_pages(&self) -> usize {
        match &self.bytes {
            Bytes::Packed(packed) => packed.copied(),
            Bytes::Spliced(_) => 0,
        }
    }

    /// Sends them. The caller has the right to answer, which nobody else has.
    pub(crate) fn send(self, connection: &Connection, unique: Unique, fuser: FuserReply) {
        let path = &connection.data_path;
        // counted first: who has the answer finds it in the numbers
        let (way, sent) = match self.bytes {
            Bytes::Packed(packed) => {
                if let Some(bytes) = packed.contiguous() {
                    path.count(Way::Contiguous);
                    return fuser.data(bytes);
                }
                path.count(Way::Vectored);
                let sent = connection.own_reply.packed(unique, &packed);
                (Way::Vectored, sent.map_err(|error| (error, Some(packed))))
            }
            Bytes::Spliced(mut message) => {
                path.count(Way::Spliced);
                path.count_moves(&message.move_offer());
                let sent = connection.own_reply.spliced(unique, &mut message, path.offer_moves);
                (
                    Way::Spliced,
                    sent.map_err(|error| {
                        (error, message.take_back(path.pools.for_bytes(self.list.len())).ok())
                    }),
                )
            }
        };
        match sent {
            Ok(()) => expecting_failure(|| fuser.discard()),
            Err((error, packed)) => {
                log::debug!("the answer to request {unique} is copied: {error}");
                path.count_refused(way);
                send_copied(self.list, packed, path, fuser);
            }
        }
    }
}

/// Sends the bytes through fuser after all: those of a refused message, if they are to be had,
/// else those of the list once more.
fn send_copied<'l>(
    list: &'l SegmentList,
    refused: Option<PackedList<'l>>,
    path: &DataPath,
    fuser: FuserReply,
) {
    let packed = match refused {
        Some(packed) => Ok(packed),
        // what streams gave is gone
        None if list.has_streams() => Err(Errno::EIO),
        None => PackedList::new(list, path.pools.for_bytes(list.len()), &Endless)
            .map_err(Errno::from)
            .and_then(complete),
    };
    let copied = packed.and_then(|packed| {
        let length = packed.len();
        Ok((packed.into_contiguous(path.pools.for_bytes(list.len()))?, length))
    });
    match copied {
        Ok((bytes, length)) => fuser.data(&bytes[..length]),
        Err(errno) => fuser.error(errno),
    }
}

/// A read that fails is answered with its error also where bytes came before it: the kernel
/// would take a short answer for the end of the file.
fn complete(packed: PackedList<'_>) -> Result<PackedList<'_>, Errno> {
    packed.failure().map_or(Ok(()), |error| Err(errno(error))).map(|()| packed)
}

fn errno(error: &io::Error) -> Errno {
    Errno::from(io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO)))
}
