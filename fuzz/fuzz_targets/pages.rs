#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fusesg_fuzz::pages(input));
