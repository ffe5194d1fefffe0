//! Which pages a sparse file has.
//!
//! ```text
//! chunks   0 ──► [page, page, -, page]          a chunk ends with its last page
//!          7 ──► [-, page]                      chunks 1 … 6: a hole
//! ```
//! A chunk is 1 MiB of the file. What is not there takes nothing, wherever it is, and a
//! page is found by one search among the chunks.

use std::collections::BTreeMap;
use std::ops::Range;

use super::page::Page;

/// Pages of a chunk.
const CHUNK: u64 = 256;

/// The pages of a file by their index.
#[derive(Debug, Default)]
pub(super) struct PageMap {
    chunks: BTreeMap<u64, Vec<Option<Page>>>,
    present: u64,
}

impl PageMap {
    /// How many pages there are.
    pub(super) fn len(&self) -> u64 {
        self.present
    }

    pub(super) fn get(&self, index: u64) -> Option<&Page> {
        self.chunks.get(&(index / CHUNK))?.get(slot(index))?.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: u64) -> Option<&mut Page> {
        self.chunks.get_mut(&(index / CHUNK))?.get_mut(slot(index))?.as_mut()
    }

    /// How many pages of `range` there are not.
    pub(super) fn missing(&self, range: Range<u64>) -> u64 {
        // the usual range lies in one chunk
        let present: usize = self
            .chunks
            .range(chunks_of(&range))
            .map(|(number, slots)| {
                let within = within(&range, *number, slots.len());
                slots[within].iter().filter(|slot| slot.is_some()).count()
            })
            .sum();
        range.end - range.start - present as u64
    }

    /// Calls `change` for each page of `range`; those that are missing are made, unwritten.
    pub(super) fn fill(&mut self, range: Range<u64>, mut change: impl FnMut(u64, &mut Page)) {
        if range.is_empty() {
            return;
        }
        for number in chunks_of(&range) {
            let slots = self.chunks.entry(number).or_default();
            let within = within(&range, number, usize::MAX);
            if slots.len() < within.end {
                slots.resize(within.end, None);
            }
            let first = number * CHUNK + within.start as u64;
            for (index, slot) in (first..).zip(&mut slots[within]) {
                let page = slot.get_or_insert_with(|| {
                    self.present += 1;
                    Page::unwritten()
                });
                change(index, page);
            }
        }
    }

    /// Takes the pages of `range` away; returns how many there were.
    pub(super) fn remove(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let before = self.present;
        let touched: Vec<u64> = self.chunks.range(chunks_of(&range)).map(|(key, _)| *key).collect();
        for number in touched {
            let Some(slots) = self.chunks.get_mut(&number) else { continue };
            let within = within(&range, number, slots.len());
            let removed = slots[within].iter_mut().filter_map(Option::take).count();
            self.present -= removed as u64;
            // a chunk ends with its last page
            let end = slots.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
            slots.truncate(end);
            if end == 0 {
                self.chunks.remove(&number);
            } else {
                slots.shrink_to(end);
            }
        }
        before - self.present
    }

    /// The first page from `index` on that was written.
    pub(super) fn next_written(&self, index: u64) -> Option<u64> {
        for (number, slots) in self.chunks.range(index / CHUNK..) {
            let first = number * CHUNK;
            let from = usize::try_from(index.saturating_sub(first)).unwrap_or(usize::MAX);
            let mut rest = slots.iter().enumerate().skip(from);
            if let Some((found, _)) = rest.find(|(_, slot)| is_written(slot.as_ref())) {
                return Some(first + found as u64);
            }
        }
        None
    }

    /// The first page from `index` on that is missing or was not written.
    pub(super) fn next_hole(&self, mut index: u64) -> u64 {
        while let Some(slots) = self.chunks.get(&(index / CHUNK)) {
            let first = index - index % CHUNK;
            let rest = slots.get(slot(index)..).unwrap_or_default();
            if let Some(found) = rest.iter().position(|slot| !is_written(slot.as_ref())) {
                return index + found as u64;
            }
            index = index.max(first + slots.len() as u64);
            if index < first + CHUNK {
                break;
            }
        }
        index
    }
}

fn is_written(slot: Option<&Page>) -> bool {
    slot.is_some_and(|page| !page.is_unwritten())
}

/// Place of a page in its chunk.
fn slot(index: u64) -> usize {
    (index % CHUNK) as usize
}

/// The chunks that `range` touches.
fn chunks_of(range: &Range<u64>) -> Range<u64> {
    range.start / CHUNK..range.end.div_ceil(CHUNK).max(range.start / CHUNK)
}

/// The part of `range` that lies in a chunk, as places in it; at most `length` places.
fn within(range: &Range<u64>, number: u64, length: usize) -> Range<usize> {
    let first = number * CHUNK;
    let place = |index: u64| {
        let place = index.saturating_sub(first).min(CHUNK);
        usize::try_from(place).map_or(length, |place| place.min(length))
    };
    place(range.start)..place(range.end)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Fill(Range<u64>, bool),
        Remove(Range<u64>),
    }

    fn range() -> impl Strategy<Value = Range<u64>> {
        (0..4 * CHUNK, 0..CHUNK * 3 / 2).prop_map(|(start, length)| start..start + length)
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (range(), any::<bool>()).prop_map(|(range, write)| Step::Fill(range, write)),
            range().prop_map(Step::Remove),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_agrees_with_a_set_of_indices(
            steps in prop::collection::vec(step(), 1..12),
            probes in prop::collection::vec(range(), 1..8),
        ) {
            let mut map = PageMap::default();
            let (mut present, mut written) = (BTreeSet::new(), BTreeSet::new());
            for step in steps {
                match step {
                    Step::Fill(range, write) => {
                        let mut seen = Vec::new();
                        map.fill(range.clone(), |index, page| {
                            seen.push(index);
                            if write {
                                page.write(0, &[1]);
                            }
                        });
                        prop_assert_eq!(seen, range.clone().collect::<Vec<_>>());
                        present.extend(range.clone());
                        if write {
                            written.extend(range);
                        }
                    }
                    Step::Remove(range) => {
                        let expected = present.range(range.clone()).count() as u64;
                        prop_assert_eq!(map.remove(range.clone()), expected);
                        present.retain(|index| !range.contains(index));
                        written.retain(|index| !range.contains(index));
                    }
                }
                prop_assert_eq!(map.len(), present.len() as u64);
            }
            for probe in probes {
                let start = probe.start;
                let there = present.range(probe.clone()).count() as u64;
                prop_assert_eq!(map.missing(probe.clone()), probe.end - start - there);
                prop_assert_eq!(map.get(start).is_some(), present.contains(&start));
                prop_assert_eq!(map.next_written(start), written.range(start..).next().copied());
                let hole = (start..u64::MAX).find(|index| !written.contains(index));
                prop_assert_eq!(Some(map.next_hole(start)), hole);
            }
        }
    }
}
