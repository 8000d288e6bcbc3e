//! Support for the unit tests of every module.

use proptest::test_runner::{Config, FileFailurePersistence};

/// Returns the configuration of all property tests in `src/`: proptest's defaults, but seeds of failures are kept under
/// `tests/`, in a file with the path of the source file. proptest resolves the name beside the folder of `lib.rs`.
pub fn property_config() -> Config {
    let persistence = FileFailurePersistence::SourceParallel("tests/proptest-regressions");
    Config { failure_persistence: Some(Box::new(persistence)), ..Config::default() }
}
