//! Bytes through pages of our own: what the kernel does with its page cache.
//!
//! The pages are those of the file that the bytes lie in: a request has whole ones but for its
//! first and last. Where the file system answers with pages that nobody else has, they are
//! exchanged for those of the request instead of being copied.

use std::io;
use std::sync::mpsc;

use fusesg_fs::{Errno, Result};
use fusesg_sg::{
    CopyOptions, Destination, Direction, Page, PageDescriptor, PageSpan, Request, RequestLimits,
    Submission, copy,
};

use super::Client;
use super::background::in_background;
use super::direct::MOST_BYTES;
use super::open_file::OpenFile;
use super::session::Session;

/// Bytes that were read, in the pages they came in.
#[derive(Debug, Default)]
pub struct PagesRead {
    /// The bytes that the descriptors name, one after another, are the file's.
    pages: Vec<(Page, PageDescriptor)>,
    length: usize,
}

impl PagesRead {
    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none: the file ends here.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes, page by page.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut left = self.length;
        self.pages.iter().map_while(move |(page, descriptor)| {
            let length = descriptor.len().min(left);
            left -= length;
            let start = descriptor.start();
            (length > 0).then(|| &page[start..start + length])
        })
    }

    /// The bytes in one piece.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.length);
        self.slices().for_each(|slice| bytes.extend_from_slice(slice));
        bytes
    }
}

/// The pages of one request, with the bytes that came.
type Filled = (Vec<(Page, PageDescriptor)>, u64);

impl Client {
    /// Reads at most `size` bytes at `offset`.
    pub fn pread(&self, descriptor: i32, size: u64, offset: u64) -> Result<PagesRead> {
        let (_use, file) = self.file(descriptor)?;
        file.check_readable()?;
        file.check_seekable()?;
        self.session.read_buffered(&file, size, offset)
    }

    /// Writes at `offset`; returns how many bytes were taken.
    ///
    /// To a file that is open for appending they are written at its end, whatever `offset` is.
    pub fn pwrite(&self, descriptor: i32, data: &[u8], offset: u64) -> Result<u64> {
        let (_use, file) = self.file(descriptor)?;
        file.check_writable()?;
        file.check_seekable()?;
        let write = |session: &Session, offset| session.write_buffered(&file, data, offset);
        self.session.write_at(&file, offset, write).map(|(_, written)| written)
    }

    /// Reads at the file's position, and moves it.
    pub fn read(&self, descriptor: i32, size: u64) -> Result<PagesRead> {
        let (_use, file) = self.file(descriptor)?;
        file.check_readable()?;
        let mut position = file.position();
        let read = self.session.read_buffered(&file, size, *position)?;
        *position += read.len() as u64;
        Ok(read)
    }

    /// Writes at the file's position, or at its end if it is open for appending, and moves the
    /// position behind what was written.
    pub fn write(&self, descriptor: i32, data: &[u8]) -> Result<u64> {
        let (_use, file) = self.file(descriptor)?;
        file.check_writable()?;
        let mut position = file.position();
        let write = |session: &Session, offset| session.write_buffered(&file, data, offset);
        let (offset, written) = self.session.write_at(&file, *position, write)?;
        *position = offset + written;
        Ok(written)
    }
}

impl Session {
    /// Bytes of a file, in pages of the kernel that is played.
    fn span(&self, offset: u64, length: u64) -> Result<PageSpan> {
        let span = PageSpan::new(offset, length).map_err(io::Error::from)?;
        Ok(span.with_page_size(self.config.page_size))
    }

    fn read_buffered(&self, file: &OpenFile, size: u64, offset: u64) -> Result<PagesRead> {
        // before anything is asked
        self.span(offset, size.min(MOST_BYTES))?;
        let size = self.bytes_to_ask_for(file, size, offset)?;
        let span = self.span(offset, size)?;
        let limits = RequestLimits::new(self.config.max_pages, self.config.max_read as usize);
        if self.config.asynchronous {
            self.read_at_once(file, span, limits)
        } else {
            self.read_in_turn(file, span, limits)
        }
    }

    /// One request after another, until one is short.
    fn read_in_turn(
        &self,
        file: &OpenFile,
        mut span: PageSpan,
        limits: RequestLimits,
    ) -> Result<PagesRead> {
        let mut read = PagesRead::default();
        while !span.is_empty() {
            let part = span.split_to(limits);
            let request = self.requests.allocate(page_count(part)).map_err(io::Error::from);
            let filled = request.map_err(Errno::from);
            match filled.and_then(|request| self.fill_pages(file, request, part)) {
                Ok((pages, bytes)) => {
                    read.pages.extend(pages);
                    read.length += usize::try_from(bytes).map_err(|_| Errno::EIO)?;
                    if bytes < part.len() {
                        break;
                    }
                }
                // what came before counts
                Err(_) if read.length > 0 => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(read)
    }

    /// All requests at once; the bytes up to the first hole.
    fn read_at_once(
        &self,
        file: &OpenFile,
        mut span: PageSpan,
        limits: RequestLimits,
    ) -> Result<PagesRead> {
        let (mut submission, completion) = Submission::counted(Direction::Read, &self.completions);
        let (results, filled) = mpsc::channel();
        in_background(self.config.max_background, |background| {
            while !span.is_empty() {
                let part = span.split_to(limits);
                let request = self.request_helping(page_count(part), || background.help());
                let request = match request {
                    Ok(request) => request,
                    Err(error) => return submission.fail(error),
                };
                let (counted, results) = (submission.part(part.len()), results.clone());
                background.submit(move || {
                    let filled = self.fill_pages(file, request, part);
                    counted.complete(filled.map_err(io::Error::from).map(|(pages, bytes)| {
                        // nobody is there to take it only if the I/O has failed
                        let _ = results.send((part.offset(), pages));
                        bytes
                    }));
                });
            }
            submission.finish();
        });
        drop(results);
        let length = completion.wait().map_err(Errno::from)?;
        let mut parts: Vec<_> = filled.into_iter().collect();
        parts.sort_unstable_by_key(|(offset, _)| *offset);
        let pages = parts.into_iter().flat_map(|(_, pages)| pages).collect();
        Ok(PagesRead { pages, length: usize::try_from(length).map_err(|_| Errno::EIO)? })
    }

    /// READ of one request into pages of the pool.
    fn fill_pages(
        &self,
        file: &OpenFile,
        mut request: Request<Option<Page>>,
        span: PageSpan,
    ) -> Result<Filled> {
        self.add_pages(&mut request, span)?;
        let size = u32::try_from(span.len()).map_err(|_| Errno::EINVAL)?;
        let bytes = self.read(file.read(span.offset(), size), size, |list, patience| {
            let options = CopyOptions { offer_moves: true, ..CopyOptions::default() };
            let copied = copy(list, Destination::Owned(&mut request.pages), options, patience)?;
            self.account(copied)
        })?;
        let pages = request.pages.iter_mut();
        let filled = pages.filter_map(|(page, descriptor)| Some((page.take()?, descriptor)));
        Ok((filled.collect(), bytes))
    }

    fn write_buffered(&self, file: &OpenFile, mut data: &[u8], offset: u64) -> Result<u64> {
        let length = (data.len() as u64).min(MOST_BYTES);
        let mut span = self.span(offset, length)?;
        let limits = RequestLimits::new(self.config.max_pages, self.config.max_write as usize);
        if self.config.asynchronous && file.has_positions() {
            return self.write_at_once(file, data, span, limits);
        }
        let mut written = 0;
        while !span.is_empty() {
            let part = span.split_to(limits);
            let bytes = data.split_off(..index(part.len())).ok_or(Errno::EIO)?;
            match self.write_pages(file, bytes, part) {
                Ok(taken) => {
                    written += taken;
                    if taken < part.len() {
                        break;
                    }
                }
                Err(_) if written > 0 => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(written)
    }

    fn write_at_once(
        &self,
        file: &OpenFile,
        mut data: &[u8],
        mut span: PageSpan,
        limits: RequestLimits,
    ) -> Result<u64> {
        let (mut submission, completion) = Submission::counted(Direction::Write, &self.completions);
        in_background(self.config.max_background, |background| {
            while !span.is_empty() {
                let part = span.split_to(limits);
                let Some(bytes) = data.split_off(..index(part.len())) else { break };
                let counted = submission.part(part.len());
                background.submit(move || {
                    counted.complete(self.write_pages(file, bytes, part).map_err(io::Error::from));
                });
            }
            submission.finish();
        });
        completion.wait().map_err(Errno::from)
    }

    /// WRITE of one request, from pages of the pool.
    fn write_pages(&self, file: &OpenFile, data: &[u8], span: PageSpan) -> Result<u64> {
        let mut request: Request<Option<Page>> =
            self.requests.allocate(page_count(span)).map_err(io::Error::from)?;
        self.add_pages(&mut request, span)?;
        let mut rest = data;
        for (page, descriptor) in request.pages.iter_mut() {
            let (now, later) = rest.split_at(descriptor.len());
            let page = page.as_deref_mut().ok_or(Errno::EIO)?;
            page[descriptor.start()..][..now.len()].copy_from_slice(now);
            rest = later;
        }
        self.count_joined(span.len());
        let pieces: Vec<&[u8]> = request
            .pages
            .iter()
            .filter_map(|(page, descriptor)| {
                Some(&page.as_deref()?[descriptor.start()..][..descriptor.len()])
            })
            .collect();
        match pieces.as_slice() {
            [piece] => self.send_write(file, piece, span.offset()),
            pieces => {
                let buffer = self.joined(pieces, data.len())?;
                self.send_write(file, &buffer[..data.len()], span.offset())
            }
        }
    }

    /// Gives a request the pages of `span`.
    fn add_pages(&self, request: &mut Request<Option<Page>>, span: PageSpan) -> Result<()> {
        let pages = self.pages.take_many(page_count(span)).map_err(io::Error::from)?;
        for (page, descriptor) in pages.into_iter().zip(span.descriptors()) {
            request.pages.push(Some(page), descriptor).map_err(|_| Errno::EIO)?;
        }
        Ok(())
    }
}

/// Pages that a span touches.
fn page_count(span: PageSpan) -> usize {
    let pages = span.pages();
    index(pages.end - pages.start)
}

/// A number of bytes or pages of one request.
fn index(number: u64) -> usize {
    usize::try_from(number).expect("bounded by the limits of a request")
}
