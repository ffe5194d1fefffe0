#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fusesg_fuzz::page_span(input));
