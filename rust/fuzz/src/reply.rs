//! Segment lists into messages: packed, made contiguous, gathered, and through a pipe.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::{Arc, LazyLock};

use arbitrary::Arbitrary;
use bytes::Bytes;
use fusesg_oracle::reply::{Piece, message};
use fusesg_sg::{
    Backing, Endless, Extent, LoadError, PAGE_SIZE, PackedList, PagePool, PageRun, PipePool,
    Segment, SegmentList, SplicedMessage,
};

use crate::decode;

/// The second one is shorter than extents of it may claim.
const FILE_SIZES: [usize; 2] = [100_000, 5_000];
const HEADER: &[u8; 16] = b"header of sixtee";

/// A segment, as an input describes it.
#[derive(Debug, Arbitrary)]
pub(crate) enum Source {
    Buffer(Vec<u8>),
    Filled(u16, u8),
    Pages(u16, u8),
    Extent {
        file: bool,
        offset: u16,
        length: u16,
    },
    /// An extent that continues the one before.
    Following(u16),
    Zeros(u16),
}

pub(crate) struct Files {
    pub(crate) contents: Vec<Vec<u8>>,
    backings: Vec<Arc<Backing>>,
}

pub(crate) static FILES: LazyLock<Files> = LazyLock::new(|| {
    let contents = FILE_SIZES.map(|size| {
        (0..size)
            .map(|n| u8::try_from((n * 31 + n / 251 + size) % 251).expect("below 251"))
            .collect()
    });
    let backings = contents.each_ref().map(|content: &Vec<u8>| {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(content).expect("room for it");
        Arc::new(Backing::new(file.into(), false, false))
    });
    Files { contents: contents.into(), backings: backings.into() }
});

/// The pieces, and the same as a segment list.
pub(crate) fn build(sources: Vec<Source>) -> (Vec<Piece>, SegmentList) {
    let pool = PagePool::new(PAGE_SIZE, 16);
    let (mut pieces, mut list) = (Vec::new(), SegmentList::new());
    let mut previous = (0, 0);
    for source in sources.into_iter().take(64) {
        let (piece, segment) = match source {
            Source::Buffer(bytes) => {
                (Piece::Bytes(bytes.clone()), Segment::Buffer(Bytes::from(bytes)))
            }
            Source::Filled(length, byte) => {
                let bytes = vec![byte; length.into()];
                (Piece::Bytes(bytes.clone()), Segment::Buffer(Bytes::from(bytes)))
            }
            Source::Pages(length, byte) => {
                let bytes = vec![byte; length.into()];
                (Piece::Bytes(bytes.clone()), Segment::Pages(pages(&pool, &bytes)))
            }
            Source::Extent { file, offset, length } => {
                extent(&mut previous, file.into(), offset.into(), length.into())
            }
            Source::Following(length) => {
                let (file, offset) = previous;
                extent(&mut previous, file, offset, length.into())
            }
            Source::Zeros(length) => (Piece::Zeros(length.into()), Segment::Zeros(length.into())),
        };
        pieces.push(piece);
        list.push(segment);
    }
    (pieces, list)
}

fn pages(pool: &Arc<PagePool>, bytes: &[u8]) -> PageRun {
    let pages = bytes.chunks(PAGE_SIZE).map(|chunk| {
        let mut page = pool.take().expect("memory");
        page[..chunk.len()].copy_from_slice(chunk);
        page
    });
    PageRun::new(pages, bytes.len()).expect("memory")
}

fn extent(
    previous: &mut (usize, usize),
    file: usize,
    offset: usize,
    length: usize,
) -> (Piece, Segment) {
    *previous = (file, offset + length);
    let backing = Arc::clone(&FILES.backings[file]);
    let extent = Extent { backing, offset: offset as u64, length: length as u64 };
    (Piece::Extent { file, offset, length }, Segment::Extent(extent))
}

/// Builds a list and makes it a message in every way there is.
pub fn reply(input: &[u8]) {
    #[derive(Debug, Arbitrary)]
    struct Input {
        pool_pages: u8,
        sources: Vec<Source>,
    }
    let Some(input) = decode::<Input>(input) else { return };
    let (pieces, list) = build(input.sources);
    let expected = message(&pieces, &FILES.contents);

    let pool = PagePool::new((usize::from(input.pool_pages) + 1) * PAGE_SIZE, 2);
    let packed = PackedList::new(&list, &pool, &Endless).expect("memory");
    assert_eq!(packed.len(), expected.len());
    assert!(packed.failure().is_none());
    let vectors = packed.iovecs(HEADER);
    assert!(vectors.len() <= 1024);
    assert!(vectors.iter().all(|vector| !vector.is_empty()));
    assert!(vectors.iter().flat_map(|vector| vector.iter()).skip(HEADER.len()).eq(&expected));
    drop(vectors);
    if let Some(bytes) = packed.contiguous() {
        assert!(bytes == expected);
    }
    let contiguous = packed.into_contiguous(&pool).expect("memory");
    assert!(contiguous[..expected.len()] == expected);

    let mut gathered = vec![0xEE; usize::try_from(list.len()).expect("in memory")];
    assert_eq!(fusesg_sg::gather(&list, &mut gathered).expect("readable files"), expected.len());
    assert!(gathered[..expected.len()] == expected);

    splice(&list, &expected);
}

/// Through a pipe, if the list can go there.
fn splice(list: &SegmentList, expected: &[u8]) {
    static PIPES: LazyLock<Arc<PipePool>> = LazyLock::new(|| PipePool::new(1 << 20, 1));
    let mut message = match SplicedMessage::load(list, &PIPES, HEADER.len(), &Endless) {
        Ok(message) => message,
        Err(LoadError::NotSpliced(_)) => return,
        Err(LoadError::Failed(error)) => panic!("{error}"),
    };
    assert_eq!(message.payload(), expected.len());
    let mut file: File = tempfile::tempfile().expect("a temporary file");
    message.send(HEADER, file.as_fd(), false).expect("a file takes everything");
    let mut arrived = Vec::new();
    file.rewind().expect("a file");
    file.read_to_end(&mut arrived).expect("a file");
    assert!(&arrived[..HEADER.len()] == HEADER && &arrived[HEADER.len()..] == expected);
}
