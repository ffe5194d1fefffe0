//! Page vectors: arrays sized by need, both or neither.

use fusesg_sg::{INLINE_PAGES, OutOfMemory, PAGE_SIZE, PageDescriptor, PageVector};

fn whole() -> PageDescriptor {
    PageDescriptor::new(0, PAGE_SIZE).expect("a page")
}

#[test]
fn one_page_or_none_is_inline_and_more_are_on_the_heap() {
    for pages in 0..=INLINE_PAGES {
        assert!(PageVector::<u64>::new(pages).expect("memory").is_inline());
    }
    assert!(!PageVector::<u64>::new(INLINE_PAGES + 1).expect("memory").is_inline());
}

#[test]
fn exactly_the_pages_asked_for_have_room() {
    for pages in [0, 1, 2, 32, 256] {
        let mut vector = PageVector::<u64>::new(pages).expect("memory");
        assert_eq!((vector.max_pages(), vector.len(), vector.bytes()), (pages, 0, 0));
        for number in 0..pages {
            vector.push(number as u64 + 1, whole()).expect("room");
        }
        assert_eq!(vector.push(7, whole()), Err(7));
        assert_eq!(vector.bytes(), pages * PAGE_SIZE);
    }
}

#[test]
fn a_cleared_vector_is_as_new() {
    let mut vector = PageVector::<u64>::new(3).expect("memory");
    for number in 1..=3 {
        vector.push(number, whole()).expect("room");
    }
    vector.clear();
    assert_eq!((vector.len(), vector.room(), vector.bytes()), (0, 3, 0));
    assert_eq!(vector.iter().count(), 0);
}

#[test]
fn a_vector_that_memory_cannot_hold_is_an_error() {
    for pages in [usize::MAX, usize::MAX / 8, isize::MAX as usize] {
        assert_eq!(PageVector::<u64>::new(pages).err(), Some(OutOfMemory));
    }
}

#[test]
fn a_descriptor_stays_within_its_page() {
    assert!(PageDescriptor::new(0, PAGE_SIZE).is_some_and(PageDescriptor::is_whole));
    assert!(PageDescriptor::new(1, PAGE_SIZE).is_none());
    assert!(PageDescriptor::new(PAGE_SIZE, 1).is_none());
    assert!(PageDescriptor::new(usize::MAX, 2).is_none());
    assert!(PageDescriptor::new(PAGE_SIZE, 0).is_some_and(PageDescriptor::is_empty));
}
