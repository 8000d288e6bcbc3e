//! Fuzz targets for every parser of hostile input. Each target asserts a property, not only that nothing panics.
//!
//! A target is one file of `src/bin`: a doc comment that states the property, a function of bytes that asserts it, and
//! [`target!`]. Its seeds are the files of `seeds/<target>/`. Two engines run the same function:
//!
//! | command | engine |
//! |---|---|
//! | `cargo test -p valetkey-fuzz` | every seed, then `FUZZ_CASES` mutated ones; `FUZZ_SEED` fixes the random numbers |
//! | `make fuzz` | libFuzzer with coverage, `FUZZ_SECONDS` for each target |
//! | `cargo run -p valetkey-fuzz --bin <target> <file>…` | none: runs the given files, such as crashes in `artifacts/` |
//!
//! An input that broke a parser becomes a seed, and a test next to the code that broke.

#[cfg(not(fuzzing))]
pub mod bounded;
pub mod json;
pub mod settings;
pub mod tokens;

#[cfg(fuzzing)]
pub use libfuzzer_sys;

/// Makes the calling file a fuzz target: `target!(check)` with `fn check(data: &[u8])`.
#[macro_export]
macro_rules! target {
    ($check:path) => {
        #[cfg(fuzzing)]
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| $check(data));

        #[cfg(not(fuzzing))]
        fn main() {
            for file in std::env::args().skip(1) {
                $check(&std::fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}")));
            }
        }

        #[cfg(all(test, not(fuzzing)))]
        #[test]
        fn the_property_holds_for_every_seed_and_for_mutated_seeds() {
            $crate::bounded::run(env!("CARGO_BIN_NAME"), $check);
        }
    };
}
