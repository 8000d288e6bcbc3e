//! The engine of plain `cargo test`: runs the seeds unchanged, then mutated at random. The random numbers are fixed, so
//! every machine runs the same inputs.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook, take_hook};
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

/// Number of mutated inputs per target, unless `FUZZ_CASES` is set.
const CASES_DEFAULT: u32 = 200;

/// Maximum length of an input, in bytes. A target's parsers have a lower limit, or a limit that it does not test.
const INPUT_MAX_BYTES: usize = 16 * 1024;

/// Words that parsers often mishandle. The words of the seeds are added to them.
const WORDS: [&[u8]; 24] = [
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1.0",
    b"1e400",
    b"18446744073709551616",
    b"9007199254740993",
    b"\"\"",
    b"{}",
    b"[]",
    b"\\u0000",
    b"\\ud800",
    b"\\",
    b"\"",
    b",",
    b"=",
    b"..",
    b"%2e",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\0",
    b"\r\n",
    b"\xe2\x80\xae",
];

/// One mutation of an input.
#[derive(Clone, Debug)]
enum Mutation {
    Set(Index, u8),
    Flip(Index, u8),
    Remove(Index, u8),
    Repeat(Index, u8),
    Word(Index, Index),
    Overwrite(Index, Index),
    Splice(Index, Index, Index, u8),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (index(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (index(), 1..32_u8).prop_map(|(at, length)| Mutation::Remove(at, length)),
        (index(), 1..64_u8).prop_map(|(at, length)| Mutation::Repeat(at, length)),
        (index(), index()).prop_map(|(at, word)| Mutation::Word(at, word)),
        (index(), index()).prop_map(|(at, word)| Mutation::Overwrite(at, word)),
        (index(), index(), index(), any::<u8>())
            .prop_map(|(at, seed, from, length)| Mutation::Splice(at, seed, from, length)),
    ]
}

/// The seeds of a target and the words in them.
struct Corpus {
    seeds: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
}

impl Corpus {
    fn read(target: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
        let mut files: Vec<PathBuf> = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("a target needs seeds, in {}: {error}", folder.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        // `read_dir` has no fixed order, and the run must be the same on every machine.
        files.sort();
        assert!(!files.is_empty(), "a target needs seeds, in {}", folder.display());
        let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        let is_separator = |byte: &u8| !(byte.is_ascii_alphanumeric() || b"_-.+/".contains(byte));
        let mut words: BTreeSet<Vec<u8>> = WORDS.iter().map(|word| word.to_vec()).collect();
        for seed in &seeds {
            words.extend(seed.split(is_separator).filter(|word| (2..=100).contains(&word.len())).map(<[u8]>::to_vec));
        }
        Self { seeds, words: words.into_iter().collect() }
    }

    fn apply(&self, start: Index, mutations: &[Mutation]) -> Vec<u8> {
        let mut input = start.get(&self.seeds).clone();
        for mutation in mutations {
            self.mutate(&mut input, mutation);
        }
        input.truncate(INPUT_MAX_BYTES);
        input
    }

    fn mutate(&self, input: &mut Vec<u8>, mutation: &Mutation) {
        let length = input.len();
        // A position between two bytes, including both ends.
        let gap = |at: &Index| at.index(length + 1);
        let end = |at: usize, count: usize| (at + count).min(length);
        match mutation {
            Mutation::Set(..) | Mutation::Flip(..) if length == 0 => {}
            Mutation::Set(at, byte) => input[at.index(length)] = *byte,
            Mutation::Flip(at, bit) => input[at.index(length)] ^= 1 << bit,
            Mutation::Remove(at, count) => drop(input.drain(gap(at)..end(gap(at), usize::from(*count)))),
            Mutation::Repeat(at, count) => {
                let piece = input[gap(at)..end(gap(at), usize::from(*count))].to_vec();
                drop(input.splice(gap(at)..gap(at), piece));
            }
            Mutation::Word(at, word) => drop(input.splice(gap(at)..gap(at), word.get(&self.words).iter().copied())),
            Mutation::Overwrite(at, word) => {
                let word = word.get(&self.words);
                drop(input.splice(gap(at)..end(gap(at), word.len()), word.iter().copied()));
            }
            Mutation::Splice(at, seed, from, count) => {
                let seed = seed.get(&self.seeds);
                let from = from.index(seed.len() + 1);
                let piece = &seed[from..(from + usize::from(*count)).min(seed.len())];
                drop(input.splice(gap(at)..gap(at), piece.iter().copied()));
            }
        }
    }
}

fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

/// Runs `check` on the seeds of `target` and on mutations of them.
///
/// # Panics
/// If `check` panics. Prints the smallest input found for which it does.
pub fn run(target: &str, check: fn(&[u8])) {
    let corpus = Corpus::read(target);
    for seed in &corpus.seeds {
        run_one(check, seed);
    }
    let mut random = [0; 32];
    random[..4].copy_from_slice(&setting("FUZZ_SEED", 0).to_le_bytes());
    let config = Config {
        cases: setting("FUZZ_CASES", CASES_DEFAULT),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &random));
    let cases = (any::<Index>(), prop::collection::vec(mutation(), 1..12));
    // Shrinking panics up to thousands of times. Only the last panic is printed.
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let outcome = runner.run(&cases, |(start, mutations)| {
        check(&corpus.apply(start, &mutations));
        Ok(())
    });
    set_hook(hook);
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(_, (start, mutations))) => run_one(check, &corpus.apply(start, &mutations)),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

/// Runs `check` and prints the input if it panics.
fn run_one(check: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(input))) {
        eprintln!("input: b\"{}\"", input.escape_ascii());
        resume_unwind(panic);
    }
}
