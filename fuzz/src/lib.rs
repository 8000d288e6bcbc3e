//! Fuzz targets for every parser of hostile input. Each asserts a property, and not only that nothing panics.
//!
//! A target is one file of `src/bin`: a documentation comment that states the property, a function of bytes that
//! asserts it, and [`target!`]. Its seeds are the files of `seeds/<target>/`. The same function is run by two engines:
//!
//! | command | engine |
//! |---|---|
//! | `cargo test --package valetkey-fuzz` | every seed, then `FUZZ_CASES` changed ones from a fixed random seed (`FUZZ_SEED`) |
//! | `make fuzz` | libFuzzer with coverage, `FUZZ_SECONDS` for each target |
//! | `cargo run --package valetkey-fuzz --bin <target> <file>…` | none: runs files, such as one that libFuzzer left in `artifacts/` |
//!
//! What once broke becomes a seed, and a test beside the code that broke.

#[cfg(not(fuzzing))]
pub mod bounded;
pub mod json;
pub mod settings;
pub mod tokens;

#[cfg(fuzzing)]
pub use libfuzzer_sys;

/// Makes the file that calls it a fuzz target: `target!(check)` with `fn check(data: &[u8])`.
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
        fn the_property_holds_for_every_seed_and_many_changes_of_them() {
            $crate::bounded::run(env!("CARGO_BIN_NAME"), $check);
        }
    };
}
