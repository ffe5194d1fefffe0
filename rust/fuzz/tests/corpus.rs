//! The kept corpus through every target, with some mutations that are the same every time.

#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fusesg_fuzz::{TARGETS, Target};

/// Mutations of each kept input.
const MUTATIONS: usize = 8;

fn corpus_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name)
}

/// The kept inputs of a target, by name.
fn inputs(name: &str) -> Vec<(String, Vec<u8>)> {
    let mut inputs: Vec<_> = fs::read_dir(corpus_of(name))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    inputs.sort();
    inputs
}

/// A generator of numbers: xorshift.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % limit.max(1)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

/// Changes, inserts and removes some bytes.
fn mutate(input: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut mutated = input.to_vec();
    for _ in 0..=numbers.below(4) {
        let position = numbers.below(mutated.len() + 1);
        match (numbers.below(3), mutated.get_mut(position)) {
            (0, Some(byte)) => *byte = numbers.byte(),
            (1, Some(_)) => {
                mutated.remove(position);
            }
            _ => mutated.insert(position, numbers.byte()),
        }
    }
    mutated
}

fn run(name: &str, target: Target, what: &str, input: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
    assert!(outcome.is_ok(), "target {name} fails for {what}: {input:?}");
}

#[test]
fn the_corpus_and_its_mutations_pass() {
    for (number, (name, target)) in TARGETS.into_iter().enumerate() {
        run(name, target, "nothing", &[]);
        let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15 ^ number as u64);
        for (file, input) in inputs(name) {
            run(name, target, &file, &input);
            for _ in 0..MUTATIONS {
                let mutated = mutate(&input, &mut numbers);
                run(name, target, &format!("a mutation of {file}"), &mutated);
            }
        }
    }
}

#[test]
fn each_target_has_a_corpus_and_a_fuzzer() {
    for (name, _) in TARGETS {
        assert!(!inputs(name).is_empty(), "no corpus for {name}");
        let fuzzer = corpus_of(name).join("../../fuzz_targets").join(name).with_extension("rs");
        assert!(fs::exists(&fuzzer).unwrap(), "no {}", fuzzer.display());
    }
    let corpora = fs::read_dir(corpus_of(".")).unwrap().count();
    assert_eq!(corpora, TARGETS.len(), "a corpus without a target");
}
