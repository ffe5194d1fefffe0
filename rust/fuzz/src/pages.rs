//! Data into the pages of a request: segment lists and lists of pipes.

use std::io::{self, PipeReader, Write as _};
use std::os::fd::AsRawFd as _;

use arbitrary::Arbitrary;
use fusesg_oracle::pages::fill;
use fusesg_oracle::reply::message;
use fusesg_sg::{
    Copied, CopyOptions, Destination, Endless, GatherError, PAGE_SIZE, Page, PageDescriptor,
    PagePool, PageVector, gather_pipes, pipes_of_message,
};

use crate::decode;
use crate::reply::{FILES, Source, build};

/// What no data and no zeroing touches.
const UNTOUCHED: u8 = 0xEE;

/// A destination, as an input describes it.
#[derive(Debug, Arbitrary)]
struct Request {
    /// Offset, and by how much the length falls short of the page's end.
    pages: Vec<(u16, u16)>,
    owned: bool,
    zero_tail: bool,
    offer_moves: bool,
}

impl Request {
    fn options(&self) -> CopyOptions {
        CopyOptions { zero_tail: self.zero_tail, offer_moves: self.offer_moves }
    }

    /// Often a whole page.
    fn descriptors(&self) -> Vec<(usize, usize)> {
        let part = |number: u16| if number.is_multiple_of(4) { 0 } else { usize::from(number) };
        let few = self.pages.iter().take(16);
        few.map(|(offset, short)| {
            let offset = part(*offset) % PAGE_SIZE;
            (offset, (PAGE_SIZE - offset).saturating_sub(part(*short)))
        })
        .collect()
    }

    /// Fills pages, and returns what is in them then.
    fn carry_out<E>(
        &self,
        take: impl FnOnce(Destination<'_, '_>) -> Result<Copied, E>,
    ) -> (Result<Copied, E>, Vec<Vec<u8>>) {
        let descriptors = self.descriptors();
        let pool = PagePool::new(PAGE_SIZE, 32);
        let mut pages: Vec<Page> =
            descriptors.iter().map(|_| pool.take().expect("memory")).collect();
        for page in &mut pages {
            page.fill(UNTOUCHED);
        }
        let named = |place: usize| {
            PageDescriptor::new(descriptors[place].0, descriptors[place].1).expect("within a page")
        };
        if self.owned {
            let mut vector = PageVector::new(pages.len()).expect("memory");
            for (place, page) in pages.into_iter().enumerate() {
                vector.push(Some(page), named(place)).expect("room");
            }
            let outcome = take(Destination::Owned(&mut vector));
            let pages = vector.pages().iter();
            (outcome, pages.map(|page| page.as_ref().expect("a page").to_vec()).collect())
        } else {
            let mut vector = PageVector::new(pages.len()).expect("memory");
            for (place, page) in pages.iter_mut().enumerate() {
                let (offset, length) = descriptors[place];
                vector.push(&mut page[offset..offset + length], named(place)).expect("room");
            }
            let outcome = take(Destination::Borrowed(&mut vector));
            drop(vector);
            (outcome, pages.iter().map(|page| page.to_vec()).collect())
        }
    }

    /// The pages that `data` makes, with the number of zeros; `None` if it has no room.
    fn expected(&self, data: &[u8]) -> Option<(usize, Vec<Vec<u8>>)> {
        let descriptors = self.descriptors();
        let mut pages = vec![vec![UNTOUCHED; PAGE_SIZE]; descriptors.len()];
        let zeros = fill(&mut pages, &descriptors, data, self.zero_tail)?;
        Some((zeros, pages))
    }

    fn check(&self, copied: &Copied, filled: &[Vec<u8>], data: &[u8]) {
        let (zeros, pages) = self.expected(data).expect("it was copied, so there is room");
        assert_eq!((copied.bytes, copied.zeroed), (data.len() as u64, zeros as u64));
        assert!(copied.failure.is_none());
        // around what is named, too: only whole pages are moved
        for (place, (page, expected)) in filled.iter().zip(&pages).enumerate() {
            assert!(page == expected, "page {place}");
        }
    }
}

fn check_untouched(filled: &[Vec<u8>]) {
    assert!(filled.iter().flatten().all(|byte| *byte == UNTOUCHED));
}

/// A segment list into pages.
pub fn pages(input: &[u8]) {
    #[derive(Debug, Arbitrary)]
    struct Input {
        request: Request,
        sources: Vec<Source>,
    }
    let Some(input) = decode::<Input>(input) else { return };
    let (pieces, list) = build(input.sources);
    let room: usize = input.request.descriptors().iter().map(|descriptor| descriptor.1).sum();
    let fits = list.len() <= room as u64;
    let (outcome, filled) = input.request.carry_out(|destination| {
        fusesg_sg::copy(list, destination, input.request.options(), &Endless)
    });
    match outcome {
        Ok(copied) => {
            assert!(fits);
            input.request.check(&copied, &filled, &message(&pieces, &FILES.contents));
        }
        Err(error) => {
            assert!(!fits, "{error}");
            check_untouched(&filled);
        }
    }
}

/// A list of pipes into pages, named by the body of a message.
pub fn pipe_list(input: &[u8]) {
    #[derive(Debug, Arbitrary)]
    struct Input {
        request: Request,
        contents: Vec<(u16, u8)>,
        /// Which of the pipes, some more than once.
        list: Vec<u8>,
        trailing_bytes: u8,
    }
    let Some(input) = decode::<Input>(input) else { return };
    let contents: Vec<Vec<u8>> = input
        .contents
        .iter()
        .take(8)
        .map(|(length, byte)| vec![*byte; usize::from(*length) % 20_000])
        .collect();
    let pipes: Vec<PipeReader> = contents.iter().map(|content| pipe_of(content)).collect();
    let list: Vec<usize> = match pipes.len() {
        0 => Vec::new(),
        count => input.list.iter().take(16).map(|number| usize::from(*number) % count).collect(),
    };
    let mut body: Vec<u8> =
        list.iter().flat_map(|number| pipes[*number].as_raw_fd().to_ne_bytes()).collect();
    body.extend(vec![0; usize::from(input.trailing_bytes % 4)]);
    let named = match pipes_of_message(&body) {
        Ok(named) => named,
        Err(error) => {
            assert!(matches!(error, GatherError::NotDescriptors { .. }), "{error}");
            assert_ne!(input.trailing_bytes % 4, 0);
            return;
        }
    };

    // a pipe that was named before is empty
    let mut data = Vec::new();
    for (position, number) in list.iter().enumerate() {
        if !list[..position].contains(number) {
            data.extend(&contents[*number]);
        }
    }
    let (outcome, filled) = input
        .request
        .carry_out(|destination| gather_pipes(&named, destination, input.request.options()));
    match outcome {
        Ok(copied) => input.request.check(&copied, &filled, &data),
        Err(error) => {
            assert!(matches!(error, GatherError::TooLong { .. }), "{error}");
            assert!(input.request.expected(&data).is_none());
            check_untouched(&filled);
            // all or nothing: the pipes have what they had
            let mut whole = input.request;
            whole.pages = vec![(0, 0); 16];
            if data.len() <= 16 * PAGE_SIZE {
                let (again, filled) = whole
                    .carry_out(|destination| gather_pipes(&named, destination, whole.options()));
                whole.check(&again.expect("room"), &filled, &data);
            }
        }
    }
}

/// A pipe that holds `content` and has no writer any more.
fn pipe_of(content: &[u8]) -> PipeReader {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    writer.write_all(content).expect("room: a pipe holds 64 KiB");
    reader
}
